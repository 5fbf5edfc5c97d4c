//! An encoder.

use balance::catalog::{self, Count, ImageShape, Misfit, Place};
use balance::component;
use balance::library::encoder::{Encoder, Network};
use balance::nn::{Linear, Mode};
use balance::tensor::Scope;
use candle_core::{Result, Tensor};

component! {
    /// One learned linear map of the pixels, and the cosine of each of its values.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment waves {
    ///   data = digits()
    ///   encoder = fourier(out=64)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Encoder as dyn Encoder, version 1, network network;
    fourier => Fourier {
        /// Width of the embedding.
        out: Count = 64,
    }
}

fn network(fourier: &Fourier, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    Ok(catalog::Network::of_images(place.image).flat().linear(fourier.out.get(), true))
}

impl Encoder for Fourier {
    fn build(&self, input: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        Ok(Box::new(Waves(Linear::new(&scope.pp("map"), input.size(), self.out.get())?)))
    }
}

struct Waves(Linear);

impl Network for Waves {
    fn forward(&self, images: &Tensor, _mode: &Mode) -> Result<Tensor> {
        self.0.forward(&images.flatten_from(1)?)?.cos()
    }
}
