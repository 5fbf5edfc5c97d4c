//! Tables, plans and diagnostics as text: for the terminal, for documents, for programs.

mod audit;
pub mod diagnostics;
mod diff;
mod graph;
mod origins;
mod plan;
mod table;
mod tally;
mod terms;
mod values;

pub use audit::audit;
pub use diff::{Change, Diff, Side, compare, text as diff_text};
pub use graph::{Part as GraphPart, dot, graph, mermaid, svg};
pub use origins::{origins, place};
pub use plan::{StageUse, summary};
pub use table::{csv, markdown, terminal};
pub use tally::tally;
pub use values::{Row, listing, rows, rows_json};
