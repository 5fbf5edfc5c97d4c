//! What encoders and decoders share.

use candle_core::{Result, Tensor};

use crate::catalog::{self, Count};
use crate::nn::{Linear, Mode};
use crate::tensor::Scope;

use super::Network;

/// Linear layers with rectifiers between them.
pub(crate) struct Perceptron {
    layers: Vec<Linear>,
}

impl Perceptron {
    /// The same layers, declared.
    pub(crate) fn layers(
        input: catalog::Network,
        widths: &[Count],
        outputs: usize,
    ) -> catalog::Network {
        let widths = widths.iter().map(|width| width.get()).chain([outputs]);
        widths.fold(input, |network, width| network.linear(width, true))
    }

    /// Layers from `inputs` over `widths` to `outputs` features.
    pub(crate) fn new(
        inputs: usize,
        widths: &[Count],
        outputs: usize,
        scope: &Scope,
    ) -> Result<Self> {
        let hidden = || widths.iter().map(|width| width.get());
        let from = std::iter::once(inputs).chain(hidden());
        let to = hidden().chain(std::iter::once(outputs));
        let layers = from.zip(to).enumerate().map(|(index, (from, to))| {
            Linear::new(&scope.pp(format_args!("layer{}", index + 1)), from, to)
        });
        Ok(Self { layers: layers.collect::<Result<_>>()? })
    }
}

impl Network for Perceptron {
    fn forward(&self, rows: &Tensor, _mode: &Mode) -> Result<Tensor> {
        let mut x = rows.flatten_from(1)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let last = index + 1 == self.layers.len();
            x = if last { layer.forward(&x)? } else { layer.forward_relu(&x)? };
        }
        Ok(x)
    }
}
