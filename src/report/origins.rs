//! Where a value comes from, as text.

use crate::diag::{Sources, Span};
use crate::resolve::{Link, Role};

/// A value with what determines it, one line for each step, the nearest first.
pub fn origins(sources: &Sources, value: &str, links: &[Link]) -> String {
    let rows: Vec<[String; 3]> = links.iter().map(|link| row(sources, link)).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let (first, second) = (width(0), width(1));
    let mut out = format!("  {value}\n");
    for [set, place, note] in &rows {
        let line = format!("    {set:<first$}   {place:<second$}   {note}");
        out += &format!("{}\n", line.trim_end());
    }
    out
}

fn row(sources: &Sources, link: &Link) -> [String; 3] {
    let Link { role, name, text, span, note } = link;
    let set = match (role, name.as_str()) {
        (Role::Replaced, "") => format!("instead of {text}"),
        (_, "") => format!("= {text}"),
        (_, name) => format!("{name} = {text}"),
    };
    [set, span.map_or(String::new(), |span| place(sources, span)), note.clone()]
}

/// `thanos.exp:27`; what the command line says has no lines.
pub fn place(sources: &Sources, span: Span) -> String {
    let name = &sources.get(span.file).name;
    match name.starts_with("--") {
        true => name.clone(),
        false => format!("{name}:{}", sources.line(span)),
    }
}
