//! What a plan will do, before it does it.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table as Grid};

use crate::plan::amount::{bytes, flop, flops, time};
use crate::plan::theory::theory_lines;
use crate::plan::{Cost, Plan, plural, stamp_lines};

/// How far one training or evaluation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageUse {
    /// Its result is in the store.
    Cached,
    /// A checkpoint is in the store.
    Begun,
    ToDo,
    /// Something is in its place that cannot be used, and why.
    Unusable(String),
}

/// The plan in one table: trainings and evaluations by name, how many are shared between cells, how
/// many are done, and what each costs; `rate` is the speed of the machine in operations a second.
pub fn summary(
    plan: &Plan,
    stages: &[StageUse],
    evaluations: &[StageUse],
    rate: Option<f64>,
) -> String {
    let mut grid = Grid::new();
    grid.load_style(NOTHING);
    grid.set_header(["", "distinct", "shared", "cached", "to do", "FLOPs each", "peak memory"]);
    let rows = of_stages(plan, stages).into_iter().chain(of_evaluations(plan, evaluations));
    rows.for_each(|row| {
        grid.add_row(row.cells());
    });
    for at in 1..5 {
        if let Some(column) = grid.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut out = format!("{}  {}\n{}\n", plan.design, plan.size(), grid.trim_fmt());
    out.push_str(&total(plan, stages, evaluations, rate));
    for power in &plan.analysis.power {
        out.push_str(&format!("{power}\n"));
    }
    for line in plan.capacity_lines() {
        out.push_str(&format!("capacity: {line}\n"));
    }
    let label = |cell| plan.cell_label(cell);
    for line in stamp_lines(&plan.stamps("test"), label) {
        out.push_str(&format!("{line}\n"));
    }
    for line in bound_lines(plan) {
        out.push_str(&line);
    }
    for line in theory_lines(plan) {
        out.push_str(&format!("theory: {line}\n"));
    }
    for state in stages.iter().chain(evaluations) {
        if let StageUse::Unusable(why) = state {
            out.push_str(&format!("not used: {why}\n"));
        }
    }
    out
}

/// `6 trainings instead of 12, 6 to do: 7.9 TFLOP, 3.1 MiB of disk`
fn total(plan: &Plan, stages: &[StageUse], evaluations: &[StageUse], rate: Option<f64>) -> String {
    let all = stages.len();
    let wanted: usize = plan.trials.iter().map(|trial| trial.stages.len()).sum();
    let left = stages.iter().filter(|state| **state != StageUse::Cached).count();
    let trainings = match wanted == all {
        true => plural(all, "training"),
        false => format!("{} instead of {wanted}", plural(all, "training")),
    };
    let open = |(state, cost): (&StageUse, &Cost)| match state {
        StageUse::Cached => 0.0,
        _ => cost.flops,
    };
    let costs =
        plan.stages.iter().map(|it| &it.cost).chain(plan.evaluations.iter().map(|it| &it.cost));
    let work: f64 = stages.iter().chain(evaluations).zip(costs).map(open).sum();
    let mut line = format!("{trainings}, {left} to do");
    if work > 0.0 {
        line.push_str(&format!(": {}, {} of disk", flop(work), bytes(plan.disk_bytes())));
        if let Some(rate) = rate {
            let speed = format!("{}/s, as the last trainings here", flop(rate));
            line.push_str(&format!(", about {} at {speed}", time(work / rate)));
        }
    }
    line + "\n"
}

/// One line for each bound that the encoders of a stage keep.
fn bound_lines(plan: &Plan) -> Vec<String> {
    let bounds = plan.stages.iter().filter_map(|it| Some((&it.name, it.model.lipschitz?)));
    let mut lines: Vec<String> = bounds
        .map(|(name, bound)| format!("bound: {name} stretches distances by at most {bound:.4}\n"))
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

/// All trainings, or all evaluations, of one name.
struct Row<'a> {
    name: String,
    wanted: usize,
    states: Vec<&'a StageUse>,
    costs: Vec<&'a Cost>,
}

fn of_stages<'a>(plan: &'a Plan, states: &'a [StageUse]) -> Vec<Row<'a>> {
    let row = |name: &str| {
        let is_named = |at: &usize| plan.stages[*at].name == name;
        let all: Vec<usize> = (0..plan.stages.len()).filter(is_named).collect();
        let wanted = plan.trials.iter().flat_map(|it| &it.stages).filter(|at| is_named(at));
        Row {
            name: format!("train {name}"),
            wanted: wanted.count(),
            states: all.iter().map(|at| &states[*at]).collect(),
            costs: all.iter().map(|at| &plan.stages[*at].cost).collect(),
        }
    };
    names(plan.stages.iter().map(|stage| stage.name.as_str())).into_iter().map(row).collect()
}

fn of_evaluations<'a>(plan: &'a Plan, states: &'a [StageUse]) -> Vec<Row<'a>> {
    let row = |name: &str| {
        let is_named = |at: &usize| plan.evaluations[*at].name == name;
        let all: Vec<usize> = (0..plan.evaluations.len()).filter(is_named).collect();
        let wanted = plan.trials.iter().flat_map(|it| &it.evaluations).filter(|at| is_named(at));
        Row {
            name: format!("eval {name}"),
            wanted: wanted.count(),
            states: all.iter().map(|at| &states[*at]).collect(),
            costs: all.iter().map(|at| &plan.evaluations[*at].cost).collect(),
        }
    };
    names(plan.evaluations.iter().map(|it| it.name.as_str())).into_iter().map(row).collect()
}

impl Row<'_> {
    fn cells(self) -> [String; 7] {
        let distinct = self.states.len();
        let count = |wanted: &StageUse| self.states.iter().filter(|it| **it == wanted).count();
        let (cached, begun) = (count(&StageUse::Cached), count(&StageUse::Begun));
        let to_do = distinct - cached;
        [
            self.name,
            distinct.to_string(),
            (self.wanted - distinct).to_string(),
            cached.to_string(),
            if begun == 0 { to_do.to_string() } else { format!("{to_do} ({begun} begun)") },
            range(self.costs.iter().map(|cost| cost.flops), flops),
            bytes(self.costs.iter().map(|cost| cost.peak_bytes).max().unwrap_or_default()),
        ]
    }
}

/// What differs as it reads, largest first; of more than two the ends.
fn range(values: impl Iterator<Item = f64>, shown: impl Fn(f64) -> String) -> String {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(|a, b| b.total_cmp(a));
    let mut texts: Vec<String> = values.into_iter().map(shown).collect();
    texts.dedup();
    match &texts[..] {
        [first, _, .., last] if texts.len() > 2 => format!("{last} to {first}"),
        texts => texts.join(" / "),
    }
}

/// Each name once, in order of appearance.
pub(super) fn names<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
