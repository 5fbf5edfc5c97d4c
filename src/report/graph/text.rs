//! The graph in the languages of other programs: Graphviz and Mermaid.

use std::fmt::Write;

use super::{Graph, NodeKind};

/// The graph for Graphviz.
pub fn dot(graph: &Graph) -> String {
    let mut out = format!("digraph \"{}\" {{\n  rankdir=LR;\n", escaped(&graph.title));
    out += "  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11];\n";
    for (at, node) in graph.nodes.iter().enumerate() {
        let lines: String = node.lines.iter().map(|line| format!("{}\\l", escaped(line))).collect();
        let (title, fill) = (escaped(&node.title), fill(node.kind).0);
        let _ = writeln!(out, "  n{at} [label=\"{title}\\n{lines}\", fillcolor=\"{fill}\"];");
    }
    for (at, title) in graph.groups.iter().enumerate() {
        let _ = writeln!(out, "  subgraph cluster_{at} {{\n    label=\"{}\";", escaped(title));
        let members = graph.nodes.iter().enumerate().filter(|(_, it)| it.group == Some(at));
        let members: Vec<String> = members.map(|(at, _)| format!("n{at};")).collect();
        let _ = writeln!(out, "    {}\n  }}", members.join(" "));
    }
    for edge in &graph.edges {
        let style = if edge.is_partial { " [style=dashed]" } else { "" };
        let _ = writeln!(out, "  n{} -> n{}{style};", edge.from, edge.to);
    }
    out + "}\n"
}

/// The graph for Mermaid.
pub fn mermaid(graph: &Graph) -> String {
    let mut out = "flowchart LR\n".to_owned();
    let node = |at: usize| {
        let node = &graph.nodes[at];
        let lines = [&[format!("<b>{}</b>", coded(&node.title))], &coded_all(&node.lines)[..]];
        format!("n{at}[\"{}\"]", lines.concat().join("<br/>"))
    };
    for (at, title) in graph.groups.iter().enumerate() {
        let _ = writeln!(out, "  subgraph g{at}[\"{}\"]", coded(title));
        for (member, _) in graph.nodes.iter().enumerate().filter(|(_, it)| it.group == Some(at)) {
            let _ = writeln!(out, "    {}", node(member));
        }
        out += "  end\n";
    }
    for (at, _) in graph.nodes.iter().enumerate().filter(|(_, it)| it.group.is_none()) {
        let _ = writeln!(out, "  {}", node(at));
    }
    for edge in &graph.edges {
        let arrow = if edge.is_partial { "-.->" } else { "-->" };
        let _ = writeln!(out, "  n{} {arrow} n{}", edge.from, edge.to);
    }
    out
}

/// The colours of a box: inside, and around it.
pub(super) fn fill(kind: NodeKind) -> (&'static str, &'static str) {
    match kind {
        NodeKind::Data => ("#e6f0fa", "#4a7bab"),
        NodeKind::Augment => ("#f2f2f2", "#8a8a8a"),
        NodeKind::Encoder | NodeKind::Stage => ("#efe9f7", "#7a5fa8"),
        NodeKind::Term => ("#fdf0e1", "#c07f2c"),
        NodeKind::Loss => ("#fbe3dc", "#b5563a"),
        NodeKind::Evaluation => ("#e6f4ea", "#4b8f62"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn coded(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn coded_all(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| coded(line)).collect()
}
