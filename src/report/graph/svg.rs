//! The graph as a picture that needs no other program: boxes, frames, curved arrows.

use std::fmt::Write;

use super::layout::{HEAD, LINE, Layout, PADDING, Rect, layout};
use super::text::fill;
use super::{Edge, Graph, Node};

const SANS: &str = "Helvetica, Arial, 'DejaVu Sans', sans-serif";
const MONO: &str = "Menlo, Consolas, 'DejaVu Sans Mono', monospace";

/// The graph as SVG.
pub fn svg(graph: &Graph) -> String {
    let layout = layout(graph);
    let is_partial = graph.edges.iter().any(|edge| edge.is_partial);
    let caption = if is_partial { 18.0 } else { 0.0 };
    let (width, height) = (layout.width.ceil(), layout.height.ceil() + caption);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{}</title>\n{DEFINITIONS}\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        escaped(&graph.title)
    );
    for (title, frame) in graph.groups.iter().zip(&layout.frames) {
        out += &framed(title, frame);
    }
    for edge in &graph.edges {
        out += &arrow(graph, &layout, edge);
    }
    for (node, place) in graph.nodes.iter().zip(&layout.nodes) {
        out += &boxed(node, place);
    }
    if is_partial {
        let y = height - 12.0;
        let _ = writeln!(
            out,
            "<text x=\"34\" y=\"{y}\" font-family=\"{SANS}\" font-size=\"11\" \
             fill=\"#555555\">dashed: in some cells of the sweep only</text>"
        );
    }
    out + "</svg>\n"
}

const DEFINITIONS: &str = "<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" \
markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0.8 L7.2 4 L0 7.2 z\" \
fill=\"#555555\"/></marker></defs>\n";

fn framed(title: &str, frame: &Rect) -> String {
    let Rect { x, y, width, height } = frame;
    format!(
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"8\" \
         fill=\"#fcfcfc\" stroke=\"#c4c4c4\"/>\n<text x=\"{:.1}\" y=\"{:.1}\" \
         font-family=\"{SANS}\" font-size=\"12\" fill=\"#555555\">{}</text>\n",
        x + PADDING + 4.0,
        y + 17.0,
        escaped(title)
    )
}

fn boxed(node: &Node, place: &Rect) -> String {
    let Rect { x, y, width, height } = place;
    let (fill, stroke) = fill(node.kind);
    let mut out = format!(
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"5\" \
         fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"1.2\"/>\n<text x=\"{:.1}\" \
         y=\"{:.1}\" font-family=\"{SANS}\" font-size=\"13\" font-weight=\"bold\" \
         fill=\"#1a1a1a\">{}</text>\n",
        x + PADDING,
        y + 18.0,
        escaped(&node.title)
    );
    for (at, line) in node.lines.iter().enumerate() {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-family=\"{MONO}\" font-size=\"11\" \
             fill=\"#333333\" xml:space=\"preserve\">{}</text>",
            x + PADDING,
            y + HEAD + 8.0 + at as f64 * LINE,
            escaped(line)
        );
    }
    out
}

/// An arrow from the right of one box to the left of another; below the boxes that stand between.
fn arrow(graph: &Graph, layout: &Layout, edge: &Edge) -> String {
    let (from, to) = (&layout.nodes[edge.from], &layout.nodes[edge.to]);
    let (start, end) = ((from.right(), from.middle()), (to.x, to.middle()));
    let group = graph.nodes[edge.from].group;
    let passes = layout.columns[edge.to] - layout.columns[edge.from] > 1;
    let path = match group.filter(|_| passes) {
        Some(group) => {
            let frame = layout.frames[group];
            let (low, turn) = (layout.channels[group], from.right() + 48.0);
            let out = format!("M{:.1} {:.1} {}", start.0, start.1, curve(start, (turn, low)));
            format!("{out} H{:.1} {}", frame.right(), curve((frame.right(), low), end))
        }
        None => format!("M{:.1} {:.1} {}", start.0, start.1, curve(start, end)),
    };
    let dash = if edge.is_partial { " stroke-dasharray=\"5 4\"" } else { "" };
    format!(
        "<path d=\"{path}\" fill=\"none\" stroke=\"#555555\" stroke-width=\"1.2\"{dash} \
         marker-end=\"url(#head)\"/>\n"
    )
}

/// A curve that begins and ends horizontally.
fn curve(start: (f64, f64), end: (f64, f64)) -> String {
    let middle = (start.0 + end.0) / 2.0;
    format!("C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}", start.1, end.1, end.0, end.1)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
