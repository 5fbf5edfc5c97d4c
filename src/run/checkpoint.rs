//! The state of a training on disk: one file that is there whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use candle_core::safetensors::load_buffer;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::event::{RunError, first_line};
use crate::graph::Model;
use crate::library::optimizer::Stepper;
use crate::plan::Digest;
use crate::store;

/// The file of tensors in a stage's folder.
pub const FILE: &str = "checkpoint.safetensors";
/// The key of the progress in the file's own metadata.
const KEY: &str = "balance";

/// Named tensors.
pub type State = BTreeMap<String, Tensor>;

/// How far a training is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The digest of the stage.
    pub stage: String,
    /// SHA-256 of the data's content.
    pub content: String,
    /// Steps done.
    pub step: usize,
    /// Sums of each term, then of the total, over the steps of the current epoch, times items.
    pub sums: Vec<f64>,
    /// Items in these sums.
    pub items: usize,
    /// Length of `metrics.jsonl`.
    pub metrics_bytes: u64,
    /// The best state so far, when the best is kept.
    pub best: Option<Best>,
    /// Whether the training is over.
    pub finished: bool,
}

/// A state that was the best when it was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub epoch: usize,
    /// On the validation split.
    pub accuracy: f64,
}

/// Everything needed to go on exactly.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    pub progress: Progress,
    pub model: State,
    pub optimizer: State,
    /// The model of [`Progress::best`].
    pub best: State,
    /// The model after the last step, where a training is over and another state is the model.
    pub last: State,
    /// The average of the weights so far, where one is evaluated in their place.
    pub average: State,
}

impl Checkpoint {
    /// The same as it was before a finished training left the best state in the place of the last.
    pub fn before_its_end(self) -> Self {
        match self.last.is_empty() {
            true => self,
            false => Self { best: self.model, model: self.last, last: State::default(), ..self },
        }
    }

    /// Goes back to where this is; a finished training has no optimizer any more.
    ///
    /// # Errors
    /// When a tensor is missing, or of another shape.
    pub fn restore(&self, model: &Model, stepper: &mut dyn Stepper) -> candle_core::Result<()> {
        model.params().restore(&self.model)?;
        if self.progress.finished { Ok(()) } else { stepper.restore(&self.optimizer) }
    }

    /// Writes the checkpoint into `folder`.
    pub fn save(&self, folder: &Path) -> Result<(), RunError> {
        let path = folder.join(FILE);
        let bytes = self.bytes()?;
        store::write(&path, &bytes).map_err(|error| RunError::io(&path, &error))
    }

    fn bytes(&self) -> Result<Vec<u8>, RunError> {
        let mut tensors: Vec<(String, &Tensor)> = Vec::new();
        for (prefix, state) in self.parts() {
            tensors.extend(state.iter().map(|(name, tensor)| (format!("{prefix}/{name}"), tensor)));
        }
        let json =
            serde_json::to_string(&self.progress).map_err(|error| damaged(&error.to_string()))?;
        let metadata = Some([(KEY.to_owned(), json)].into());
        safetensors::serialize(tensors, metadata).map_err(|error| damaged(&error.to_string()))
    }

    fn parts(&self) -> [(&'static str, &State); 5] {
        let Self { model, optimizer, best, last, average, .. } = self;
        [
            ("model", model),
            ("optimizer", optimizer),
            ("best", best),
            ("last", last),
            ("average", average),
        ]
    }

    /// The checkpoint in `folder`; none when there is none.
    ///
    /// # Errors
    /// When the file is not whole, or not the checkpoint of the stage with `digest`.
    pub fn load(folder: &Path, digest: &Digest, device: &Device) -> Result<Option<Self>, RunError> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RunError::io(&path, &error)),
        };
        let checkpoint = Self::parse(&bytes, device).map_err(|why| spoilt(folder, &why))?;
        let found = &checkpoint.progress.stage;
        match found == digest.text() {
            true => Ok(Some(checkpoint)),
            false => Err(spoilt(folder, &format!("it is of another training, {found}"))),
        }
    }

    /// Refuses to go on with other data than the training began with.
    ///
    /// # Errors
    /// When `content` is not the digest of the data that made this checkpoint.
    pub fn expect_content(&self, folder: &Path, content: &str) -> Result<(), RunError> {
        let known = &self.progress.content;
        match known == content {
            true => Ok(()),
            false => Err(spoilt(folder, &format!("its data were {known}, and are now {content}"))),
        }
    }

    fn parse(bytes: &[u8], device: &Device) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
        let json = header.metadata().as_ref().and_then(|it| it.get(KEY));
        let json = json.ok_or("it is not one of balance's")?;
        let progress = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let mut checkpoint = Self { progress, ..Self::default() };
        let tensors = load_buffer(bytes, device).map_err(|error| first_line(&error))?;
        for (name, tensor) in BTreeMap::from_iter(tensors) {
            checkpoint.place(&name, tensor);
        }
        Ok(checkpoint)
    }

    fn place(&mut self, name: &str, tensor: Tensor) {
        let (part, name) = name.split_once('/').unwrap_or_default();
        let state = match part {
            "model" => &mut self.model,
            "optimizer" => &mut self.optimizer,
            "last" => &mut self.last,
            "average" => &mut self.average,
            _ => &mut self.best,
        };
        state.insert(name.to_owned(), tensor);
    }
}

/// A checkpoint in `folder` that cannot be gone on from.
pub fn spoilt(folder: &Path, why: &str) -> RunError {
    RunError::failed(
        format!("{} cannot be used: {why}", folder.join(FILE).display()),
        "remove this folder to train the stage again",
    )
}

fn damaged(why: &str) -> RunError {
    RunError::Failed { message: format!("the checkpoint cannot be written: {why}"), help: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Stream;

    #[test]
    fn every_number_comes_back_to_the_last_bit() {
        let mut stream = Stream::new(1);
        let sums: Vec<f64> = (0..2000).map(|_| stream.normal() * 1e3).collect();
        let best = Some(Best { epoch: 3, accuracy: stream.uniform() });
        let progress = Progress { sums, best, step: 7, ..Progress::default() };
        let model =
            State::from([("a".to_owned(), Tensor::new(&[1f32, -0.5], &Device::Cpu).unwrap())]);
        let saved = Checkpoint { progress, model, ..Checkpoint::default() };
        let found = Checkpoint::parse(&saved.bytes().unwrap(), &Device::Cpu).unwrap();
        assert!(found.progress == saved.progress);
        assert_eq!(found.model["a"].to_vec1::<f32>().unwrap(), [1.0, -0.5]);
    }
}
