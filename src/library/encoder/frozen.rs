//! Networks that are not trained: in a training they do what they do in an evaluation.

use candle_core::{Result, Tensor};

use super::{Encoder, Network};
use crate::catalog::ImageShape;
use crate::kernel::without_gradients;
use crate::library::Library;
use crate::nn::Mode;
use crate::tensor::Scope;

/// The network of `encoder` at `scope`, for images of shape `input`; passed forwards alone where
/// nothing is trained there.
///
/// # Errors
/// Those of building it.
pub fn part(
    encoder: &dyn Encoder,
    library: &Library,
    input: ImageShape,
    scope: &Scope,
) -> Result<Box<dyn Network>> {
    let network = encoder.build_from(library, input, scope)?;
    Ok(if scope.is_frozen() { Box::new(Cut(network)) } else { network })
}

/// `network` as it is, with gradients through it: nothing of it is random or recorded.
pub fn held(network: Box<dyn Network>) -> Box<dyn Network> {
    Box::new(Held(network))
}

struct Held(Box<dyn Network>);

impl Network for Held {
    fn forward(&self, input: &Tensor, _mode: &Mode) -> Result<Tensor> {
        self.0.forward(input, &Mode::Eval)
    }
}

/// No gradient reaches what is before it.
struct Cut(Box<dyn Network>);

impl Network for Cut {
    fn forward(&self, input: &Tensor, _mode: &Mode) -> Result<Tensor> {
        let output = without_gradients(|| self.0.forward(input, &Mode::Eval));
        Ok(output?.detach())
    }
}
