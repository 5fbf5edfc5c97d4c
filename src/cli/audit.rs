//! `explain loss FILE`: what the losses of an experiment are.

use super::workspace::Workspace;
use super::{Target, prompt};
use crate::library::Library;
use crate::report;

/// The word that stands before the file.
pub const WORD: &str = "loss";

/// Prints the audit of every plan of the file.
pub fn audit(library: &Library, target: &Target) -> u8 {
    let workspace = Workspace::open(library, target);
    if let Some(code) = workspace.report_errors() {
        return code;
    }
    for plan in &workspace.plans {
        if workspace.plans.len() > 1 {
            prompt::print(&format!("{}\n", plan.design));
        }
        prompt::print(&report::audit(plan));
    }
    0
}
