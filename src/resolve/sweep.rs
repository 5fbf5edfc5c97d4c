//! Sweeps to cells: the axes, their product, what is filtered, and the seeds.

use std::collections::BTreeMap;

use super::draft::Section;
use super::experiment::{inherit, plain};
use super::import::Program;
use super::scope::{self, Meaning};
use super::value::{Eval, Params, Want};
use super::{Axis, Cell, Design, Options};
use crate::catalog::{Catalog, Type, Value};
use crate::diag::{Diagnostic, Span, Spanned, closest, codes};
use crate::syntax::{Block, Expr, ExprKind, Field, Name, Op, Path, Statement};

/// More cells than this are a slip.
const MOST_CELLS: usize = 100_000;
/// Blocks and clauses that analyse results.
const ANALYSES: &[&str] = &["table", "figure", "compare"];

/// One thing a level changes.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    Set(Field),
    /// A block laid on top of the experiment's own.
    Lay(Section),
}

#[derive(Debug, Clone)]
struct Level {
    labels: Vec<String>,
    /// The number an axis stands for, where it is one.
    value: Option<Expr>,
    changes: Vec<Change>,
}

struct Dimension {
    names: Vec<Name>,
    levels: Vec<Level>,
    span: Span,
}

/// The blocks that `run` would run: every sweep of the file, or else every experiment.
pub(super) fn chosen<'a>(
    program: &'a Program,
    options: &Options,
    out: &mut Vec<Diagnostic>,
) -> Vec<&'a Block> {
    let Some(root) = program.root() else { return Vec::new() };
    let blocks = |kind: &str| -> Vec<&Block> {
        let statements = root.tree.statements.iter();
        let blocks = statements.filter_map(|statement| match statement {
            Statement::Block(block) if block.label.is_some() => Some(block),
            _ => None,
        });
        blocks.filter(|block| block.kind.node == kind).collect()
    };
    let (sweeps, experiments) = (blocks("sweep"), blocks("experiment"));
    for search in blocks("search") {
        out.push(
            Diagnostic::new(&codes::NOT_YET, "`search` is read but not run by this version")
                .at(search.header, "use `sweep`, which reports every cell"),
        );
    }
    if let Some(name) = &options.only {
        let all = sweeps.iter().chain(&experiments).copied();
        let found: Vec<_> = all.clone().filter(|block| label(block) == name).collect();
        if found.is_empty() {
            let names: Vec<_> = all.map(label).collect();
            let mut diagnostic =
                Diagnostic::new(&codes::EMPTY, format!("nothing in this file is called `{name}`"));
            if let Some(near) = closest(name, names.iter().copied()) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
            out.push(diagnostic.help(format!("it declares {}", names.join(", "))));
        }
        return found;
    }
    match (sweeps.is_empty(), experiments.is_empty()) {
        (false, _) => sweeps,
        (true, false) => experiments,
        (true, true) => {
            let is_library = !root.tree.statements.is_empty();
            let message = if is_library {
                "this file declares no experiment and no sweep"
            } else {
                "this file is empty"
            };
            out.push(
                Diagnostic::new(&codes::EMPTY, message)
                    .help("an experiment is written `experiment NAME { … }`"),
            );
            Vec::new()
        }
    }
}

fn label(block: &Block) -> &str {
    block.label.as_ref().map_or("", |label| &label.node)
}

/// The design of one sweep or experiment.
pub(super) fn design(
    program: &Program,
    catalog: &Catalog,
    options: &Options,
    block: &Block,
    out: &mut Vec<Diagnostic>,
) -> Option<Design> {
    let name = block.label.clone()?;
    let mut reader = SweepReader { program, catalog, out };
    if block.kind.node == "experiment" {
        let path = Path { span: name.span, parts: vec![name.clone()] };
        let draft = inherit(program, &path, "experiment", reader.out)?;
        let seeds = Spanned { node: vec![0], span: name.span };
        return reader.cells(draft, name, Vec::new(), seeds, &[], options);
    }
    let Some(of) = &block.of else {
        reader.out.push(
            Diagnostic::new(&codes::HEADER, "a sweep is of an experiment")
                .at(block.header, "write `sweep NAME of EXPERIMENT { … }`"),
        );
        return None;
    };
    let mut draft = inherit(program, of, "experiment", reader.out)?;
    let parts = reader.body(&block.body, &mut draft);
    let seeds = match parts.seeds {
        Some(field) => reader.seeds(&field)?,
        None => Spanned { node: vec![0], span: name.span },
    };
    reader.check_axes(&parts.dimensions);
    reader.cells(draft, name, parts.dimensions, seeds, &parts.filters, options)
}

#[derive(Default)]
struct Parts {
    dimensions: Vec<Dimension>,
    filters: Vec<Expr>,
    seeds: Option<Field>,
}

struct SweepReader<'a> {
    program: &'a Program,
    catalog: &'a Catalog,
    out: &'a mut Vec<Diagnostic>,
}

impl SweepReader<'_> {
    fn body(&mut self, body: &[Statement], draft: &mut Section) -> Parts {
        let mut parts = Parts::default();
        for statement in body {
            match statement {
                Statement::Block(block) => self.block(block, draft, &mut parts),
                Statement::Where(test) => parts.filters.push(test.clone()),
                Statement::Field(field) => match field.path.single() {
                    Some("seeds") => parts.seeds = Some(field.clone()),
                    Some("design") => self.factorial(field),
                    _ => self.out.extend(draft.set(&field.path.parts, &field.value).err()),
                },
                Statement::Expect(test) => self.later("expect", test.span),
                Statement::Claim { text, .. } => self.later("claim", text.span),
                other => {
                    let mut scratch = Section::of(&empty_block("sweep"), self.out);
                    scratch.add(std::slice::from_ref(other), self.out);
                }
            }
        }
        parts
    }

    fn later(&mut self, what: &str, span: Span) {
        let message = format!("`{what}` is read but not computed by this version");
        self.out.push(
            Diagnostic::new(&codes::NOT_YET, message)
                .at(span, "the table of means is still printed"),
        );
    }

    fn factorial(&mut self, field: &Field) {
        if !matches!(&field.value.kind, ExprKind::Path(path) if path.single() == Some("factorial"))
        {
            self.out.push(
                Diagnostic::new(
                    &codes::NOT_YET,
                    "only `design = factorial` is run by this version",
                )
                .at(field.value.span, "every combination would run"),
            );
        }
    }

    fn block(&mut self, block: &Block, draft: &mut Section, parts: &mut Parts) {
        match block.kind.node.as_str() {
            "grid" => parts.dimensions.extend(self.grid(block)),
            "zip" => parts.dimensions.extend(self.zip(block)),
            "choose" => parts.dimensions.extend(self.choose(block)),
            "toggle" => parts.dimensions.extend(self.toggle(block)),
            kind if ANALYSES.contains(&kind) => self.later(kind, block.header),
            _ => {
                let known = ["grid", "zip", "choose", "toggle", "table", "figure", "compare"];
                let near = closest(&block.kind.node, known);
                if near.is_some() {
                    let message = format!("a sweep has no block `{}`", block.kind.node);
                    self.out.push(Diagnostic::new(&codes::UNKNOWN_BLOCK, message).suggest(
                        block.kind.span,
                        near,
                        "",
                    ));
                    return;
                }
                let mut over = Section::of(&empty_block("sweep"), self.out);
                over.add(&[Statement::Block(block.clone())], self.out);
                draft.merge(&over);
            }
        }
    }

    /// The fields of a `grid` or `zip`, each with its levels.
    fn lists<'b>(&mut self, block: &'b Block) -> Vec<(&'b Field, Vec<(String, Expr)>)> {
        let mut lists = Vec::new();
        for statement in &block.body {
            let Statement::Field(field) = statement else {
                let message = format!("`{}` holds `path = [values]` lines", block.kind.node);
                self.out.push(
                    Diagnostic::new(&codes::UNKNOWN_BLOCK, message)
                        .at(block.header, "in this block"),
                );
                continue;
            };
            if let Some(levels) = self.levels(&field.value) {
                lists.push((field, levels));
            }
        }
        lists
    }

    fn grid(&mut self, block: &Block) -> Vec<Dimension> {
        let lists = self.lists(block);
        lists
            .into_iter()
            .map(|(field, levels)| Dimension {
                names: vec![axis_name(&field.path)],
                levels: levels.into_iter().map(|level| set(field, level)).collect(),
                span: field.path.span,
            })
            .collect()
    }

    fn zip(&mut self, block: &Block) -> Option<Dimension> {
        let lists = self.lists(block);
        let (first, rest) = lists.split_first()?;
        if let Some(other) = rest.iter().find(|(_, levels)| levels.len() != first.1.len()) {
            self.out.push(
                Diagnostic::new(&codes::AXIS_CLASH, "the lists of a `zip` are of one length")
                    .at(first.0.value.span, format!("{} values", first.1.len()))
                    .at(other.0.value.span, format!("{} values", other.1.len())),
            );
            return None;
        }
        let levels = (0..first.1.len()).map(|at| {
            let parts: Vec<Level> =
                lists.iter().map(|(field, levels)| set(field, levels[at].clone())).collect();
            Level {
                labels: parts.iter().flat_map(|level| level.labels.clone()).collect(),
                value: None,
                changes: parts.into_iter().flat_map(|level| level.changes).collect(),
            }
        });
        Some(Dimension {
            levels: levels.collect(),
            names: lists.iter().map(|(field, _)| axis_name(&field.path)).collect(),
            span: block.header,
        })
    }

    fn choose(&mut self, block: &Block) -> Option<Dimension> {
        let name = self.named(block)?;
        let mut levels: Vec<Level> = Vec::new();
        for statement in &block.body {
            let Statement::Block(variant) = statement else {
                self.out.push(
                    Diagnostic::new(&codes::UNKNOWN_BLOCK, "`choose` holds labelled variants")
                        .at(block.header, "write `\"label\" { path = value }` inside"),
                );
                continue;
            };
            let label = match (&variant.label, variant.kind.node.as_str()) {
                (Some(label), "variant") => label.node.clone(),
                _ => variant.kind.node.clone(),
            };
            if levels.iter().any(|level| level.labels[0] == label) {
                let message = format!("the variant `{label}` is given twice");
                self.out.push(
                    Diagnostic::new(&codes::DUPLICATE, message).at(variant.header, "a second time"),
                );
            }
            levels.push(self.variant(label, &variant.body));
        }
        Some(Dimension { names: vec![name], levels, span: block.header })
    }

    fn toggle(&mut self, block: &Block) -> Option<Dimension> {
        let name = self.named(block)?;
        let on = self.variant("on".into(), &block.body);
        let off = self.variant("off".into(), block.otherwise.as_deref().unwrap_or_default());
        Some(Dimension { names: vec![name], levels: vec![on, off], span: block.header })
    }

    fn named(&mut self, block: &Block) -> Option<Name> {
        if block.label.is_none() {
            let kind = &block.kind.node;
            self.out.push(
                Diagnostic::new(&codes::HEADER, format!("`{kind}` needs a name for its axis"))
                    .at(block.header, format!("write `{kind} NAME {{ … }}`")),
            );
        }
        block.label.clone()
    }

    fn variant(&mut self, label: String, body: &[Statement]) -> Level {
        let mut changes = Vec::new();
        for statement in body {
            match statement {
                Statement::Field(field) => changes.push(Change::Set(field.clone())),
                other => {
                    let mut over = Section::of(&empty_block("variant"), self.out);
                    over.add(std::slice::from_ref(other), self.out);
                    changes.push(Change::Lay(over));
                }
            }
        }
        Level { labels: vec![label], value: None, changes }
    }

    /// The labelled values of a list, a record, `linspace` or a range.
    fn levels(&mut self, expr: &Expr) -> Option<Vec<(String, Expr)>> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.levels(inner),
            ExprKind::List(items) if !items.is_empty() => {
                Some(items.iter().map(|item| (level_label(item), item.clone())).collect())
            }
            ExprKind::Record(pairs) if !pairs.is_empty() => {
                Some(pairs.iter().map(|(name, value)| (name.node.clone(), value.clone())).collect())
            }
            ExprKind::Binary { op: Op::Until | Op::Through, .. } => {
                let values = self.integers(expr)?;
                Some(values.into_iter().map(|n| numbered(n as f64, false, expr.span)).collect())
            }
            ExprKind::Call(call) if call.path.single() == Some("linspace") => {
                self.linspace(expr, call)
            }
            ExprKind::Path(path) => {
                let params = Params::new();
                let mut eval = Eval::new(self.program, self.catalog, &params, self.out);
                let (expr, _) = eval.follow(path, "a list")?;
                self.levels(&expr)
            }
            _ => {
                self.out.push(Diagnostic::new(&codes::WRONG_TYPE, "an axis lists its values").at(
                    expr.span,
                    "expected `[a, b]`, `{ \"label\" = a }` or `linspace(a, b, n)`",
                ));
                None
            }
        }
    }

    fn linspace(&mut self, expr: &Expr, call: &crate::syntax::Call) -> Option<Vec<(String, Expr)>> {
        let [first, last, count] = &call.args[..] else {
            self.out.push(
                Diagnostic::new(
                    &codes::MISSING,
                    "`linspace` takes a first value, a last and a count",
                )
                .at(expr.span, "for example `linspace(0%, 100%, 5)`"),
            );
            return None;
        };
        let params = Params::new();
        let mut eval = Eval::new(self.program, self.catalog, &params, self.out);
        let (a, b) = (eval.quantity(&first.value)?, eval.quantity(&last.value)?);
        let ty = Type::Int { name: "count", min: 2, max: 10_000 };
        let want = Want { ty: &ty, name: "count", docs: "" };
        let Value::Int(n) = eval.value(&count.value, &[], want)? else { return None };
        let at = |i: i64| a.value + (b.value - a.value) * i as f64 / (n - 1) as f64;
        Some((0..n).map(|i| numbered(at(i), a.percent || b.percent, expr.span)).collect())
    }

    fn integers(&mut self, expr: &Expr) -> Option<Vec<u64>> {
        let ExprKind::Binary { op, left, right } = &expr.kind else { return None };
        let params = Params::new();
        let mut eval = Eval::new(self.program, self.catalog, &params, self.out);
        let ty = Type::Int { name: "natural", min: 0, max: 1 << 40 };
        let want = Want { ty: &ty, name: "range", docs: "" };
        let (a, b) = (eval.value(left, &[], want)?, eval.value(right, &[], want)?);
        let (Value::Int(a), Value::Int(b)) = (a, b) else { return None };
        let end = if *op == Op::Through { b + 1 } else { b };
        if end <= a || (end - a) as usize > MOST_CELLS {
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, "this range is empty or far too long")
                    .at(expr.span, format!("{} values", (end - a).max(0))),
            );
            return None;
        }
        Some((a as u64..end as u64).collect())
    }

    /// `seeds = 0..3`, `seeds = [1, 2, 3]`.
    fn seeds(&mut self, field: &Field) -> Option<Spanned<Vec<u64>>> {
        let span = field.value.span;
        let node = match &field.value.kind {
            ExprKind::Binary { op: Op::Until | Op::Through, .. } => self.integers(&field.value)?,
            ExprKind::List(items) => {
                let params = Params::new();
                let ty = Type::Int { name: "seed", min: 0, max: 1 << 50 };
                let want = Want { ty: &ty, name: "seeds", docs: "" };
                let mut eval = Eval::new(self.program, self.catalog, &params, self.out);
                let mut seeds = Vec::new();
                for item in items {
                    let Value::Int(seed) = eval.value(item, &[], want)? else { return None };
                    seeds.push(seed as u64);
                }
                seeds
            }
            _ => {
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, "`seeds` is a range or a list")
                        .at(span, "for example `seeds = 0..5` for five seeds"),
                );
                return None;
            }
        };
        if node.is_empty() {
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, "there is no seed to run").at(span, "empty"),
            );
            return None;
        }
        Some(Spanned { node, span })
    }

    fn check_axes(&mut self, dimensions: &[Dimension]) {
        let mut names: Vec<&Name> = Vec::new();
        let mut paths: Vec<(String, Span, usize)> = Vec::new();
        for (at, dimension) in dimensions.iter().enumerate() {
            for name in &dimension.names {
                if let Some(first) = names.iter().find(|other| other.node == name.node) {
                    let message = format!("two axes are called `{}`", name.node);
                    self.out.push(
                        Diagnostic::new(&codes::AXIS_CLASH, message)
                            .at(name.span, "the second")
                            .at(first.span, "the first")
                            .help("use `choose NAME { \"label\" { path = value } }` to name one"),
                    );
                }
                names.push(name);
            }
            for (text, span) in dimension.levels.iter().flat_map(Level::paths) {
                if let Some((_, first, _)) =
                    paths.iter().find(|(other, _, axis)| *other == text && *axis != at)
                {
                    self.out.push(
                        Diagnostic::new(&codes::AXIS_CLASH, format!("two axes set `{text}`"))
                            .at(span, "set here")
                            .at(*first, "and here"),
                    );
                }
                paths.push((text, span, at));
            }
        }
    }

    fn cells(
        &mut self,
        draft: Section,
        name: Name,
        dimensions: Vec<Dimension>,
        seeds: Spanned<Vec<u64>>,
        filters: &[Expr],
        options: &Options,
    ) -> Option<Design> {
        let total =
            dimensions.iter().map(|it| it.levels.len()).try_fold(1usize, |a, b| a.checked_mul(b));
        let total = total.filter(|total| *total <= MOST_CELLS);
        let Some(total) = total else {
            self.out.push(
                Diagnostic::new(
                    &codes::TOO_MANY_CELLS,
                    "this sweep has more cells than can be meant",
                )
                .at(name.span, format!("more than {MOST_CELLS}")),
            );
            return None;
        };
        let mut cells = Vec::new();
        for number in 0..total {
            let levels = digits(number, &dimensions);
            if !self.passes(&dimensions, &levels, filters) {
                continue;
            }
            let experiment = self.cell(draft.clone(), &dimensions, &levels, options);
            cells.extend(experiment.map(|experiment| Cell { levels, experiment }));
            if crate::diag::has_errors(self.out) && number >= 32 {
                break;
            }
        }
        let axes = dimensions
            .iter()
            .map(|dimension| Axis {
                names: dimension.names.iter().map(|name| name.node.clone()).collect(),
                levels: dimension.levels.iter().map(|level| level.labels.clone()).collect(),
                span: dimension.span,
            })
            .collect();
        if cells.is_empty() && !crate::diag::has_errors(self.out) {
            self.out.push(
                Diagnostic::new(&codes::EMPTY, "`where` leaves no cell of this sweep")
                    .at(name.span, "nothing to run"),
            );
        }
        Some(Design { name, axes, seeds, cells })
    }

    fn cell(
        &mut self,
        mut draft: Section,
        dimensions: &[Dimension],
        levels: &[usize],
        options: &Options,
    ) -> Option<super::Experiment> {
        let mut params: Params = BTreeMap::new();
        for (dimension, level) in dimensions.iter().zip(levels) {
            for change in &dimension.levels[*level].changes {
                match change {
                    Change::Set(field) => self.set(&mut draft, &mut params, field),
                    Change::Lay(over) => draft.merge(over),
                }
            }
        }
        for field in &options.set {
            self.check_set(field, dimensions);
            self.set(&mut draft, &mut params, field);
        }
        self.check_params(&params);
        Eval::new(self.program, self.catalog, &params, self.out).experiment(&draft)
    }

    /// Setting a swept path from the command line would silently change the design.
    fn check_set(&mut self, field: &Field, dimensions: &[Dimension]) {
        let text = field.path.text();
        let is_axis = dimensions
            .iter()
            .any(|it| it.levels.iter().flat_map(Level::paths).any(|(path, _)| path == text));
        if is_axis {
            self.out.push(
                Diagnostic::new(&codes::AXIS_CLASH, format!("`{text}` is an axis of this sweep"))
                    .help("`--set` may only change what the sweep does not vary"),
            );
        }
    }

    fn set(&mut self, draft: &mut Section, params: &mut Params, field: &Field) {
        let file = field.path.span.file;
        let found = scope::lookup(self.program, file, &field.path.parts);
        if let Some((file, Meaning::Param(param))) = found {
            params.insert((file, param.name.node.clone()), field.value.clone());
            return;
        }
        self.out.extend(draft.set(&field.path.parts, &field.value).err().map(|diagnostic| {
            let params: Vec<String> = self.params(file);
            match closest(&field.path.text(), params.iter().map(String::as_str)) {
                Some(near) => diagnostic.help(format!("or the parameter `{near}`?")),
                None => diagnostic,
            }
        }));
    }

    fn params(&self, file: u16) -> Vec<String> {
        let Some(module) = self.program.module(file) else { return Vec::new() };
        let of = |module: &super::import::Module, prefix: &str| -> Vec<String> {
            let params = scope::names(module).filter(|(_, it)| matches!(it, Meaning::Param(_)));
            params.map(|(name, _)| format!("{prefix}{}", name.node)).collect()
        };
        let mut all = of(module, "");
        for (alias, target) in &module.imports {
            let target = self.program.module(*target);
            all.extend(target.into_iter().flat_map(|it| of(it, &format!("{alias}."))));
        }
        all
    }

    /// Every parameter's value is of its type and inside its domain.
    fn check_params(&mut self, params: &Params) {
        for module in &self.program.files {
            for (_, meaning) in scope::names(module) {
                let Meaning::Param(param) = meaning else { continue };
                let key = (module.file, param.name.node.clone());
                let value = params.get(&key).unwrap_or(&param.default);
                let mut eval = Eval::new(self.program, self.catalog, params, self.out);
                eval.check_param(param, value);
            }
        }
    }

    /// Whether a cell passes every `where`.
    fn passes(&mut self, dimensions: &[Dimension], levels: &[usize], filters: &[Expr]) -> bool {
        filters.iter().all(|test| {
            let mut filter = Filter { dimensions, levels, out: self.out };
            filter.truth(test).unwrap_or(true)
        })
    }
}

impl Level {
    /// What it sets, as text with its place.
    fn paths(&self) -> impl Iterator<Item = (String, Span)> + '_ {
        self.changes.iter().filter_map(|change| match change {
            Change::Set(field) => Some((field.path.text(), field.path.span)),
            Change::Lay(_) => None,
        })
    }
}

impl Eval<'_> {
    fn check_param(&mut self, param: &crate::syntax::Param, value: &Expr) {
        let Some(ty) = param.ty.as_ref() else { return };
        let Some(found) = param_type(ty) else {
            let message = format!("no type is called `{ty}`");
            let names = PARAM_TYPES.iter().map(|(name, _)| *name);
            let near = closest(&ty.to_string(), names.clone());
            let all = format!("the types are {}", names.collect::<Vec<_>>().join(", "));
            self.out
                .push(Diagnostic::new(&codes::UNKNOWN_NAME, message).suggest(ty.span, near, all));
            return;
        };
        let ParamKind::Plain(ty) = found else {
            return self.check_choice(param, ty, value);
        };
        let docs = param.doc.as_ref().map_or("", |doc| &doc.node);
        let want = Want { ty: &ty, name: &param.name.node, docs };
        if self.value(value, &[], want).is_some() {
            self.check_domain(param, value);
        }
    }

    /// `param tier: one_of("smoke", "cpu") = "smoke"`
    fn check_choice(&mut self, param: &crate::syntax::Param, ty: &Expr, value: &Expr) {
        let ExprKind::Call(call) = &ty.kind else { return };
        let allowed: Vec<String> = call.args.iter().map(|arg| level_label(&arg.value)).collect();
        let given = level_label(value);
        if !allowed.contains(&given) {
            let message = format!("`{}` cannot be `{given}`", param.name.node);
            let near = closest(&given, allowed.iter().map(String::as_str));
            let all = format!("it is one of {}", allowed.join(", "));
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, message).suggest(value.span, near, all),
            );
        }
    }

    fn check_domain(&mut self, param: &crate::syntax::Param, value: &Expr) {
        let Some(domain) = &param.domain else { return };
        let ExprKind::Binary { op: op @ (Op::Until | Op::Through), left, right } = &domain.kind
        else {
            self.out.push(
                Diagnostic::new(&codes::WRONG_TYPE, "a parameter's domain is a range")
                    .at(domain.span, "for example `in 0%..=100%`"),
            );
            return;
        };
        let parts = (self.quantity(value), self.quantity(left), self.quantity(right));
        let (Some(value_at), Some(low), Some(high)) = parts else { return };
        let below = if *op == Op::Until {
            value_at.value < high.value
        } else {
            value_at.value <= high.value
        };
        if value_at.value < low.value || !below {
            let message = format!("`{}` cannot be {}", param.name.node, plain(value));
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, message)
                    .at(value.span, "outside its domain")
                    .at(domain.span, "declared here"),
            );
        }
    }
}

enum ParamKind<'a> {
    Plain(Type),
    Choice(&'a Expr),
}

/// The types a parameter may be declared with.
const PARAM_TYPES: &[(&str, Type)] = &[
    ("int", Type::Int { name: "int", min: -(1 << 50), max: 1 << 50 }),
    (
        "float",
        Type::Real { name: "float", min: f64::NEG_INFINITY, max: f64::INFINITY, open: false },
    ),
    ("bool", Type::Bool),
    ("string", Type::Text),
    ("positive", Type::Real { name: "positive", min: 0.0, max: f64::INFINITY, open: true }),
    ("nonneg", Type::Real { name: "nonneg", min: 0.0, max: f64::INFINITY, open: false }),
    ("fraction", Type::Real { name: "fraction", min: 0.0, max: 1.0, open: false }),
    ("duration", Type::Duration),
];

fn param_type(ty: &Expr) -> Option<ParamKind<'_>> {
    match &ty.kind {
        ExprKind::Path(path) => {
            let name = path.single()?;
            let found = PARAM_TYPES.iter().find(|(known, _)| *known == name);
            found.map(|(_, ty)| ParamKind::Plain(*ty))
        }
        ExprKind::Call(call) if call.path.single() == Some("one_of") => Some(ParamKind::Choice(ty)),
        _ => None,
    }
}

/// A `where` over the labels of one cell.
struct Filter<'a> {
    dimensions: &'a [Dimension],
    levels: &'a [usize],
    out: &'a mut Vec<Diagnostic>,
}

/// One side of a comparison.
#[derive(Debug, Clone)]
struct Side {
    text: String,
    number: Option<f64>,
    is_axis: bool,
}

impl Filter<'_> {
    fn truth(&mut self, test: &Expr) -> Option<bool> {
        match &test.kind {
            ExprKind::Paren(inner) => self.truth(inner),
            ExprKind::Not(inner) => self.truth(inner).map(|it| !it),
            ExprKind::Bool(value) => Some(*value),
            ExprKind::Binary { op: Op::And, left, right } => {
                Some(self.truth(left)? & self.truth(right)?)
            }
            ExprKind::Binary { op: Op::Or, left, right } => {
                Some(self.truth(left)? | self.truth(right)?)
            }
            ExprKind::Binary { op, left, right } => self.compare(*op, left, right, test),
            _ => {
                self.unreadable(test);
                None
            }
        }
    }

    fn unreadable(&mut self, test: &Expr) {
        self.out.push(
            Diagnostic::new(&codes::WRONG_TYPE, "`where` compares axes with their levels")
                .at(test.span, "for example `where alpha != 0%`"),
        );
    }

    fn compare(&mut self, op: Op, left: &Expr, right: &Expr, whole: &Expr) -> Option<bool> {
        let (a, b) = (self.side(left)?, self.side(right)?);
        if !a.is_axis && !b.is_axis {
            let names: Vec<&str> = self
                .dimensions
                .iter()
                .flat_map(|it| it.names.iter().map(|name| name.node.as_str()))
                .collect();
            let near = closest(&a.text, names.iter().copied());
            let all = format!("the axes are {}", names.join(", "));
            let message = format!("no axis is called `{}`", a.text);
            self.out
                .push(Diagnostic::new(&codes::UNKNOWN_NAME, message).suggest(left.span, near, all));
            return None;
        }
        if let (Some(a), Some(b)) = (a.number, b.number) {
            return Some(match op {
                Op::Equal => a == b,
                Op::NotEqual => a != b,
                Op::Less => a < b,
                Op::LessEqual => a <= b,
                Op::Greater => a > b,
                Op::GreaterEqual => a >= b,
                _ => {
                    self.unreadable(whole);
                    return None;
                }
            });
        }
        match op {
            Op::Equal => Some(a.text == b.text),
            Op::NotEqual => Some(a.text != b.text),
            _ => {
                self.unreadable(whole);
                None
            }
        }
    }

    fn side(&mut self, expr: &Expr) -> Option<Side> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.side(inner),
            ExprKind::Binary { op, left, right } => {
                let (a, b) = (self.side(left)?, self.side(right)?);
                let (x, y) = (a.number?, b.number?);
                let value = match op {
                    Op::Add => x + y,
                    Op::Subtract => x - y,
                    Op::Multiply => x * y,
                    Op::Divide => x / y,
                    _ => return None,
                };
                let is_axis = a.is_axis || b.is_axis;
                Some(Side { text: value.to_string(), number: Some(value), is_axis })
            }
            ExprKind::Path(path) => Some(self.axis(path).unwrap_or_else(|| Side {
                text: path.text(),
                number: None,
                is_axis: false,
            })),
            _ => Some(Side { text: level_label(expr), number: literal(expr), is_axis: false }),
        }
    }

    /// The level this cell has on the axis a path names, by its whole path or its last part.
    fn axis(&self, path: &Path) -> Option<Side> {
        let last = &path.parts[path.parts.len() - 1].node;
        for (dimension, level) in self.dimensions.iter().zip(self.levels) {
            if let Some(at) = dimension.names.iter().position(|name| name.node == *last) {
                let level = &dimension.levels[*level];
                let number = level.value.as_ref().and_then(literal);
                return Some(Side { text: level.labels[at].clone(), number, is_axis: true });
            }
        }
        None
    }
}

/// The number an expression is as it stands.
fn literal(expr: &Expr) -> Option<f64> {
    use crate::syntax::Unit;
    match &expr.kind {
        ExprKind::Number { value, unit: Some(Unit::Percent), .. } => Some(value / 100.0),
        ExprKind::Number { value, .. } => Some(*value),
        ExprKind::Negate(inner) => literal(inner).map(|value| -value),
        ExprKind::Paren(inner) => literal(inner),
        _ => None,
    }
}

fn axis_name(path: &Path) -> Name {
    path.parts[path.parts.len() - 1].clone()
}

fn set(field: &Field, (label, value): (String, Expr)) -> Level {
    let change = Change::Set(Field { path: field.path.clone(), value: value.clone() });
    Level { labels: vec![label], value: Some(value), changes: vec![change] }
}

/// A level as the tables show it.
fn level_label(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Text(text) => text.clone(),
        _ => plain(expr),
    }
}

/// A level that was computed, not written.
fn numbered(value: f64, percent: bool, span: Span) -> (String, Expr) {
    let shown = if percent { value * 100.0 } else { value };
    let text = format!("{}", (shown * 1e9).round() / 1e9);
    let unit = percent.then_some(crate::syntax::Unit::Percent);
    let label = if percent { format!("{text}%") } else { text.clone() };
    (label, Expr { kind: ExprKind::Number { text, value: shown, unit }, span })
}

/// The level on each axis of cell `number`; the last axis moves fastest.
fn digits(mut number: usize, dimensions: &[Dimension]) -> Vec<usize> {
    let mut levels = vec![0; dimensions.len()];
    for (at, dimension) in dimensions.iter().enumerate().rev() {
        levels[at] = number % dimension.levels.len();
        number /= dimension.levels.len();
    }
    levels
}

fn empty_block(kind: &str) -> Block {
    let name = Spanned { node: kind.to_owned(), span: Span::default() };
    Block {
        kind: name,
        label: None,
        of: None,
        extends: None,
        body: Vec::new(),
        otherwise: None,
        header: Span::default(),
    }
}
