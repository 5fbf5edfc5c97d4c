//! A plan as a picture: data, encoders, terms and evaluations, and what reads what.

mod build;
mod layout;
mod svg;
mod text;

pub use build::graph;
pub use svg::svg;
pub use text::{dot, mermaid};

/// What of a plan is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Each training as one box.
    Stages,
    /// What each training is made of.
    Model,
    /// The terms of each loss.
    Loss,
    /// The model and the evaluations.
    All,
}

/// Boxes in columns, and arrows between them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    pub title: String,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// The titles of the frames around the boxes of a stage.
    pub groups: Vec<String>,
}

/// A box.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub kind: NodeKind,
    pub title: String,
    pub lines: Vec<String>,
    /// The frame it stands in.
    pub group: Option<usize>,
}

/// What a box stands for; the order is that of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeKind {
    Data,
    Augment,
    Encoder,
    Term,
    Loss,
    Stage,
    Evaluation,
}

/// An arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    /// It is there in some cells of the sweep only.
    pub is_partial: bool,
}

impl Graph {
    /// Adds a box, unless an equal one outside any frame is there, and gives its number.
    fn node(&mut self, node: Node) -> usize {
        let known = self.nodes.iter().position(|it| node.group.is_none() && *it == node);
        known.unwrap_or_else(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        })
    }

    fn edge(&mut self, from: usize, to: usize, is_partial: bool) {
        self.edges.push(Edge { from, to, is_partial });
    }
}
