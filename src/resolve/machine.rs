//! What an experiment asks of the machine it runs on.

use crate::diag::{Span, Spanned};

/// What `run { … }` asks of the machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Machine {
    /// The longest a run may take, in seconds.
    pub limit: Option<Spanned<f64>>,
    /// Where it is said that products of layers are computed in bf16.
    pub half: Option<Span>,
    /// What it trains on; without it a card where there is one.
    pub device: Option<Hardware>,
}

/// What an experiment asks to be trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hardware {
    Cpu,
    Cuda,
}
