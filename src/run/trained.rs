//! What a finished training leaves beside its state.

use serde::{Deserialize, Serialize};

use super::checkpoint::Best;
use super::groups::{FoundGroup, Groups};
use super::log::Epoch;
use super::pool::Pool;
use super::stretch::Stretch;
use crate::library::eval::Split;
use crate::plan::{GroupLabels, Stage};

/// What a finished training leaves beside its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    pub digest: String,
    pub stage: String,
    pub seed: u64,
    pub data: TrainedOn,
    /// The group labels that were read, where the data name groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_labels: Option<GroupLabels>,
    /// The groups that were found, where some were, with their images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found_groups: Vec<FoundGroup>,
    pub steps: usize,
    /// Trained scalars.
    pub parameters: usize,
    /// The last line of the log.
    pub last_epoch: Epoch,
    /// When the best state was kept: its epoch and accuracy on the validation split.
    pub best: Option<Best>,
    /// How far the kept state carries images apart, where the encoder keeps a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stretch: Option<Stretch>,
}

/// The data of a training, as read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedOn {
    pub dataset: String,
    /// SHA-256 of the content.
    pub sha256: String,
    /// Images of each split.
    pub train: usize,
    pub val: usize,
    pub test: usize,
}

impl Trained {
    /// What `stage` leaves, with its last epoch and the best state that was kept.
    pub(super) fn of(
        stage: &Stage,
        (pool, groups): (&Pool, &Groups),
        parameters: usize,
        (last_epoch, best): (Epoch, Option<Best>),
        stretch: Option<Stretch>,
    ) -> Self {
        let images = |split| pool.indices(split).len();
        Self {
            digest: stage.digest.text().to_owned(),
            stage: stage.name.clone(),
            seed: stage.seed,
            data: TrainedOn {
                dataset: stage.data.call.spec.name.to_owned(),
                sha256: pool.content.clone(),
                train: images(Split::Train),
                val: images(Split::Val),
                test: images(Split::Test),
            },
            group_labels: stage.group_labels.clone(),
            found_groups: groups.counted(stage),
            steps: stage.steps,
            parameters,
            last_epoch,
            best,
            stretch,
        }
    }
}
