//! `figure NAME { x y series band kind overlay at color }`.

use super::fields::{Fields, word_of};
use super::{Analyst, At, Band, Figure, FigureKind, Metric};
use crate::diag::{Diagnostic, codes};
use crate::resolve::eval::kind_of;
use crate::syntax::{Block, Expr, ExprKind, Name, Path};

const FIELDS: &[&str] = &["x", "y", "series", "band", "kind", "overlay", "at", "color"];
/// Fields of figures that draw metrics.
const OF_METRICS: &[&str] = &["x", "y", "series", "band", "overlay"];
const KINDS: &[(&str, FigureKind)] =
    &[("line", FigureKind::Line), ("bar", FigureKind::Bar), ("sphere", FigureKind::Sphere)];
const BANDS: &[(&str, Option<Band>)] =
    &[("sd", Some(Band::Sd)), ("se", Some(Band::Se)), ("iqr", Some(Band::Iqr))];
/// The labels a point can have.
const COLORS: &[(&str, &str)] = &[("fine", "fine"), ("coarse", "coarse"), ("declared", "declared")];

impl Analyst<'_> {
    /// A figure.
    pub fn figure(&mut self, block: &Block) -> Option<Figure> {
        let name = self.name_of(block);
        let fields = self.fields(block, FIELDS);
        let kind = match fields.get("kind") {
            Some(kind) => self.word(kind, "`kind`", KINDS),
            None => Some(FigureKind::Line),
        };
        let at = fields.get("at").map(|at| self.at(at)).unwrap_or_default();
        let figure = match kind {
            Some(FigureKind::Sphere) => self.sphere(&fields, at),
            _ => self.curve(&fields, at),
        };
        Some(Figure { name: name?, kind: kind?, ..figure? })
    }

    /// A figure of embeddings.
    fn sphere(&mut self, fields: &Fields, at: Vec<At>) -> Option<Figure> {
        for name in OF_METRICS.iter().filter(|name| fields.get(name).is_some()) {
            self.out.push(
                Diagnostic::new(&codes::UNKNOWN_BLOCK, format!("a sphere has no `{name}`"))
                    .at(fields.place(name), "leave this out")
                    .at(fields.place("kind"), "it draws embeddings, not metrics"),
            );
        }
        let color = fields.get("color").and_then(|it| self.word(it, "`color`", COLORS));
        let color = color.map(str::to_owned);
        Some(Figure { at, color, ..empty() })
    }

    /// A figure of metrics.
    fn curve(&mut self, fields: &Fields, at: Vec<At>) -> Option<Figure> {
        let example = (self.some_axis(), self.example());
        let x = self.needed(fields, "x", &example.0).and_then(|x| self.axis(x, &["seed"]));
        let y = self.needed(fields, "y", &example.1).map(|y| self.metric(y));
        let series = match fields.get("series") {
            Some(series) => Some(self.axis(series, &["seed"])?),
            None => None,
        };
        let band = fields.get("band").and_then(|band| self.band(band));
        let (x, y) = (x?, y??);
        let overlay = fields.get("overlay").and_then(|it| self.overlay(it, &y));
        if let Some(color) = fields.get("color") {
            self.out.push(
                Diagnostic::new(&codes::UNKNOWN_BLOCK, "only a sphere has a `color`")
                    .at(color.span, "curves differ by their `series`")
                    .help("embeddings are drawn by `kind = sphere`"),
            );
        }
        if series.as_ref() == Some(&x) {
            self.out.push(
                Diagnostic::new(&codes::DUPLICATE, format!("`{x}` is both `x` and `series`"))
                    .at(fields.place("series"), "a second time")
                    .at(fields.place("x"), "first here"),
            );
        }
        let fixed = at.iter().filter(|at| at.levels.len() == 1).map(|at| at.axis.as_str());
        let used: Vec<&str> = fixed.chain([x.as_str()]).chain(series.as_deref()).collect();
        let averaged = self.averaged(&used);
        Some(Figure { x: Some(x), y: Some(y), series, band, overlay, at, averaged, ..empty() })
    }

    fn band(&mut self, expr: &Expr) -> Option<Band> {
        match (&expr.kind, word_of(expr)) {
            (ExprKind::None, _) => None,
            (_, Some(word)) if word.text == "ci" => self.confidence(&word).map(Band::Ci),
            (_, Some(word)) if BANDS.iter().any(|(it, _)| *it == word.text) => {
                self.word(expr, "`band`", BANDS).flatten()
            }
            _ => {
                self.no_word(expr, "`band`", BANDS.iter().map(|(it, _)| *it).chain(["ci", "none"]))
            }
        }
    }

    /// `theory.METRIC`, of the metric that is drawn.
    fn overlay(&mut self, expr: &Expr, y: &Metric) -> Option<String> {
        if let ExprKind::Path(Path { parts, .. }) = &expr.kind
            && let [theory, metric] = &parts[..]
            && theory.node == "theory"
            && metric.node == y.metric
        {
            return Some(metric.node.clone());
        }
        self.out.push(
            Diagnostic::new(&codes::UNKNOWN_NAME, "an overlay is the theory of what is drawn")
                .at(expr.span, format!("expected `theory.{}`", y.metric)),
        );
        None
    }

    /// `{ axis = level, other = [level, level] }`
    pub fn at(&mut self, expr: &Expr) -> Vec<At> {
        let ExprKind::Record(pairs) = &expr.kind else {
            let example = format!("write `{{ {} = LEVEL }}`", self.some_axis());
            let message = "levels are named with their axes here";
            let diagnostic = Diagnostic::new(&codes::WRONG_TYPE, message);
            let label = format!("this is {}", kind_of(expr));
            self.out.push(diagnostic.at(expr.span, label).help(example));
            return Vec::new();
        };
        pairs.iter().filter_map(|(axis, levels)| self.levels(axis, levels)).collect()
    }

    fn levels(&mut self, axis: &Name, levels: &Expr) -> Option<At> {
        let path = Path { parts: vec![axis.clone()], span: axis.span };
        let path = Expr { kind: ExprKind::Path(path), span: axis.span };
        let name = self.axis(&path, &[])?;
        let dimensions = &self.ground.dimensions;
        let dimension = dimensions.iter().find(|it| it.name.node == name)?;
        let items = match &levels.kind {
            ExprKind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(levels),
        };
        let mut found = Vec::new();
        for item in items {
            match dimension.named(item).first() {
                Some(at) => found.push(dimension.levels[*at].label.to_owned()),
                None => self.out.push(dimension.unknown(item)),
            }
        }
        Some(At { axis: name, levels: found })
    }
}

/// A figure of nothing yet.
fn empty() -> Figure {
    Figure {
        name: String::new(),
        kind: FigureKind::Line,
        x: None,
        y: None,
        series: None,
        band: None,
        overlay: None,
        at: Vec::new(),
        color: None,
        averaged: Vec::new(),
    }
}
