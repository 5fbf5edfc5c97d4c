//! A plain convolutional network.

use candle_core::{Result, Tensor};

use super::channels::{Norm, Normalization, Norms};
use super::stored::stored;
use super::{Encoder, Network};
use crate::catalog::{self, Count, ImageShape, Misfit, Place, WeightsFile};
use crate::component;
use crate::kernel::{self, MaxPool};
use crate::nn::{Conv2d, Linear, Mode};
use crate::tensor::Scope;

component! {
    /// A small plain convolutional network.
    ///
    /// For each of its widths a 3 × 3 convolution, normalised and rectified, and then the largest
    /// of each 2 × 2 window while both sides have two pixels or more. The average over the pixels
    /// that are left passes a linear layer. With `norm=none` convolutions have a bias instead.
    /// Weights begin as PyTorch's do, uniform within one over the root of a filter's inputs.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment plain {
    ///   data = digits()
    ///   encoder = cnn(widths=[16, 32], out=32)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Encoder as dyn Encoder, version 1, network network, stored stored;
    cnn => Cnn {
        /// Channels of each convolution, in order.
        widths: Vec<Count> = [Count::from(32), Count::from(64), Count::from(128)],
        /// Width of the embedding.
        out: Count = 128,
        /// What channels are normalised by.
        norm: Option<Norm> = Norm::Batch,
        /// Groups of channels that `norm=group` normalises together; must divide every width.
        groups: Count = 32,
        /// A file of weights to begin with; without one they are drawn.
        init: Option<WeightsFile> = None,
    }
}

/// Windows that halve both sides.
const POOL: MaxPool = MaxPool { side: 2, stride: 2, padding: 0 };

fn is_pooled([height, width]: [usize; 2]) -> bool {
    height.min(width) >= POOL.side
}

fn network(cnn: &Cnn, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    let widths: Vec<usize> = cnn.widths.iter().map(|width| width.get()).collect();
    cnn.norms().map_or(Ok(()), |norms| norms.fits(&widths))?;
    let mut network = catalog::Network::of_images(place.image);
    for width in widths {
        network = network.conv(width, 3, 1);
        network = match cnn.norms() {
            Some(norms) => norms.layer(network, None),
            None => network.channel_bias().kept_beside(),
        };
        if is_pooled([network.shape()[0], network.shape()[1]]) {
            network = network.max_pool(POOL.side, POOL.stride, POOL.padding);
        }
    }
    Ok(network.average_pool().linear(cnn.out.get(), true))
}

impl Cnn {
    fn norms(&self) -> Option<Norms> {
        self.norm.map(|norm| Norms { norm, groups: self.groups.get() })
    }
}

impl Encoder for Cnn {
    fn build(&self, input: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        let mut from = input.channels;
        let mut layers = Vec::new();
        for (index, to) in self.widths.iter().map(|width| width.get()).enumerate() {
            let named = |kind: &str| scope.pp(format_args!("{kind}{}", index + 1));
            let scope = named("conv");
            let conv =
                Conv2d::new(&scope, [from, to], 3, kernel::Conv2d { stride: 1, padding: 1 })?;
            layers.push(match self.norms() {
                Some(norms) => (conv, Some(norms.build(&named("bn"), to)?)),
                None => (conv.with_bias(&scope)?, None),
            });
            from = to;
        }
        let out = Linear::new(&scope.pp("out"), from, self.out.get())?;
        Ok(Box::new(Plain { layers, out }))
    }
}

struct Plain {
    layers: Vec<(Conv2d, Option<Normalization>)>,
    out: Linear,
}

impl Network for Plain {
    fn forward(&self, images: &Tensor, mode: &Mode) -> Result<Tensor> {
        let mut x = images.clone();
        for (conv, norm) in &self.layers {
            let y = conv.forward(&x)?;
            x = match norm {
                Some(norm) => norm.forward(&y, None, true, mode)?,
                None => kernel::relu(&y)?,
            };
            let (_, height, width, _) = x.dims4()?;
            if is_pooled([height, width]) {
                x = kernel::max_pool(&x, POOL)?;
            }
        }
        self.out.forward(&kernel::global_average_pool(&x)?)
    }
}
