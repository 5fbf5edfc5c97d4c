//! Tables and plans as text: for the terminal, for documents, for programs.

mod origins;
mod plan;
mod table;
mod tally;

pub use origins::origins;
pub use plan::{StageUse, summary};
pub use table::{csv, markdown, terminal};
pub use tally::tally;
