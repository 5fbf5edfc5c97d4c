//! `schema`: the form of what this program writes for other programs.

use super::prompt;
use crate::plan;

/// Arguments of `schema`.
#[derive(clap::Args)]
pub struct SchemaArgs {
    /// What is written
    #[arg(value_enum)]
    of: Written,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Written {
    /// What `plan --json` prints
    Plan,
}

/// Prints a JSON Schema.
pub fn schema(args: &SchemaArgs) -> u8 {
    match args.of {
        Written::Plan => prompt::print(&plan::schema()),
    }
    0
}
