//! A multilayer perceptron on the flattened image.

use candle_core::Result;

use super::layers::Perceptron;
use super::stored::{Order, Stored, stored};
use super::{Encoder, Network};
use crate::catalog::{self, Count, ImageShape, Misfit, Place, Positive, WeightsFile};
use crate::component;
use crate::tensor::Scope;

component! {
    /// A multilayer perceptron on the pixels of an image.
    ///
    /// The image as one vector, through linear layers with rectifiers between them. It does not
    /// know which pixels are neighbours. Weights begin as PyTorch's do, uniform within one over the
    /// root of a layer's inputs.
    ///
    /// With `lipschitz = L` the distance of two embeddings is at most `L` times that of the images
    /// the encoder is given: each of its `n` weights is divided by its spectral norm and multiplied
    /// by the `n`th root of `L` (spectral normalisation, Miyato et al., 2018), and rectifiers make
    /// no distance longer. A step of training moves the estimate of each norm by one power
    /// iteration, as PyTorch does; an evaluation goes on until it stands still, so that the bound
    /// holds of what is measured.
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
        /// The most by which the embedding may stretch the distance of two images; without one
        /// there is no bound.
        lipschitz: Option<Positive> = None::<Positive>,
        /// A file of weights to begin with; without one they are drawn.
        init: Option<WeightsFile> = None,
    }
}

fn network(mlp: &Mlp, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    let images = catalog::Network::of_images(place.image);
    let (images, out) = (images.flat(), mlp.out.get());
    Ok(match mlp.lipschitz {
        None => Perceptron::layers(images, &mlp.widths, out),
        Some(bound) => Perceptron::constrained_layers(images, &mlp.widths, out, bound.get()),
    })
}

impl Encoder for Mlp {
    fn build(&self, input: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        let perceptron = Perceptron::new(input.size(), &self.widths, self.out.get(), scope)?;
        Ok(Box::new(match self.lipschitz {
            None => perceptron,
            Some(bound) => perceptron.constrained(bound.get(), scope)?,
        }))
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
