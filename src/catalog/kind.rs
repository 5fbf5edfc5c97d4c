//! The kinds of component.

/// The kinds of component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Dataset,
    Augment,
    Encoder,
    Projector,
    Decoder,
    Loss,
    Optimizer,
    Schedule,
    Sampler,
    Grouping,
    Evaluation,
}

impl Kind {
    /// Every kind, in reading order.
    pub const ALL: &[Self] = &[
        Self::Dataset,
        Self::Augment,
        Self::Encoder,
        Self::Projector,
        Self::Decoder,
        Self::Loss,
        Self::Optimizer,
        Self::Schedule,
        Self::Sampler,
        Self::Grouping,
        Self::Evaluation,
    ];

    /// The word for one component of this kind.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Augment => "augmentation",
            Self::Encoder => "encoder",
            Self::Projector => "projector",
            Self::Decoder => "decoder",
            Self::Loss => "loss term",
            Self::Optimizer => "optimizer",
            Self::Schedule => "schedule",
            Self::Sampler => "sampler",
            Self::Grouping => "grouping",
            Self::Evaluation => "evaluation",
        }
    }

    /// The folder of its components, under `src/library` and `docs/reference`.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Augment => "augment",
            Self::Encoder => "encoder",
            Self::Projector => "projector",
            Self::Decoder => "decoder",
            Self::Loss => "loss",
            Self::Optimizer => "optimizer",
            Self::Schedule => "schedule",
            Self::Sampler => "sampler",
            Self::Grouping => "grouping",
            Self::Evaluation => "eval",
        }
    }
}
