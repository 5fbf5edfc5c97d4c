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
    /// What `check --format json` prints
    Check,
}

const CHECK: &str = include_str!("../../docs/reference/check-1.schema.json");

/// Prints a JSON Schema.
pub fn schema(args: &SchemaArgs) -> u8 {
    match args.of {
        Written::Plan => prompt::print(&plan::schema()),
        Written::Check => prompt::print(CHECK),
    }
    0
}
