//! What differs in meaning between two designs, and which results that makes stale.

mod asked;
mod compare;
mod side;
mod text;

pub use compare::compare;
pub use side::Side;
use side::{SideCell, SideResult};
pub use text::text;

use serde::Serialize;

/// Everything that differs between two designs.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Diff {
    /// The design after the change.
    pub design: String,
    /// Axes, levels and seeds that came or went.
    pub structure: Vec<String>,
    /// What is asked of the results that came, went or changed.
    pub asked: Vec<String>,
    pub changes: Vec<Change>,
    /// Trainings and evaluations of the second design that the first does not have.
    pub stale: Vec<Count>,
    /// Those that both have.
    pub kept: Vec<Count>,
    /// Floating-point operations that what is stale takes.
    pub flops: f64,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pub path: String,
    /// None when it was not there.
    pub before: Option<String>,
    /// None when it is not there any more.
    pub after: Option<String>,
    /// In how many of the cells that both designs have.
    pub cells: usize,
    pub of_cells: usize,
    /// Where the value stands now.
    pub place: Option<String>,
    /// The names whose change it follows.
    pub follows: Vec<String>,
    /// The first of those cells, in either design.
    #[serde(skip)]
    pub pair: (usize, usize),
    /// The path with its stage, which may not be shown.
    #[serde(skip)]
    pub whole: String,
}

/// So many of the trainings or evaluations of one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    pub name: String,
    pub count: usize,
    pub of: usize,
}

impl Diff {
    /// Whether nothing differs that a result depends on, or that is asked of it.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
            && self.structure.is_empty()
            && self.changes.is_empty()
            && self.stale.is_empty()
    }
}
