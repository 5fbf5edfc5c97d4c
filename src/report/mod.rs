//! Tables and plans as text: for the terminal, for documents, for programs.

mod plan;
mod table;
mod tally;

pub use plan::{StageUse, summary};
pub use table::{csv, markdown, terminal};
pub use tally::tally;
