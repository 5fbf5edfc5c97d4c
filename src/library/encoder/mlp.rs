//! A multilayer perceptron on the flattened image.

use candle_core::Result;

use super::layers::Perceptron;
use super::stored::{Order, Stored, stored};
use super::{Encoder, Network};
use crate::catalog::{self, Count, ImageShape, Misfit, Place, WeightsFile};
use crate::component;
use crate::tensor::Scope;

component! {
    /// A multilayer perceptron on the pixels of an image.
    ///
    /// The image as one vector, through linear layers with rectifiers between them. It does not
    /// know which pixels are neighbours. Weights begin as PyTorch's do, uniform within one over the
    /// root of a layer's inputs.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment flat {
    ///   data = digits()
    ///   encoder = mlp(widths=[128, 128], out=32)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Encoder as dyn Encoder, version 1, network network, stored stored;
    mlp => Mlp {
        /// Widths of the hidden layers, in order; none makes the encoder one linear map.
        widths: Vec<Count> = [Count::from(256), Count::from(256)],
        /// Width of the embedding.
        out: Count = 128,
        /// A file of weights to begin with; without one they are drawn.
        init: Option<WeightsFile> = None,
    }
}

fn network(mlp: &Mlp, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    let images = catalog::Network::of_images(place.image);
    Ok(Perceptron::layers(images.flat(), &mlp.widths, mlp.out.get()))
}

impl Encoder for Mlp {
    fn build(&self, input: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        Ok(Box::new(Perceptron::new(input.size(), &self.widths, self.out.get(), scope)?))
    }

    /// torchvision counts a rectifier and a dropout behind each layer, and reads an image channel
    /// by channel.
    fn stored(&self, name: &str, dims: &[usize], input: ImageShape) -> Stored {
        let mut stored = Stored::new(name, dims);
        let layer = name.strip_prefix("layer").and_then(|rest| rest.split_once('.'));
        if let Some((Ok(index), part)) = layer.map(|(index, part)| (index.parse::<usize>(), part)) {
            stored.name = format!("{}.{part}", 3 * (index - 1));
            if index == 1 && part == "weight" {
                stored.order = Order::ChannelsFirst(input);
            }
        }
        stored
    }
}
