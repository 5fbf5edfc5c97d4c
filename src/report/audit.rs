//! What the losses of a plan are: axes, nearest form, formulas, what each sees, and where it leads.

use crate::catalog::{Bound, Value, is_unsaid, shown};
use crate::plan::theory::{Theory, is_contrastive, sees, verdict};
use crate::plan::{Plan, Stage, Term};

/// Stages are named with so many of their cells.
const MOST_CELLS: usize = 4;

/// The audit of every stage of `plan` that is told apart by its losses, at the first seed.
pub fn audit(plan: &Plan) -> String {
    let first = plan.seeds.first();
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    for (at, stage) in plan.stages.iter().enumerate().filter(|(_, it)| Some(&it.seed) == first) {
        let of_stage = plan.trials.iter().filter(|trial| trial.stages.contains(&at));
        let cells = of_stage.map(|trial| plan.cell_label(trial.cell));
        let text = of_stage_text(stage);
        let known = match told.iter().position(|(known, _)| *known == text) {
            Some(known) => known,
            None => {
                told.push((text, Vec::new()));
                told.len() - 1
            }
        };
        let all = &mut told[known].1;
        cells.for_each(|cell| {
            if !all.contains(&cell) {
                all.push(cell);
            }
        });
    }
    let text = |(text, cells): &(String, Vec<String>)| text.replacen(CELLS, &few(cells), 1);
    told.iter().map(text).collect::<Vec<_>>().join("\n")
}

/// Where the cells of a stage stand in its text.
const CELLS: &str = "\0";

fn few(cells: &[String]) -> String {
    let shown = cells[..cells.len().min(MOST_CELLS)].join("; ");
    match cells.len().saturating_sub(MOST_CELLS) {
        0 => shown,
        rest => format!("{shown}; and {rest} more"),
    }
}

fn of_stage_text(stage: &Stage) -> String {
    let mut text = format!("stage {}  for {CELLS}\n", stage.name);
    for term in &stage.terms {
        text.push_str(&of_term(stage, term));
    }
    if let Some(theory) = Theory::of(stage) {
        text.push_str(&format!("\n  together\n{theory}"));
    }
    text
}

fn of_term(stage: &Stage, term: &Term) -> String {
    let Bound { spec, .. } = term.call;
    let mut lines = Vec::new();
    if is_contrastive(stage, term) {
        lines.push(("axes", axes(&term.call)));
        lines.extend(nearest(&term.call).map(|form| ("form", form)));
    }
    if let Some(account) = spec.account.map(|account| account(&term.call)) {
        lines.extend(account.unicode.into_iter().map(|line| ("formula", line)));
        lines.extend(account.symbols.into_iter().map(|line| ("where", line)));
        lines.extend(account.latex.into_iter().map(|line| ("LaTeX", line)));
        lines.extend(account.remarks.into_iter().map(|line| ("note", line)));
    }
    let [seen, hidden] = sees(term);
    lines.extend([("sees", seen.to_owned()), ("not seen", hidden.to_owned())]);
    lines.push(("collapse", verdict(stage, term)));
    let is_said = term.formula.parse::<f64>().is_ok() || term.formula == term.weight.to_string();
    let formula = if is_said { String::new() } else { format!("  # {}", term.formula) };
    let mut text = format!("\n  {} = {} * {}{formula}\n", term.name, term.weight, spec.name);
    let mut last = "";
    for (label, line) in lines {
        let shown = if label == last { "" } else { label };
        text.push_str(&format!("    {shown:<9} {line}\n"));
        last = label;
    }
    text
}

/// Every argument but the name of a form.
fn axes(call: &Bound) -> String {
    let form = call.spec.forms.map(|forms| forms.param);
    let args = call.spec.params.iter().zip(call.args.iter());
    let args = args.filter(|(param, _)| Some(param.name) != form);
    let args = args.filter(|(param, value)| !is_unsaid(param, value));
    let shown = args.map(|(param, value)| format!("{}={}", param.name, shown(&param.ty, value)));
    shown.collect::<Vec<_>>().join("  ")
}

/// The form that differs on the fewest axes: the one that is written of several, or the first.
fn nearest(call: &Bound) -> Option<String> {
    let forms = call.spec.forms?;
    let written = match call.value(forms.param) {
        Some(Value::Word(word)) => word.as_str(),
        _ => "",
    };
    let differ = |form: &str| -> Vec<String> {
        let set = call.spec.form(form);
        let others = set.iter().filter(|(param, value)| call.value(param.name) != Some(value));
        let told = others.map(|(param, value)| {
            let here = call.value(param.name).map(|it| shown(&param.ty, it)).unwrap_or_default();
            format!("{}={here}, not {}", param.name, shown(&param.ty, value))
        });
        told.collect()
    };
    let rank = |form: &&&str| (differ(form).len(), **form != written);
    let form = call.spec.form_names().iter().min_by_key(rank)?;
    let axes = differ(form);
    Some(match axes.len() {
        0 => format!("{form}, on every axis"),
        _ => format!("nearest to {form}, but for {}", axes.join("; ")),
    })
}
