//! What the layers of a stage are made of.

use super::{Slice, Stage, Term};
use crate::catalog::{Bound, ImageShape};

/// What the layers of a stage are made of.
pub(super) struct Parts {
    pub encoder: Bound,
    pub projector: Option<Bound>,
    pub image: ImageShape,
    /// With the number of classes it reads, and the part it sees.
    pub terms: Vec<(Bound, usize, Option<Slice>)>,
    /// The networks that are not trained.
    pub frozen: Vec<String>,
}

impl Parts {
    /// Those of `stage`.
    pub fn of(stage: &Stage) -> Self {
        let term = |term: &Term| (term.call.clone(), term.classes.names.len(), term.on);
        Self {
            encoder: stage.encoder.clone(),
            projector: stage.projector.as_ref().map(|projector| projector.call.clone()),
            image: stage.image(),
            terms: stage.terms.iter().map(term).collect(),
            frozen: stage.frozen_networks().to_vec(),
        }
    }

    /// Whether those of `stage` are made of the same.
    pub fn are_of(&self, stage: &Stage) -> bool {
        let terms = self.terms.iter().zip(&stage.terms);
        self.encoder == stage.encoder
            && self.projector.as_ref() == stage.projector.as_ref().map(|it| &it.call)
            && self.image == stage.image()
            && self.frozen == stage.frozen_networks()
            && self.terms.len() == stage.terms.len()
            && terms.into_iter().all(|((call, classes, _), term)| {
                *call == term.call && *classes == term.classes.names.len()
            })
    }
}
