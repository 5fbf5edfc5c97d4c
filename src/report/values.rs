//! The values of a design by path, each with what it is in the cells of the sweep.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::diag::Span;
use crate::resolve::{Design, Origins, Valued};

/// A path with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub path: String,
    /// The path as it holds for every stage.
    pub shared: Option<String>,
    /// Each value that some cell has, once.
    pub values: Vec<String>,
    /// What it takes.
    pub ty: String,
    /// Where it stands in each cell.
    places: Vec<Span>,
}

impl Row {
    /// Its values on one line.
    pub fn shown(&self) -> String {
        self.values.join(" | ")
    }

    fn add(&mut self, value: String, place: Span) {
        if !self.values.contains(&value) {
            self.values.push(value);
        }
        self.places.push(place);
    }
}

/// Every path of `design` that an override may touch, parameters first. What is the same for all
/// stages, because they take it from the experiment, stands there once.
pub fn rows(design: &Design, origins: &Origins) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    for cell in &design.cells {
        let values = cell.experiment.values().into_iter().map(|it| (it.path(), it));
        for (path, value) in origins.params(cell).into_iter().chain(values) {
            let next = rows.len();
            let at = *index.entry(path.clone()).or_insert(next);
            if at == next {
                let Valued { ref ty, .. } = value;
                let (shared, ty) = (value.shared_path(), ty.clone());
                let (values, places) = (Vec::new(), Vec::new());
                rows.push(Row { path, shared, values, ty, places });
            }
            rows[at].add(value.value, value.span);
        }
    }
    joined(rows, design.cells.first().map_or(0, |cell| cell.experiment.stages.len()))
}

/// The rows with those that are the same for all `stages` joined.
fn joined(rows: Vec<Row>, stages: usize) -> Vec<Row> {
    let mut all: Vec<Row> = Vec::new();
    for row in &rows {
        let same = |it: &&Row| {
            it.shared == row.shared && it.values == row.values && it.places == row.places
        };
        let is_shared = rows.iter().filter(same).count() == stages;
        let Some(shared) = row.shared.as_ref().filter(|_| is_shared) else {
            all.push(row.clone());
            continue;
        };
        if !all.iter().any(|it| it.path == *shared) {
            all.push(Row { path: shared.clone(), ..row.clone() });
        }
    }
    all
}

/// One line for each path, with its type where that is asked for.
pub fn listing(rows: &[Row], with_types: bool) -> String {
    let width = |of: &dyn Fn(&Row) -> String| {
        rows.iter().map(|row| of(row).chars().count()).filter(|it| *it < 48).max().unwrap_or(0)
    };
    let (paths, values) = (width(&|row| row.path.clone()), width(&|row| row.shown()));
    let line = |row: &Row| {
        let (path, shown) = (&row.path, row.shown());
        let line = match with_types {
            true => format!("{path:<paths$}  {shown:<values$}  {}", row.ty),
            false => format!("{path:<paths$}  {shown}"),
        };
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

/// The same for programs, each design with its name; an array where there are several, or none.
pub fn rows_json(designs: &[(String, Vec<Row>)]) -> String {
    let value = match designs {
        [(name, rows)] => design_json(name, rows),
        all => all.iter().map(|(name, rows)| design_json(name, rows)).collect(),
    };
    format!("{value:#}\n")
}

fn design_json(design: &str, rows: &[Row]) -> Value {
    let entry = |row: &Row| {
        let value = json!({ "values": row.values, "type": row.ty });
        (row.path.clone(), value)
    };
    let values: Map<String, Value> = rows.iter().map(entry).collect();
    json!({ "design": design, "values": values })
}
