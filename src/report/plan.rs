//! What a plan will do, before it does it.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table as Grid};

use crate::plan::{Plan, plural};

/// How far one training or evaluation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageUse {
    /// Its result is in the store.
    Cached,
    /// A checkpoint is in the store.
    Begun,
    ToDo,
}

/// The plan in one table: trainings and evaluations by name, how many are shared between cells, how
/// many are done.
pub fn summary(
    plan: &Plan,
    stage_use: impl Fn(usize) -> StageUse,
    evaluation_use: impl Fn(usize) -> StageUse,
) -> String {
    let mut grid = Grid::new();
    grid.load_style(NOTHING);
    grid.set_header(["", "wanted", "shared", "cached", "to do", "steps each", "on"]);
    let (mut total, mut left) = (0, 0);
    for name in names(plan.stages.iter().map(|stage| stage.name.as_str())) {
        let of_name = |at: &usize| plan.stages[*at].name == name;
        let all: Vec<usize> = (0..plan.stages.len()).filter(of_name).collect();
        let wanted = plan.trials.iter().flat_map(|it| &it.stages).filter(|at| of_name(at)).count();
        let steps: Vec<usize> = sorted(all.iter().map(|at| plan.stages[*at].steps));
        let images: Vec<usize> = sorted(all.iter().map(|at| plan.stages[*at].data.division.train));
        let counts = count(&all, wanted, &stage_use);
        (total, left) = (total + all.len(), left + counts.to_do);
        grid.add_row(counts.row(
            &format!("train {name}"),
            &range(&steps),
            &format!("{} images", range(&images)),
        ));
    }
    for name in names(plan.evaluations.iter().map(|it| it.name.as_str())) {
        let of_name = |at: &usize| plan.evaluations[*at].name == name;
        let all: Vec<usize> = (0..plan.evaluations.len()).filter(of_name).collect();
        let wanted = plan.trials.iter().flat_map(|it| &it.evaluations);
        let wanted = wanted.filter(|at| of_name(at)).count();
        let counts = count(&all, wanted, &evaluation_use);
        let component = plan.evaluations[all[0]].call.spec.name;
        grid.add_row(counts.row(&format!("eval {name}"), "", component));
    }
    for at in 1..5 {
        if let Some(column) = grid.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let wanted: usize = plan.trials.iter().map(|trial| trial.stages.len()).sum();
    let mut out = format!("{}  {}\n{}\n", plan.design, plan.size(), grid.trim_fmt());
    out.push_str(&match wanted == total {
        true => format!("{}, {left} to do\n", plural(total, "training")),
        false => format!("{} instead of {wanted}, {left} to do\n", plural(total, "training")),
    });
    out
}

struct Counts {
    wanted: usize,
    shared: usize,
    cached: usize,
    to_do: usize,
    /// Of those to do.
    begun: usize,
}

impl Counts {
    fn row(&self, name: &str, steps: &str, on: &str) -> [String; 7] {
        let number = |n: usize| n.to_string();
        [
            name.to_owned(),
            number(self.wanted),
            number(self.shared),
            number(self.cached),
            match self.begun {
                0 => number(self.to_do),
                begun => format!("{} ({begun} begun)", self.to_do),
            },
            steps.to_owned(),
            on.to_owned(),
        ]
    }
}

fn count(all: &[usize], wanted: usize, state: impl Fn(usize) -> StageUse) -> Counts {
    let are = |wanted| all.iter().filter(|at| state(**at) == wanted).count();
    let (cached, begun) = (are(StageUse::Cached), are(StageUse::Begun));
    Counts { wanted, shared: wanted - all.len(), cached, to_do: all.len() - cached, begun }
}

/// Each name once, in order of appearance.
fn names<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn sorted(values: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut values: Vec<usize> = values.collect();
    values.sort_unstable();
    values
}

fn range(values: &[usize]) -> String {
    match values {
        [] => String::new(),
        [first, .., last] if first != last => format!("{first} to {last}"),
        [first, ..] => first.to_string(),
    }
}
