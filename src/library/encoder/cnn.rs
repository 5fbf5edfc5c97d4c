//! A plain convolutional network.

use candle_core::{Result, Tensor};

use super::channels::{Norm, Normalization, Norms};
use super::layers::share;
use super::stored::stored;
use super::{Encoder, Network};
use crate::catalog::{self, Count, ImageShape, Misfit, Place, Positive, Several, WeightsFile};
use crate::component;
use crate::kernel::{self, MaxPool};
use crate::nn::{Conv2d, Linear, Mode, Spectral};
use crate::tensor::Scope;

component! {
    /// A small plain convolutional network.
    ///
    /// For each of its widths a 3 × 3 convolution, normalised and rectified, and then the largest
    /// of each 2 × 2 window while both sides have two pixels or more. The average over the pixels
    /// that are left passes a linear layer. With `norm=none` convolutions have a bias instead.
    /// Weights begin as PyTorch's do, uniform within one over the root of a filter's inputs.
    ///
    /// With `norm=none` it can keep a bound, `lipschitz = L`: the distance of two embeddings is at
    /// most `L` times that of the images the encoder is given. Every weight is divided by its
    /// spectral norm, that of the convolution with its padding and not of the kernel as a matrix
    /// (Gouk et al., 2021), and multiplied so that all layers together stretch by `L`; the largest
    /// of separate windows and rectifiers make no distance longer, and the average over `n` pixels
    /// makes it shorter by the root of `n`. The norms are estimated as in `mlp`.
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
        widths: Several<Count> = [Count::from(32), Count::from(64), Count::from(128)],
        /// Width of the embedding.
        out: Count = 128,
        /// What channels are normalised by.
        norm: Option<Norm> = Norm::Batch,
        /// Groups of channels that `norm=group` normalises together; must divide every width.
        groups: Count = 32,
        /// The most by which the embedding may stretch the distance of two images, with
        /// `norm=none`; without one there is no bound.
        lipschitz: Option<Positive> = None::<Positive>,
        /// A file of weights to begin with; without one they are drawn.
        init: Option<WeightsFile> = None,
    }
}

/// Windows that halve both sides.
const POOL: MaxPool = MaxPool { side: 2, stride: 2, padding: 0 };

fn is_pooled([height, width]: [usize; 2]) -> bool {
    height.min(width) >= POOL.side
}

/// The size of an image behind the windows, if they follow it.
fn pooled([height, width]: [usize; 2]) -> [usize; 2] {
    if is_pooled([height, width]) {
        [height / POOL.side, width / POOL.side]
    } else {
        [height, width]
    }
}

fn network(cnn: &Cnn, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    let widths: Vec<usize> = cnn.widths.iter().map(|width| width.get()).collect();
    cnn.norms().map_or(Ok(()), |norms| norms.fits(&widths))?;
    if cnn.lipschitz.is_some() && cnn.norm.is_some() {
        return Err(normalised());
    }
    let each = cnn.share([place.image.height, place.image.width]);
    let constrained = |network: catalog::Network| match each {
        Some(each) => network.constrained(each),
        None => network,
    };
    let mut network = catalog::Network::of_images(place.image);
    for width in widths {
        network = constrained(network.conv(width, 3, 1));
        network = match cnn.norms() {
            Some(norms) => norms.layer(network, None),
            None => network.channel_bias().kept_beside(),
        };
        if is_pooled([network.shape()[0], network.shape()[1]]) {
            network = network.max_pool(POOL.side, POOL.stride, POOL.padding);
        }
    }
    Ok(constrained(network.average_pool().linear(cnn.out.get(), true)))
}

fn normalised() -> Misfit {
    Misfit {
        param: Some("lipschitz"),
        message: "`cnn` with normalisation has no Lipschitz bound".to_owned(),
        label: "normalisation may divide by next to nothing".to_owned(),
        help: "write `norm=none` beside it".to_owned(),
    }
}

impl Cnn {
    fn norms(&self) -> Option<Norms> {
        self.norm.map(|norm| Norms { norm, groups: self.groups.get() })
    }

    /// What each layer may stretch for images of `size`, where all together keep a bound.
    fn share(&self, mut size: [usize; 2]) -> Option<f64> {
        for _ in self.widths.iter() {
            size = pooled(size);
        }
        let pixels = (size[0] * size[1]) as f64;
        let layers = self.widths.len() + 1;
        self.lipschitz.map(|bound| share(bound.get() * pixels.sqrt(), layers))
    }
}

impl Encoder for Cnn {
    fn build(&self, input: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        let mut from = input.channels;
        let mut layers = Vec::new();
        let mut size = [input.height, input.width];
        let each = self.share(size);
        for (index, to) in self.widths.iter().map(|width| width.get()).enumerate() {
            let named = |kind: &str| scope.pp(format_args!("{kind}{}", index + 1));
            let scope = named("conv");
            let conv =
                Conv2d::new(&scope, [from, to], 3, kernel::Conv2d { stride: 1, padding: 1 })?;
            let spectral = each.map(|each| conv.spectral(&scope, size, each)).transpose()?;
            layers.push(match self.norms() {
                Some(norms) => Layer { conv, spectral, norm: Some(norms.build(&named("bn"), to)?) },
                None => Layer { conv: conv.with_bias(&scope)?, spectral, norm: None },
            });
            (from, size) = (to, pooled(size));
        }
        let scope = scope.pp("out");
        let out = Linear::new(&scope, from, self.out.get())?;
        let spectral = each.map(|each| out.spectral(&scope, each)).transpose()?;
        Ok(Box::new(Plain { layers, out: (out, spectral) }))
    }
}

struct Plain {
    layers: Vec<Layer>,
    out: (Linear, Option<Spectral>),
}

struct Layer {
    conv: Conv2d,
    spectral: Option<Spectral>,
    norm: Option<Normalization>,
}

impl Layer {
    fn forward(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        let y = match &self.spectral {
            Some(spectral) => self.conv.constrained(spectral, mode)?.forward(x)?,
            None => self.conv.forward(x)?,
        };
        match &self.norm {
            Some(norm) => norm.forward(&y, None, true, mode),
            None => kernel::relu(&y),
        }
    }
}

impl Network for Plain {
    fn forward(&self, images: &Tensor, mode: &Mode) -> Result<Tensor> {
        let mut x = images.clone();
        for layer in &self.layers {
            x = layer.forward(&x, mode)?;
            let (_, height, width, _) = x.dims4()?;
            if is_pooled([height, width]) {
                x = kernel::max_pool(&x, POOL)?;
            }
        }
        let x = kernel::global_average_pool(&x)?;
        match &self.out {
            (out, Some(spectral)) => out.constrained(spectral, mode)?.forward(&x),
            (out, None) => out.forward(&x),
        }
    }
}
