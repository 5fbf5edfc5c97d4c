//! Short runs of what `tests/bench/fuzz.rs` does for longer.

use std::path::Path;

use balance::seed::Stream;

use crate::{mutation, survey};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn no_mutation_breaks_a_promise() {
    let (corpus, run) = (mutation::corpus(root()), Stream::new(20));
    let texts = (0..20_000).map(|index| mutation::text(&corpus, &run, index));
    let sound = texts.filter(|text| mutation::examine(text)).count();
    assert!(sound > 1000, "{sound} texts could be formatted");
}

/// A mistake of one key is reported in the statement it was made in, or at the bracket it opened.
#[test]
fn an_edit_is_reported_where_it_was_made() {
    let survey = survey::survey(root(), 40);
    assert!(survey.wrong > 300 && survey.share() >= 0.9, "{survey}");
}
