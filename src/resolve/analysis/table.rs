//! `table NAME { rows columns cell show mark caption }`.

use super::fields::{Fields, word_of};
use super::{Analyst, Mark, Metric, Show, Table};
use crate::diag::{Diagnostic, codes};
use crate::syntax::{Block, Expr, ExprKind, Statement};

const FIELDS: &[&str] = &["rows", "columns", "cell", "show", "mark", "caption"];
/// What rows and columns can be besides axes.
const WORDS: &[&str] = &["metric", "effect", "seed"];
const SHOWS: &[(&str, Show)] = &[
    ("mean_sd", Show::MeanSd),
    ("mean_se", Show::MeanSe),
    ("median_iqr", Show::MedianIqr),
    ("mean", Show::Mean),
];
const MARKS: &[(&str, Mark)] = &[("best", Mark::Best), ("significant", Mark::Significant)];

impl Analyst<'_> {
    /// A table, in a sweep of these statements.
    pub fn table(&mut self, block: &Block, all: &[Statement]) -> Option<Table> {
        let name = self.name_of(block);
        let fields = self.fields(block, FIELDS);
        self.not_empty(&fields);
        let rows = self.needed(&fields, "rows", &self.some_axis());
        let rows = self.axes(rows, WORDS);
        let columns = self.axes(fields.get("columns"), WORDS);
        let used: Vec<&str> = rows.iter().chain(&columns).map(String::as_str).collect();
        self.twice(&fields, &rows, &columns);
        let cell = self.needed(&fields, "cell", &self.example());
        let cell = cell.map(|cell| self.cell(cell, used.contains(&"metric")));
        let show = match fields.get("show") {
            Some(show) => self.show(show),
            None => Some(Show::MeanSd),
        };
        let mark = fields.get("mark").map(|mark| self.marks(mark)).unwrap_or_default();
        let caption = fields.get("caption").and_then(|it| self.text(it, "caption"));
        if used.contains(&"effect") {
            self.needs_comparison(&fields, ["rows", "columns"], "`effect`", all);
        }
        if mark.contains(&Mark::Significant) {
            self.needs_test(&fields, all);
        }
        // Every difference from the baseline is an effect, so nothing is averaged over.
        let averaged = if used.contains(&"effect") { Vec::new() } else { self.averaged(&used) };
        Some(Table {
            name: name?,
            cell: cell??,
            show: show?,
            rows,
            columns,
            mark,
            caption,
            averaged,
        })
    }

    /// A table has at least one row and one number in a cell.
    fn not_empty(&mut self, fields: &Fields) {
        for (name, example) in [("rows", self.some_axis()), ("cell", self.example())] {
            let Some(expr) = fields.get(name) else { continue };
            if matches!(&expr.kind, ExprKind::List(items) if items.is_empty()) {
                self.out.push(
                    Diagnostic::new(&codes::EMPTY, format!("this table has no `{name}`"))
                        .at(expr.span, format!("for example `{name} = {example}`")),
                );
            }
        }
    }

    /// An axis as an example, where the sweep has one.
    pub fn some_axis(&self) -> String {
        self.ground.dimensions.first().map_or("AXIS".to_owned(), |it| it.name.node.clone())
    }

    fn twice(&mut self, fields: &Fields, rows: &[String], columns: &[String]) {
        if let Some(both) = columns.iter().find(|it| rows.contains(it)) {
            self.out.push(
                Diagnostic::new(&codes::DUPLICATE, format!("`{both}` is in rows and in columns"))
                    .at(fields.place("columns"), "a second time")
                    .at(fields.place("rows"), "first here"),
            );
        }
    }

    /// The numbers of a table's cells.
    fn cell(&mut self, expr: &Expr, all: bool) -> Option<Vec<Metric>> {
        let ExprKind::List(items) = &expr.kind else { return self.metrics(expr, all) };
        let metrics: Vec<_> = items.iter().map(|item| self.metrics(item, all)).collect();
        let metrics: Option<Vec<Vec<Metric>>> = metrics.into_iter().collect();
        Some(metrics?.concat())
    }

    fn show(&mut self, expr: &Expr) -> Option<Show> {
        match word_of(expr) {
            Some(word) if word.text == "mean_ci" => self.confidence(&word).map(Show::MeanCi),
            Some(word) if SHOWS.iter().any(|(it, _)| *it == word.text) => {
                self.word(expr, "`show`", SHOWS)
            }
            _ => {
                let words = SHOWS.iter().map(|(word, _)| *word).chain(["mean_ci"]);
                self.no_word(expr, "`show`", words)
            }
        }
    }

    fn marks(&mut self, expr: &Expr) -> Vec<Mark> {
        match &expr.kind {
            ExprKind::None => Vec::new(),
            ExprKind::List(items) => {
                items.iter().filter_map(|item| self.word(item, "`mark`", MARKS)).collect()
            }
            _ => self.word(expr, "`mark`", MARKS).into_iter().collect(),
        }
    }

    /// Reports that a table speaks of a comparison which the sweep does not make.
    fn needs_comparison(
        &mut self,
        fields: &Fields,
        names: [&str; 2],
        what: &str,
        all: &[Statement],
    ) -> bool {
        let is_comparison =
            |it: &Statement| matches!(it, Statement::Block(it) if super::is_compare(it));
        if all.iter().any(is_comparison) {
            return false;
        }
        let given = names.into_iter().find(|name| fields.get(name).is_some());
        let help = format!(
            "add `compare {{ metric = {}; baseline = LEVEL; test = sign_flip(level=5%, correct=holm) }}`",
            self.example()
        );
        self.out.push(
            Diagnostic::new(&codes::MISSING, format!("{what} needs a comparison"))
                .at(fields.place(given.unwrap_or("rows")), "this sweep declares none")
                .help(help),
        );
        true
    }

    /// What is significant is said by a test.
    fn needs_test(&mut self, fields: &Fields, all: &[Statement]) {
        if self.needs_comparison(fields, ["mark", "mark"], "`significant`", all) {
            return;
        }
        let found = &self.found.comparisons;
        let is_tested = found.iter().any(|(comparison, _)| comparison.test.is_some());
        if let (false, Some((_, places))) = (is_tested, found.first()) {
            self.out.push(
                Diagnostic::new(&codes::MISSING, "`significant` needs a test")
                    .at(fields.place("mark"), "nothing says what is significant")
                    .at(places.test, "the comparison makes none"),
            );
        }
    }
}
