//! A table of results for the terminal, as Markdown, and as CSV.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table as Grid};

use crate::analysis::{Column, Summary, Table};

/// The table as the terminal shows it, with a line on what the numbers are.
pub fn terminal(table: &Table) -> String {
    let mut grid = Grid::new();
    grid.load_style(UTF8_HORIZONTAL_ONLY);
    grid.set_header(header(table));
    for cells in rows(table) {
        grid.add_row(cells);
    }
    let labels = label_count(table);
    for at in labels..labels + table.columns.len() {
        if let Some(column) = grid.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n{grid}\n{}\n", table.title, legend(table))
}

/// The table as Markdown.
pub fn markdown(table: &Table) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let header = header(table);
    let labels = label_count(table);
    let rule: Vec<String> =
        (0..header.len()).map(|at| if at < labels { "---" } else { "---:" }.to_owned()).collect();
    let mut out = line(&header) + &line(&rule);
    for cells in rows(table) {
        out.push_str(&line(&cells));
    }
    out + &format!("\n{}\n", legend(table))
}

/// Every single value as CSV: one line a cell, measure and seed.
pub fn csv(table: &Table) -> String {
    let mut out = table.axes.iter().map(|axis| quoted(axis) + ",").collect::<String>();
    out.push_str("measure,split,run,value\n");
    for row in &table.rows {
        for (column, summary) in table.columns.iter().zip(&row.summaries) {
            for (at, value) in summary.iter().flat_map(|summary| summary.values.iter().enumerate()) {
                let labels: String = row.labels.iter().map(|label| quoted(label) + ",").collect();
                out.push_str(&format!(
                    "{labels}{},{},{at},{value}\n",
                    quoted(&column.name()),
                    column.split
                ));
            }
        }
    }
    out
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

fn label_count(table: &Table) -> usize {
    table.axes.len().max(1)
}

fn header(table: &Table) -> Vec<String> {
    let labels = match table.axes.is_empty() {
        true => vec!["experiment".to_owned()],
        false => table.axes.clone(),
    };
    labels.into_iter().chain(table.columns.iter().map(heading)).collect()
}

fn heading(column: &Column) -> String {
    if column.is_share() { format!("{} %", column.name()) } else { column.name() }
}

fn rows(table: &Table) -> impl Iterator<Item = Vec<String>> + '_ {
    table.rows.iter().map(|row| {
        let labels = match row.labels.is_empty() {
            true => vec![table.title.clone()],
            false => row.labels.clone(),
        };
        let cells = table.columns.iter().zip(&row.summaries).map(|(column, it)| cell(column, it));
        labels.into_iter().chain(cells).collect()
    })
}

/// `77.1 ± 0.4` for shares, `0.385 ± 0.012` for other numbers.
fn cell(column: &Column, summary: &Option<Summary>) -> String {
    let Some(summary) = summary else { return "failed".to_owned() };
    let number = |value: f64| match column.is_share() {
        true => format!("{:.1}", value * 100.0),
        false => format!("{value:.3}"),
    };
    match summary.sd {
        Some(sd) => format!("{} ± {}", number(summary.mean), number(sd)),
        None => number(summary.mean),
    }
}

fn legend(table: &Table) -> String {
    match table.seeds {
        1 => "on the test split, one seed".to_owned(),
        seeds => format!("mean ± sd over {seeds} seeds, on the test split"),
    }
}
