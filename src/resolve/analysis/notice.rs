//! What this version checks and does not compute.

use crate::diag::{Diagnostic, Span, codes, or_list};
use crate::syntax::Statement;

/// Analyses are checked, so that files for a later version are sound today.
pub(super) fn not_computed(statements: &[Statement]) -> Option<Diagnostic> {
    let (shown, asserted): (Vec<_>, Vec<_>) =
        statements.iter().map(kind_of).partition(|(kind, _)| !is_asserted(kind));
    let mut kinds: Vec<&str> = shown.iter().chain(&asserted).map(|(kind, _)| *kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() {
        return None;
    }
    let list = or_list(&kinds).replace(" or ", " and ");
    let message = format!("checked, but not computed by this version: {list}");
    let mut diagnostic = Diagnostic::new(&codes::NOT_YET, message);
    let labels = [
        (shown, "the table of means is printed all the same"),
        (asserted, "not evaluated: a run does not say whether it holds"),
    ];
    for (places, label) in labels {
        for (at, (_, span)) in places.into_iter().enumerate() {
            diagnostic = diagnostic.at(span, if at == 0 { label } else { "" });
        }
    }
    Some(diagnostic)
}

fn is_asserted(kind: &str) -> bool {
    ["expect", "claim"].contains(&kind)
}

fn kind_of(statement: &Statement) -> (&str, Span) {
    match statement {
        Statement::Block(block) => (&block.kind.node, block.header),
        Statement::Claim { text, .. } => ("claim", text.span),
        Statement::Expect(test) => ("expect", test.span),
        _ => ("", Span::default()),
    }
}
