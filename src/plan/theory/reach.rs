//! Evaluations that ask theory of what it does not reach.

use super::stage::Theory;
use crate::diag::{Diagnostic, codes};
use crate::plan::Plan;
use crate::resolve::Design;

/// Each `theory` evaluation that has nothing to say of its stage in any cell, and why.
pub fn out_of_reach(design: &Design, plan: &Plan) -> Vec<Diagnostic> {
    let entries = design.cells.iter().flat_map(|cell| &cell.experiment.evaluations);
    let mut names: Vec<&str> = entries
        .filter(|it| it.call.bound.spec.name == "theory")
        .map(|it| it.name.node.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter_map(|name| unreached(name, design, plan)).collect()
}

fn unreached(name: &str, design: &Design, plan: &Plan) -> Option<Diagnostic> {
    let read = plan.evaluations.iter().filter(|it| it.name == name);
    let reasons: Vec<&str> = read
        .map(|it| match &it.on[..] {
            [only] => Theory::reach(&plan.stages[*only]).err(),
            _ => Some("several encoders are joined"),
        })
        .collect::<Option<_>>()?;
    let experiment = &design.cells.first()?.experiment;
    let entry = experiment.evaluations.iter().find(|it| it.name.node == name)?;
    let diagnostic = Diagnostic::new(&codes::OUT_OF_REACH, "theory says nothing of this stage")
        .at(entry.call.span, "measures the within-class variance and predicts nothing");
    Some(reasons.first().into_iter().fold(diagnostic, |it, why| it.help(*why)))
}
