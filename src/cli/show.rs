//! `show`: an experiment with every value worked out.

use super::plan::json;
use super::workspace::Workspace;
use super::{Target, prompt};
use crate::library::Library;

/// Arguments of `show`.
#[derive(clap::Args)]
pub struct ShowArgs {
    #[command(flatten)]
    target: Target,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the experiment with every value worked out.
pub fn show(library: &Library, args: &ShowArgs) -> u8 {
    let workspace = Workspace::open(library, &args.target);
    if let Some(code) = workspace.report() {
        return code;
    }
    for plan in &workspace.plans {
        prompt::print(&if args.json { json(plan) } else { plan.to_string() });
    }
    0
}
