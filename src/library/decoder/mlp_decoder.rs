//! A multilayer perceptron from embeddings to pixels.

use candle_core::{Result, Tensor};

use super::Decoder;
use crate::catalog::{self, Count, ImageShape, Misfit, Place};
use crate::component;
use crate::library::encoder::Network;
use crate::library::encoder::layers::Perceptron;
use crate::nn::Mode;
use crate::tensor::Scope;

component! {
    /// A multilayer perceptron from an embedding to the pixels of an image.
    ///
    /// Linear layers with rectifiers between them, the last as wide as an image has numbers.
    ///
    /// Nothing follows the last layer, since images are normalised and have no bounds.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment recon {
    ///   data = digits()
    ///   encoder = mlp()
    ///   loss { mse = class_autoencoder(decoder=mlp_decoder(widths=[128])) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Decoder as dyn Decoder, version 1, network network;
    mlp_decoder => MlpDecoder {
        /// Widths of the hidden layers, in order.
        widths: Vec<Count> = [Count::from(256)],
    }
}

fn network(decoder: &MlpDecoder, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    let embeddings = catalog::Network::new(&[place.dim]);
    let ImageShape { height, width, channels } = place.image;
    let pixels = Perceptron::layers(embeddings, &decoder.widths, place.image.size());
    Ok(pixels.reshaped(&[height, width, channels]))
}

impl Decoder for MlpDecoder {
    fn build(&self, dim: usize, image: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        let perceptron = Perceptron::new(dim, &self.widths, image.size(), scope)?;
        Ok(Box::new(Pixels { perceptron, image }))
    }
}

struct Pixels {
    perceptron: Perceptron,
    image: ImageShape,
}

impl Network for Pixels {
    fn forward(&self, embeddings: &Tensor, mode: &Mode) -> Result<Tensor> {
        let ImageShape { height, width, channels } = self.image;
        let rows = embeddings.dim(0)?;
        self.perceptron.forward(embeddings, mode)?.reshape((rows, height, width, channels))
    }
}
