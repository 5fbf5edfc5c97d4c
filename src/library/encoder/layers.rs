//! What encoders and decoders share.

use candle_core::{Result, Tensor};

use crate::catalog::{self, Count};
use crate::nn::{Linear, Mode, Spectral};
use crate::tensor::Scope;

use super::Network;

/// Linear layers with rectifiers between them.
pub(crate) struct Perceptron {
    layers: Vec<(Linear, Option<Spectral>)>,
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

    /// The same layers, each kept at the spectral norm that makes the whole keep within `bound`.
    pub(crate) fn constrained_layers(
        input: catalog::Network,
        widths: &[Count],
        outputs: usize,
        bound: f64,
    ) -> catalog::Network {
        let each = share(bound, widths.len() + 1);
        let widths = widths.iter().map(|width| width.get()).chain([outputs]);
        widths.fold(input, |network, width| network.linear(width, true).constrained(each))
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
            Ok((Linear::new(&scope.pp(format_args!("layer{}", index + 1)), from, to)?, None))
        });
        Ok(Self { layers: layers.collect::<Result<_>>()? })
    }

    /// The same, each layer kept at the spectral norm that makes the whole keep within `bound`.
    pub(crate) fn constrained(mut self, bound: f64, scope: &Scope) -> Result<Self> {
        let each = share(bound, self.layers.len());
        for (index, (layer, spectral)) in self.layers.iter_mut().enumerate() {
            let scope = scope.pp(format_args!("layer{}", index + 1));
            *spectral = Some(layer.spectral(&scope, each)?);
        }
        Ok(self)
    }
}

/// What each of `layers` may stretch so that all together stretch by `bound`.
pub(crate) fn share(bound: f64, layers: usize) -> f64 {
    bound.powf(1.0 / layers as f64)
}

impl Network for Perceptron {
    fn forward(&self, rows: &Tensor, mode: &Mode) -> Result<Tensor> {
        let mut x = rows.flatten_from(1)?;
        for (index, (layer, spectral)) in self.layers.iter().enumerate() {
            let last = index + 1 == self.layers.len();
            let constrained =
                spectral.as_ref().map(|it| layer.constrained(it, mode)).transpose()?;
            let layer = constrained.as_ref().unwrap_or(layer);
            x = if last { layer.forward(&x)? } else { layer.forward_relu(&x)? };
        }
        Ok(x)
    }
}
