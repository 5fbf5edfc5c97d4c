//! A vector of its own for each pixel: embeddings that are free.

use candle_core::{Result, Tensor};

use super::stored::stored;
use super::{Encoder, Network};
use crate::catalog::{self, Count, ImageShape, Misfit, Place, WeightsFile};
use crate::component;
use crate::kernel;
use crate::nn::Mode;
use crate::tensor::{Init, Scope};

component! {
    /// Embeddings that are free: a vector of its own for each pixel.
    ///
    /// The embedding is the sum of the vectors of the pixels, each times its pixel's value: of an
    /// image of `synthetic.free`, which has one white pixel, it is that pixel's vector. The vectors
    /// begin as standard normal draws, so that their directions are uniform on the sphere.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment points {
    ///   data = synthetic.free(classes=4, members=16)
    ///   encoder = free(dim=8)
    ///   views = 2
    ///   loss { sup = supcon(temperature=0.5, pairs=cross) }
    ///   train { optimizer = adamw(lr=0.02, weight_decay=0); batch = 64; for = 500 steps }
    ///   eval { spread = geometry() }
    /// }
    /// ```
    Encoder as dyn Encoder, version 1, network network, stored stored;
    free => Free {
        /// Width of the embedding.
        dim: Count = 8,
        /// A file of weights to begin with; without one they are drawn.
        init: Option<WeightsFile> = None,
    }
}

fn network(free: &Free, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    Ok(catalog::Network::of_images(place.image).flat().linear(free.dim.get(), false))
}

impl Encoder for Free {
    fn build(&self, input: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        let shape = (self.dim.get(), input.size());
        Ok(Box::new(Vectors(scope.var("vectors", shape, Init::Normal { std: 1.0 })?)))
    }
}

/// The vectors `[dim, pixels]`.
struct Vectors(Tensor);

impl Network for Vectors {
    fn forward(&self, images: &Tensor, _mode: &Mode) -> Result<Tensor> {
        kernel::linear(&images.flatten_from(1)?, &self.0, None, false)
    }
}
