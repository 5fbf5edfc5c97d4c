//! A table of results for the terminal, as Markdown, and as CSV.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table as Grid, TableStyle};

use super::terms::term_lines;
use crate::analysis::{Column, SeedValue, Summary, Table};
use crate::plan::stamp_lines;

/// Lines above, below and under the header; none between rows.
const LINES: TableStyle = {
    let line = LineStyle::none().fill('─').junction('─');
    TableStyle::new().top_border(line).header_separator(line).bottom_border(line)
};

/// The table as the terminal shows it, with a line on what the numbers are.
pub fn terminal(table: &Table) -> String {
    let mut grid = Grid::new();
    // On a terminal that is too narrow, cells break into lines.
    grid.load_style(LINES).set_content_arrangement(ContentArrangement::Dynamic);
    let labels = axes(table);
    let count = labels.len();
    let measures = table.columns.iter().map(|it| format!("{}\n{}", it.evaluation, unit(it)));
    grid.set_header(labels.into_iter().chain(measures));
    for cells in rows(table) {
        grid.add_row(cells);
    }
    for at in count..count + table.columns.len() {
        if let Some(column) = grid.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n{}\n{}\n", table.title, grid.trim_fmt(), legend(table))
}

/// The table as Markdown.
pub fn markdown(table: &Table) -> String {
    let line = |cells: Vec<String>| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let labels = axes(table);
    let rule = labels.iter().map(|_| "---").chain(table.columns.iter().map(|_| "---:"));
    let rule = rule.map(str::to_owned).collect();
    let measures = table.columns.iter().map(|it| format!("{} {}", it.evaluation, unit(it)));
    let mut out = line(labels.into_iter().chain(measures).collect()) + &line(rule);
    for cells in rows(table) {
        out.push_str(&line(cells));
    }
    out + &format!("\n{}\n", legend(table).replace('\n', "  \n"))
}

/// Every single value as CSV: one line a cell, measure and seed; where the data name groups, with
/// the group labels behind it.
pub fn csv(table: &Table) -> String {
    let mut out = table.axes.iter().map(|axis| quoted(axis) + ",").collect::<String>();
    let is_stamped = !table.group_labels.is_empty();
    out.push_str("measure,split,seed,value");
    out.push_str(if is_stamped { ",group_labels\n" } else { "\n" });
    for (at, row) in table.rows.iter().enumerate() {
        let labels: String = row.labels.iter().map(|label| quoted(label) + ",").collect();
        for (column, summary) in table.columns.iter().zip(&row.summaries) {
            let measure = quoted(&column.name());
            let mut stamps = table.group_labels.iter();
            let stamp =
                stamps.find(|it| it.evaluation == column.evaluation && it.cells.contains(&at));
            let stamp = stamp.map_or(String::new(), |it| quoted(&it.uses.to_string()));
            let end = if is_stamped { format!(",{stamp}\n") } else { "\n".to_owned() };
            for SeedValue { seed, value } in summary.iter().flat_map(|summary| &summary.values) {
                out.push_str(&format!("{labels}{measure},{},{seed},{value}{end}", column.split));
            }
        }
    }
    out
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

fn axes(table: &Table) -> Vec<String> {
    match table.axes.is_empty() {
        true => vec!["experiment".to_owned()],
        false => table.axes.iter().map(|it| visible(it)).collect(),
    }
}

/// A label on one line, whatever it is made of.
fn visible(label: &str) -> String {
    let sign = |it: char| match it.is_control() {
        true => it.escape_default().to_string(),
        false => it.to_string(),
    };
    label.chars().map(sign).collect()
}

fn unit(column: &Column) -> String {
    let split = if column.split == "test" { "" } else { &*format!("{} ", column.split) };
    let unit = if column.is_share() { " %" } else { "" };
    format!("{split}{}{unit}", column.metric)
}

fn rows(table: &Table) -> impl Iterator<Item = Vec<String>> + '_ {
    table.rows.iter().map(|row| {
        let labels = match row.labels.is_empty() {
            true => vec![table.title.clone()],
            false => row.labels.iter().map(|it| visible(it)).collect(),
        };
        let measures = table.columns.iter().zip(&row.summaries).zip(&row.is_there);
        let cells = measures.map(|((column, it), is_there)| match it {
            Some(summary) => cell(column, summary, table.seeds.len()),
            // What nothing defines is left out of an evaluation that is there.
            None if *is_there => "–".to_owned(),
            None => "failed".to_owned(),
        });
        labels.into_iter().chain(cells).collect()
    })
}

/// `77.1 ± 0.4` for shares, `0.385 ± 0.012` for other numbers; with `(2 of 3)` where seeds failed.
fn cell(column: &Column, summary: &Summary, seeds: usize) -> String {
    let number = |value: f64| match column.is_share() {
        true => format!("{:.1}", value * 100.0),
        false => format!("{value:.3}"),
    };
    let mut text = number(summary.mean);
    if let Some(sd) = summary.sd {
        text += &format!(" ± {}", number(sd));
    }
    if summary.values.len() < seeds {
        text += &format!(" ({} of {seeds})", summary.values.len());
    }
    text
}

/// What the numbers are, and what they owe something to.
fn legend(table: &Table) -> String {
    let stamps = stamp_lines(&table.group_labels, |row| visible(&table.label(row)));
    let terms = term_lines(table, |row| visible(&table.label(row)));
    let lines = [measured(table)].into_iter().chain(stamps).chain(terms);
    lines.collect::<Vec<_>>().join("\n")
}

fn measured(table: &Table) -> String {
    // A column of another split says so itself.
    let is_elsewhere = table.columns.iter().all(|column| column.split != "test");
    let place = if is_elsewhere { "" } else { "on the test split, " };
    match table.seeds.as_slice() {
        [seed] => format!("{place}seed {seed}"),
        seeds if is_elsewhere => format!("mean ± sd over {} seeds", seeds.len()),
        seeds => format!("mean ± sd over {} seeds, on the test split", seeds.len()),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::analysis::Row;

    fn summary(values: &[f64]) -> Option<Summary> {
        let seeds = [7, 8, 9].into_iter();
        Summary::of(
            seeds.zip(values).map(|(seed, value)| SeedValue { seed, value: *value }).collect(),
        )
    }

    /// Two cells of three seeds; one seed of the second failed, and one measure in all of them.
    fn table() -> Table {
        let column = |evaluation: &str, metric: &str| Column {
            evaluation: evaluation.to_owned(),
            metric: metric.to_owned(),
            split: "test".to_owned(),
        };
        let row = |label: &str, summaries: Vec<Option<Summary>>| Row {
            labels: vec![label.to_owned()],
            is_there: summaries.iter().map(Option::is_some).collect(),
            summaries,
        };
        Table {
            title: "methods".to_owned(),
            axes: vec!["method".to_owned()],
            columns: vec![column("fine", "accuracy"), column("geo", "within_variance")],
            rows: vec![
                row("a | b", vec![summary(&[0.5, 0.25, 0.75]), summary(&[0.1, 0.2, 0.3])]),
                row("\"c\", d", vec![summary(&[0.5, 0.25]), None]),
            ],
            seeds: vec![7, 8, 9],
            group_labels: Vec::new(),
            terms: Vec::new(),
        }
    }

    /// One cell, one seed, no axis.
    fn single() -> Table {
        let mut table = table();
        table.axes.clear();
        table.rows.truncate(1);
        table.rows[0].labels.clear();
        table.rows[0].summaries = vec![summary(&[0.5]), summary(&[0.125])];
        table.seeds = vec![7];
        table
    }

    #[test]
    fn terminals_show_mean_and_deviation() {
        expect![[r#"
            methods
            ─────────────────────────────────────────────────
             method                   fine               geo
                                accuracy %   within_variance
            ─────────────────────────────────────────────────
             a | b             50.0 ± 25.0     0.200 ± 0.100
             "c", d   37.5 ± 17.7 (2 of 3)            failed
            ─────────────────────────────────────────────────
            mean ± sd over 3 seeds, on the test split
        "#]]
        .assert_eq(&terminal(&table()));
        expect![[r#"
            methods
            ───────────────────────────────────────────
             experiment         fine               geo
                          accuracy %   within_variance
            ───────────────────────────────────────────
             methods            50.0             0.125
            ───────────────────────────────────────────
            on the test split, seed 7
        "#]]
        .assert_eq(&terminal(&single()));
    }

    #[test]
    fn documents_hold_any_label() {
        expect![[r#"
            | method | fine accuracy % | geo within_variance |
            | --- | ---: | ---: |
            | a \| b | 50.0 ± 25.0 | 0.200 ± 0.100 |
            | "c", d | 37.5 ± 17.7 (2 of 3) | failed |

            mean ± sd over 3 seeds, on the test split
        "#]]
        .assert_eq(&markdown(&table()));
        expect![[r#"
            | experiment | fine accuracy % | geo within_variance |
            | --- | ---: | ---: |
            | methods | 50.0 | 0.125 |

            on the test split, seed 7
        "#]]
        .assert_eq(&markdown(&single()));
    }

    /// What is left out of an evaluation that is there has not failed; a table of other splits than
    /// the test split does not speak of that.
    #[test]
    fn what_is_left_out_has_not_failed() {
        let mut table = table();
        assert!(terminal(&table).contains("failed"));
        table.rows[1].is_there[1] = true;
        assert!(terminal(&table).contains('–') && !terminal(&table).contains("failed"));
        assert!(terminal(&table).contains("on the test split"));
        table.columns.iter_mut().for_each(|column| column.split = "train".to_owned());
        assert!(!terminal(&table).contains("test"));
    }

    #[test]
    fn a_label_stays_on_its_line() {
        let mut table = single();
        table.axes = vec!["method".to_owned()];
        table.rows[0].labels = vec!["a\nb\u{1b}[31m é".to_owned()];
        assert!(markdown(&table).contains("| a\\nb\\u{1b}[31m é | 50.0 |"), "{}", markdown(&table));
        assert!(terminal(&table).contains(" a\\nb\\u{1b}[31m é "), "{}", terminal(&table));
    }

    #[test]
    fn programs_read_every_seed() {
        expect![[r#"
            method,measure,split,seed,value
            a | b,fine.accuracy,test,7,0.5
            a | b,fine.accuracy,test,8,0.25
            a | b,fine.accuracy,test,9,0.75
            a | b,geo.within_variance,test,7,0.1
            a | b,geo.within_variance,test,8,0.2
            a | b,geo.within_variance,test,9,0.3
            """c"", d",fine.accuracy,test,7,0.5
            """c"", d",fine.accuracy,test,8,0.25
        "#]]
        .assert_eq(&csv(&table()));
        expect![[r#"
            measure,split,seed,value
            fine.accuracy,test,7,0.5
            geo.within_variance,test,7,0.125
        "#]]
        .assert_eq(&csv(&single()));
    }
}
