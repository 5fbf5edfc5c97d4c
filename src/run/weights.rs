//! Encoders that begin with the weights of a file, or with those that another stage has trained.

use std::path::Path;

use candle_core::{Device, safetensors::load_buffer};

use super::checkpoint::{Checkpoint, spoilt};
use super::event::{RunError, first_line};
use super::readings::off;
use super::session::Surroundings;
use crate::data::weights_content;
use crate::graph::{Model, scalar};
use crate::library::encoder::Encoder;
use crate::library::{self, Library};
use crate::plan::{Stage, Upstream};

/// What the names of an encoder's variables begin with.
const ENCODER: &str = "encoder.";

/// Gives the encoder of `model` the state that `upstream` has kept of it.
///
/// # Errors
/// When that training has left no sound state.
pub fn hand_on(around: &Surroundings, upstream: &Upstream, model: &Model) -> Result<(), RunError> {
    let folder = around.store.trained(&upstream.stage, &upstream.digest);
    let found = Checkpoint::load(&folder, &upstream.digest, around.device)?;
    let found = found.filter(|it| it.progress.finished);
    let found = found.ok_or_else(|| spoilt(&folder, "it is not one of a finished training"))?;
    let mut state = model.params().state()?;
    state.extend(found.model.into_iter().filter(|(name, _)| name.starts_with(ENCODER)));
    model.params().restore(&state).map_err(|error| spoilt(&folder, &first_line(&error)))
}

/// Gives the encoder of `model` the weights that `stage` begins with, where it names a file.
///
/// # Errors
/// When the file is not the one that was planned with, or has numbers that are not finite.
pub fn begin(stage: &Stage, library: &Library, model: &Model) -> Result<(), RunError> {
    let Some(file) = stage.encoder.weights() else { return Ok(()) };
    let failed = |why: String| {
        RunError::failed(format!("{}: {why}", file.path), "`balance check` looks at it again")
    };
    let digest = stage.initial.as_ref().map_or("", |initial| &initial.digest);
    let content = weights_content(Path::new(&file.path), digest).map_err(failed)?;
    let tensors = load_buffer(&content, &Device::Cpu)?;
    let encoder: Box<dyn Encoder> = library::build(&library.encoders, &stage.encoder);
    let params = model.params();
    for (name, var) in params.vars().into_iter().chain(params.buffers()) {
        let Some(name) = name.strip_prefix(ENCODER) else { continue };
        let stored = encoder.stored(name, var.dims(), stage.image());
        let tensor = tensors.get(&stored.name);
        let tensor = tensor.ok_or_else(|| failed(format!("`{}` is missing", stored.name)))?;
        let value = stored.read(tensor)?.to_dtype(var.dtype())?;
        if scalar(&off(&value)?)? != 0.0 {
            return Err(failed(format!("`{}` is not finite", stored.name)));
        }
        var.set(&value.to_device(var.device())?)?;
    }
    Ok(())
}
