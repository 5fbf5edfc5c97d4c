//! A difference as a person reads it.

use super::{Change, Count, Diff};
use crate::plan::amount::{flop, time};

/// One line for each change, and one for what it costs; `rate` is the speed of the machine in
/// operations a second.
pub fn text(diff: &Diff, rate: Option<f64>) -> String {
    if diff.is_empty() {
        return "no difference that changes results\n".to_owned();
    }
    let mut out: String = diff.structure.iter().map(|line| format!("  {line}\n")).collect();
    out.extend(diff.asked.iter().map(|line| format!("  {line}\n")));
    let rows: Vec<[String; 3]> = diff.changes.iter().map(row).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let (paths, values) = (width(0), width(1));
    for [path, value, note] in &rows {
        let line = format!("  {path:<paths$}    {value:<values$}    {note}");
        out += &format!("{}\n", line.trim_end());
    }
    let is_named = !(diff.changes.is_empty() && diff.structure.is_empty());
    if !is_named && !diff.stale.is_empty() {
        out += "  the same values: the data, or a component's version, is another\n";
    }
    out + &results(diff, rate)
}

fn row(change: &Change) -> [String; 3] {
    let value = match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{before} → {after}"),
        (None, Some(after)) => format!("+ {after}"),
        (Some(before), None) => format!("- {before}"),
        (None, None) => String::new(),
    };
    let mut notes: Vec<String> = Vec::new();
    match change.follows.is_empty() {
        true => notes.extend(change.place.clone()),
        false => notes.push(format!("follows {}", change.follows.join(", "))),
    }
    if change.cells < change.of_cells {
        notes.push(format!("in {} of {} cells", change.cells, change.of_cells));
    }
    [change.path.clone(), value, notes.join("  ")]
}

/// `stale: contrast 5 of 5, probe 5 of 5      kept: recon 5 of 5      cost 363 PFLOP, about 3.4 h`
fn results(diff: &Diff, rate: Option<f64>) -> String {
    let list = |word: &str, counts: &[Count]| {
        let parts = counts.iter().map(|it| format!("{} {} of {}", it.name, it.count, it.of));
        let parts: Vec<String> = parts.collect();
        (!parts.is_empty()).then(|| format!("{word}: {}", parts.join(", ")))
    };
    let parts = [list("stale", &diff.stale), list("kept", &diff.kept), cost(diff.flops, rate)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!("  {}\n", parts.join("      ")) }
}

/// What it takes to compute what is stale.
fn cost(flops: f64, rate: Option<f64>) -> Option<String> {
    let time = rate.map_or(String::new(), |rate| format!(", about {}", time(flops / rate)));
    (flops > 0.0).then(|| format!("cost {}{time}", flop(flops)))
}
