//! Where the values stand that differ, and which names they follow.

use super::open::Opened;
use crate::library::Library;
use crate::report::{Change, Diff, place};
use crate::resolve::{Design, Link, Origins, Role};

use super::super::workspace::Workspace;

/// One design of a file.
#[derive(Clone, Copy)]
struct One<'a> {
    workspace: &'a Workspace,
    design: &'a Design,
    origins: &'a Origins<'a>,
}

impl One<'_> {
    /// Where the value at `path` comes from in a cell.
    fn links(&self, cell: usize, path: &str) -> Vec<Link> {
        let cell = &self.design.cells[cell];
        let values = cell.experiment.values();
        let path = path.strip_prefix("main.").unwrap_or(path);
        let value = values.iter().find(|it| it.path() == path);
        value.map_or(Vec::new(), |value| self.origins.value(cell, value))
    }

    fn place(&self, link: &Link) -> Option<String> {
        link.span.map(|span| place(&self.workspace.sources, span))
    }
}

/// Adds places to the changes of `diff`, and the names whose change some of them follow.
pub(super) fn annotate(
    library: &Library,
    (before, old): (&Opened, usize),
    (after, new): (&Opened, usize),
    diff: &mut Diff,
) {
    let (Opened::File(before), Opened::File(after)) = (before, after) else { return };
    let catalog = library.catalog();
    let (old, new) = (&before.designs[old], &after.designs[new]);
    let a = Origins::of(&before.program, &catalog, &before.options, old);
    let b = Origins::of(&after.program, &catalog, &after.options, new);
    let (Some(a), Some(b)) = (a, b) else { return };
    let old = One { workspace: before, design: old, origins: &a };
    let new = One { workspace: after, design: new, origins: &b };
    let mut names: Vec<Change> = Vec::new();
    for change in &mut diff.changes {
        for name in explain(old, new, change) {
            change.follows.push(name.path.clone());
            let is_known = |it: &Change| (&it.path, &it.after) == (&name.path, &name.after);
            if !names.iter().any(is_known) {
                names.push(name);
            }
        }
    }
    names.append(&mut diff.changes);
    diff.changes = names;
}

/// Sets the place of a change, and gives the names that changed with it.
fn explain(old: One, new: One, change: &mut Change) -> Vec<Change> {
    let (first, second) = change.pair;
    let (before, after) = (old.links(first, &change.whole), new.links(second, &change.whole));
    let place_of = |one: One, links: &[Link]| links.iter().find_map(|link| one.place(link));
    change.place = place_of(new, &after).or_else(|| place_of(old, &before));
    let names = after.iter().filter(|link| link.role == Role::Name);
    let changed = |link: &Link| {
        let was = before.iter().find(|it| it.role == Role::Name && it.name == link.name)?;
        (was.text != link.text).then(|| Change {
            path: link.name.clone(),
            before: Some(was.text.clone()),
            after: Some(link.text.clone()),
            place: new.place(link),
            follows: Vec::new(),
            ..change.clone()
        })
    };
    names.filter_map(changed).collect()
}
