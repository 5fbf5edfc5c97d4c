//! The comparison: cells in pairs, values by path, results by digest.

use std::collections::{BTreeMap, BTreeSet};

use super::asked;
use super::{Change, Count, Diff, Side, SideCell, SideResult};

/// What differs from `before` to `after`.
pub fn compare(before: &Side, after: &Side) -> Diff {
    let known: BTreeSet<&str> = before.results.iter().map(|it| it.digest.as_str()).collect();
    let (stale, kept) = results(&known, after);
    let missing = after.results.iter().filter(|it| !known.contains(&*it.digest));
    Diff {
        design: after.name.clone(),
        structure: structure(before, after),
        asked: asked::changes(&before.asked, &after.asked),
        changes: changes(before, after),
        stale,
        kept,
        flops: missing.map(|it| it.flops).sum(),
    }
}

/// The results of `after` that are not among the digests `known`, and those that are.
fn results(known: &BTreeSet<&str>, after: &Side) -> (Vec<Count>, Vec<Count>) {
    let mut names: Vec<&str> = Vec::new();
    for SideResult { name, .. } in &after.results {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let count = |name: &&str, is_known: bool| {
        let all = after.results.iter().filter(|it| it.name == *name);
        let found = all.clone().filter(|it| known.contains(&*it.digest) == is_known);
        Count { name: (*name).to_owned(), count: found.count(), of: all.count() }
    };
    let counts = |is_known| {
        let all = names.iter().map(|name| count(name, is_known));
        all.filter(|it| it.count > 0).collect()
    };
    (counts(false), counts(true))
}

fn structure(before: &Side, after: &Side) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, levels) in &before.axes {
        if !after.axes.iter().any(|(other, _)| other == name) {
            lines.push(format!("- axis {name}: {}", levels.join(" | ")));
        }
    }
    for (name, levels) in &after.axes {
        match before.axes.iter().find(|(other, _)| other == name) {
            None => lines.push(format!("+ axis {name}: {}", levels.join(" | "))),
            Some((_, old)) if old != levels => lines.push(axis_line(name, old, levels)),
            Some(_) => {}
        }
    }
    if before.seeds != after.seeds {
        let list = |seeds: &[u64]| seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        lines.push(format!("seeds {} → {}", list(&before.seeds), list(&after.seeds)));
    }
    if before.axes == after.axes && before.cells.len() != after.cells.len() {
        lines.push(format!("cells {} → {}", before.cells.len(), after.cells.len()));
    }
    lines
}

/// `axis alpha  + 30%  - 50%`
fn axis_line(name: &str, old: &[String], new: &[String]) -> String {
    let gone = old.iter().filter(|it| !new.contains(it)).map(|it| format!("- {it}"));
    let come = new.iter().filter(|it| !old.contains(it)).map(|it| format!("+ {it}"));
    let parts: Vec<String> = gone.chain(come).collect();
    match parts.is_empty() {
        true => format!("axis {name}  its levels in another order"),
        false => format!("axis {name}  {}", parts.join("  ")),
    }
}

/// The cells that stand for each other: those of equal levels on the axes that both have.
fn pairs(before: &Side, after: &Side) -> Vec<(usize, usize)> {
    let common = |side: &Side, other: &Side| -> Vec<usize> {
        let is_common = |(_, axis): &(usize, &(String, Vec<String>))| {
            other.axes.iter().any(|(name, _)| *name == axis.0)
        };
        let mut found: Vec<_> = side.axes.iter().enumerate().filter(is_common).collect();
        found.sort_by_key(|(_, axis)| axis.0.clone());
        found.into_iter().map(|(at, _)| at).collect()
    };
    let key = |cell: &SideCell, axes: &[usize]| -> Vec<String> {
        axes.iter().map(|at| cell.levels[*at].clone()).collect()
    };
    let (old, new) = (common(before, after), common(after, before));
    let mut known = BTreeMap::new();
    for (at, cell) in before.cells.iter().enumerate() {
        known.entry(key(cell, &old)).or_insert(at);
    }
    let cells = after.cells.iter().enumerate();
    cells.filter_map(|(at, cell)| Some((*known.get(&key(cell, &new))?, at))).collect()
}

/// A value before and after.
type Step = (Option<String>, Option<String>);

fn changes(before: &Side, after: &Side) -> Vec<Change> {
    let pairs = pairs(before, after);
    let mut found: Vec<Change> = Vec::new();
    let mut index: BTreeMap<(String, Step), usize> = BTreeMap::new();
    for pair in &pairs {
        for (path, step) in steps(&before.cells[pair.0], &after.cells[pair.1]) {
            let next = found.len();
            let at = *index.entry((path.clone(), step.clone())).or_insert(next);
            if at == next {
                found.push(change(path, step, *pair, pairs.len()));
            }
            found[at].cells += 1;
        }
    }
    let stages = after.cells.first().map_or(&[][..], |cell| &cell.stages);
    shared(found, stages)
}

fn change(path: String, (before, after): Step, pair: (usize, usize), of_cells: usize) -> Change {
    let (whole, follows) = (path.clone(), Vec::new());
    Change { path, before, after, cells: 0, of_cells, place: None, follows, pair, whole }
}

/// The values that differ between two cells, without what follows from a part that came or went.
fn steps(before: &SideCell, after: &SideCell) -> Vec<(String, Step)> {
    let old: BTreeMap<&str, &str> = before.values.iter().map(|(a, b)| (&**a, &**b)).collect();
    let new: BTreeMap<&str, &str> = after.values.iter().map(|(a, b)| (&**a, &**b)).collect();
    let gone = before.values.iter().filter(|(path, _)| !new.contains_key(&**path));
    let paths = after.values.iter().chain(gone).map(|(path, _)| path.as_str());
    let is_new_whole = |path: &str| match (old.get(path), new.get(path)) {
        (Some(a), Some(b)) => a != b && !a.contains(", ") && !b.contains(", ") && !is_list(path),
        (None, None) => false,
        _ => true,
    };
    let follows = |path: &str| {
        let mut above = path.match_indices('.').map(|(at, _)| &path[..at]);
        above.any(|above| {
            is_new_whole(above) && !(path.ends_with(".weight") && has(&old, &new, above))
        })
    };
    let step = |path: &str| {
        let (a, b) = (old.get(path), new.get(path));
        let is_order = is_list(path) && a.is_some() && b.is_some();
        let differs = if is_order { is_reordered(a, b) } else { a != b };
        let text = |it: Option<&&str>| it.map(|it| (*it).to_owned());
        (differs && !follows(path)).then(|| (path.to_owned(), (text(a), text(b))))
    };
    paths.filter_map(step).collect()
}

fn has(old: &BTreeMap<&str, &str>, new: &BTreeMap<&str, &str>, path: &str) -> bool {
    old.contains_key(path) && new.contains_key(path)
}

/// Whether the value of a path is the order of the lines below it.
fn is_list(path: &str) -> bool {
    path.ends_with(".loss") || path.ends_with(".augment")
}

fn is_reordered(a: Option<&&str>, b: Option<&&str>) -> bool {
    let sorted = |it: Option<&&str>| {
        let mut lines: Vec<String> =
            it.into_iter().flat_map(|it| it.split(", ")).map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    a != b && sorted(a) == sorted(b)
}

/// A change that every stage has stands there once, under the path that holds for all of them.
fn shared(found: Vec<Change>, stages: &[String]) -> Vec<Change> {
    let below = |change: &Change| {
        let (stage, rest) = change.path.split_once('.')?;
        stages.iter().any(|it| it == stage).then(|| rest.to_owned())
    };
    let mut all: Vec<Change> = Vec::new();
    for change in &found {
        let rest = below(change);
        let same = |it: &&Change| {
            below(it) == rest
                && (&it.before, &it.after, it.cells)
                    == (&change.before, &change.after, change.cells)
        };
        let is_shared = rest.is_some() && found.iter().filter(same).count() == stages.len();
        let path = rest.filter(|_| is_shared).unwrap_or_else(|| change.path.clone());
        let known = |it: &Change| {
            it.path == path && (&it.before, &it.after) == (&change.before, &change.after)
        };
        if !all.iter().any(known) {
            all.push(Change { path, ..change.clone() });
        }
    }
    let order: Vec<String> = all.iter().map(|change| change.path.clone()).collect();
    all.sort_by_key(|change| order.iter().position(|path| *path == change.path));
    all
}
