//! Where each box stands: a column for each kind, a band for each frame, nothing on top of another.

use super::{Graph, Node};

/// Between a box's border and its text.
pub(super) const PADDING: f64 = 10.0;
/// From one line of text to the next.
pub(super) const LINE: f64 = 15.0;
/// From the top of a box to its first line.
pub(super) const HEAD: f64 = 28.0;
/// The advance of a monospaced character.
const ADVANCE: f64 = 6.7;
/// The advance of a character of a title, wide for most of them.
const TITLE_ADVANCE: f64 = 8.6;
const COLUMN_GAP: f64 = 56.0;
const ROW_GAP: f64 = 16.0;
/// Room around the boxes in a frame, and for its title.
const FRAME: f64 = 14.0;
const FRAME_TITLE: f64 = 26.0;
/// The height that arrows need which pass below the boxes of their frame.
const CHANNEL: f64 = 26.0;
pub(super) const MARGIN: f64 = 20.0;

/// A rectangle.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rect {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Rect {
    pub fn right(&self) -> f64 {
        self.x + self.width
    }

    pub fn middle(&self) -> f64 {
        self.y + self.height / 2.0
    }
}

/// The places of everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Layout {
    pub nodes: Vec<Rect>,
    pub frames: Vec<Rect>,
    /// The height at which arrows pass below the boxes of each frame.
    pub channels: Vec<f64>,
    /// The column of each box.
    pub columns: Vec<usize>,
    pub width: f64,
    pub height: f64,
}

/// Places the boxes of a graph.
pub(super) fn layout(graph: &Graph) -> Layout {
    let columns = columns(graph);
    let count = columns.iter().max().map_or(0, |last| last + 1);
    let mut layout = Layout { columns, ..Layout::default() };
    layout.nodes = graph.nodes.iter().map(size).collect();
    let mut x = MARGIN + FRAME;
    for column in 0..count {
        let members: Vec<usize> = layout.of_column(column);
        let width = members.iter().map(|at| layout.nodes[*at].width).fold(0.0, f64::max);
        for at in members {
            (layout.nodes[at].x, layout.nodes[at].width) = (x, width);
        }
        x += width + COLUMN_GAP;
    }
    layout.width = x - COLUMN_GAP + MARGIN + FRAME;
    layout.bands(graph, count);
    layout.outside(graph, count);
    layout
}

fn size(node: &Node) -> Rect {
    let lines = node.lines.iter().map(|line| line.chars().count() as f64 * ADVANCE);
    let title = node.title.chars().count() as f64 * TITLE_ADVANCE;
    let width = lines.fold(title, f64::max) + 2.0 * PADDING;
    let height =
        HEAD + node.lines.len() as f64 * LINE + if node.lines.is_empty() { 2.0 } else { 4.0 };
    Rect { width, height, ..Rect::default() }
}

/// The kinds that occur, numbered from the left.
fn columns(graph: &Graph) -> Vec<usize> {
    let mut kinds: Vec<_> = graph.nodes.iter().map(|node| node.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let column = |node: &Node| kinds.iter().position(|kind| *kind == node.kind).unwrap_or_default();
    graph.nodes.iter().map(column).collect()
}

impl Layout {
    fn of_column(&self, column: usize) -> Vec<usize> {
        (0..self.columns.len()).filter(|at| self.columns[*at] == column).collect()
    }

    /// The frames one below the other, the boxes of each column in the middle of their frame.
    fn bands(&mut self, graph: &Graph, count: usize) {
        let mut y = MARGIN;
        for group in 0..graph.groups.len() {
            let stacks: Vec<Vec<usize>> = (0..count)
                .map(|column| {
                    let mut members = self.of_column(column);
                    members.retain(|at| graph.nodes[*at].group == Some(group));
                    members
                })
                .collect();
            let height = |stack: &Vec<usize>| self.stacked(stack);
            let tallest = stacks.iter().map(height).fold(0.0, f64::max);
            let top = y + FRAME_TITLE;
            for stack in &stacks {
                let start = top + (tallest - self.stacked(stack)) / 2.0;
                self.stack(stack, start);
            }
            let is_passed = graph.edges.iter().any(|edge| {
                graph.nodes[edge.from].group == Some(group) && graph.nodes[edge.to].group.is_none()
            });
            let channel = if is_passed { CHANNEL } else { FRAME };
            self.channels.push(top + tallest + channel / 2.0);
            self.frames.push(self.frame(&stacks.concat(), y, top + tallest + channel - y));
            y += FRAME_TITLE + tallest + channel + ROW_GAP;
        }
        self.height = if graph.groups.is_empty() { 0.0 } else { y - ROW_GAP + MARGIN };
    }

    fn frame(&self, members: &[usize], y: f64, height: f64) -> Rect {
        let left = members.iter().map(|at| self.nodes[*at].x).fold(f64::MAX, f64::min) - FRAME;
        let right = members.iter().map(|at| self.nodes[*at].right()).fold(0.0, f64::max) + FRAME;
        Rect { x: left, y, width: right - left, height }
    }

    fn stacked(&self, stack: &[usize]) -> f64 {
        let heights: f64 = stack.iter().map(|at| self.nodes[*at].height).sum();
        heights + ROW_GAP * stack.len().saturating_sub(1) as f64
    }

    fn stack(&mut self, stack: &[usize], mut y: f64) {
        for at in stack {
            self.nodes[*at].y = y;
            y += self.nodes[*at].height + ROW_GAP;
        }
    }

    /// The boxes outside any frame, in the middle of their column.
    fn outside(&mut self, graph: &Graph, count: usize) {
        let stacks: Vec<Vec<usize>> = (0..count)
            .map(|column| {
                let mut members = self.of_column(column);
                members.retain(|at| graph.nodes[*at].group.is_none());
                members
            })
            .collect();
        let tallest = stacks.iter().map(|stack| self.stacked(stack)).fold(0.0, f64::max);
        let height = self.height.max(tallest + 2.0 * MARGIN);
        let shift = (height - self.height) / 2.0;
        if self.height > 0.0 {
            let inside = (0..self.nodes.len()).filter(|at| graph.nodes[*at].group.is_some());
            inside.for_each(|at| self.nodes[at].y += shift);
            self.frames.iter_mut().for_each(|frame| frame.y += shift);
            self.channels.iter_mut().for_each(|channel| *channel += shift);
        }
        for stack in &stacks {
            let start = (height - self.stacked(stack)) / 2.0;
            self.stack(stack, start);
        }
        self.height = height;
    }
}
