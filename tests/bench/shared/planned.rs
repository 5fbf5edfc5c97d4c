//! The plan of a design, as the program makes it: shared by benchmarks.

use std::path::Path;

use balance::catalog::Facts;
use balance::diag::{Sources, has_errors};
use balance::library::Library;
use balance::plan::{Plan, check};
use balance::resolve::{Options, load, resolve};

/// The plan of the design `name` in `file`, with datasets below `data`.
///
/// # Panics
/// When there is no such design, or something is wrong with it.
pub fn plan(library: &Library, file: &str, data: &Path, name: &str) -> Plan {
    let mut sources = Sources::default();
    let reader = |path: &Path| std::fs::read(path);
    let (program, mut found) = load(Path::new(file), &mut sources, &reader);
    let (designs, more) = resolve(&program, &library.catalog(), &Options::default());
    found.extend(more);
    let design = designs.iter().find(|design| design.name.node == name).expect("a design");
    let stages = design.cells.iter().flat_map(|cell| &cell.experiment.stages);
    let facts: Facts = library.facts_of(stages.map(|stage| &stage.data.bound), data);
    let (plan, more) = check(design, &facts, None);
    found.extend(more);
    assert!(!has_errors(&found), "{found:#?}");
    plan.unwrap()
}
