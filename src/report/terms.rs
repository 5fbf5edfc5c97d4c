//! Loss terms by themselves, before and after embeddings trade places, as lines under a table.

use crate::analysis::{Table, TermRow};

/// A line for each evaluation that measured terms, and each row where there are several; `label`
/// names a row.
pub(super) fn term_lines(table: &Table, label: impl Fn(usize) -> String) -> Vec<String> {
    let is_of_one = |a: &TermRow, b: &TermRow| (&a.evaluation, a.row) == (&b.evaluation, b.row);
    let line = |terms: &[TermRow]| {
        let of = &terms[0];
        let row = match table.rows.len() {
            1 => String::new(),
            _ => format!(" ({})", label(of.row)),
        };
        let terms: Vec<String> = terms.iter().map(term).collect();
        format!("terms of {}{row}, before → after: {}", of.evaluation, terms.join(", "))
    };
    table.terms.chunk_by(is_of_one).map(line).collect()
}

/// `supcon 2.414 → 2.414 (by 3e-8)`, with what it sees where that is more than the class.
fn term(TermRow { term, sees, before, after, .. }: &TermRow) -> String {
    let share = (after - before).abs() / before.abs().max(f64::MIN_POSITIVE);
    let by = match share {
        0.0 => "the same".to_owned(),
        share if share < 1e-3 => format!("by {share:.0e}"),
        share => format!("by {:.1}%", share * 100.0),
    };
    let sees = if *sees == "class" { String::new() } else { format!(", sees the {sees}") };
    format!("{term} {before:.4} → {after:.4} ({by}{sees})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Row;

    #[test]
    fn each_row_has_its_line() {
        let term = |row, term: &str, sees, after| TermRow {
            evaluation: "trade".to_owned(),
            row,
            term: term.to_owned(),
            sees,
            before: 2.0,
            after,
        };
        let row = |label: &str| {
            let (labels, summaries, is_there) = (vec![label.to_owned()], Vec::new(), Vec::new());
            Row { labels, summaries, is_there }
        };
        let table = Table {
            title: "methods".to_owned(),
            axes: vec!["alpha".to_owned()],
            columns: Vec::new(),
            rows: vec![row("0%"), row("50%")],
            seeds: vec![1],
            group_labels: Vec::new(),
            terms: vec![
                term(0, "supcon", "class", 2.0),
                term(0, "recon", "image", 3.0),
                term(1, "supcon", "class", 2.000_000_1),
            ],
        };
        assert_eq!(
            term_lines(&table, |row| table.label(row)),
            [
                "terms of trade (0%), before → after: supcon 2.0000 → 2.0000 (the same), \
                 recon 2.0000 → 3.0000 (by 50.0%, sees the image)",
                "terms of trade (50%), before → after: supcon 2.0000 → 2.0000 (by 5e-8)",
            ]
        );
    }
}
