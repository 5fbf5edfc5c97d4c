//! A mirrored ResNet-18.

use candle_core::{Result, Tensor};

use super::Decoder;
use crate::catalog::{self, Count, ImageShape, Misfit, Place};
use crate::component;
use crate::kernel;
use crate::library::encoder::Network;
use crate::nn::{BatchNorm, Conv2d, Linear, Mode};
use crate::tensor::Scope;

component! {
    /// The decoder of the released Thanos code: a ResNet-18 backwards.
    ///
    /// After PyTorch Lightning Bolts' autoencoder: a linear layer to 4 × 4 pixels, four stages of two
    /// residual blocks that enlarge the image by its nearest pixels, and a last convolution.
    ///
    /// An image of side `H` grows from `⌈H/8⌉` over `⌈H/4⌉` and `⌈H/2⌉` to `H`, and so for its
    /// width. Where 8 divides `H` this is the released decoder; elsewhere that one makes a smaller
    /// image (24 pixels for 28), this one the image that is asked for. Nothing follows the last
    /// convolution. At a width of 64, for embeddings of 256 and three channels, it has 8,625,600
    /// parameters.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment recon {
    ///   data = digits()
    ///   encoder = mlp()
    ///   loss { mse = class_autoencoder(decoder=resnet18_decoder(width=8)) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Decoder as dyn Decoder, version 1, network network;
    resnet18_decoder => ResNet18Decoder {
        /// Channels of the last two stages; the linear layer makes eight times as many.
        width: Count = 64,
    }
}

/// Side of the image the linear layer makes.
const SIDE: usize = 4;

fn network(
    decoder: &ResNet18Decoder,
    place: &Place,
) -> std::result::Result<catalog::Network, Misfit> {
    let (width, start) = (decoder.width.get(), Size::of(place.image, 8));
    let embeddings = catalog::Network::new(&[place.dim]);
    let network = embeddings.linear(width.saturating_mul(SIDE * SIDE * 8), true);
    let network = network.reshaped(&[SIDE, SIDE, width.saturating_mul(8)]);
    let mut network = network.resized(start.height, start.width);
    for (to, enlarged) in decoder.stages(place.image) {
        network = Block::layers(network, to, enlarged);
        network = Block::layers(network, to, None);
    }
    Ok(network.conv(place.image.channels, 3, 1))
}

impl ResNet18Decoder {
    /// The channels each stage makes, and the size it enlarges the image to.
    fn stages(&self, image: ImageShape) -> [(usize, Option<Size>); 4] {
        let (width, size) = (self.width.get(), |divisor| Some(Size::of(image, divisor)));
        [(4 * width, size(4)), (2 * width, size(2)), (width, size(1)), (width, None)]
    }
}

impl Decoder for ResNet18Decoder {
    fn build(&self, dim: usize, image: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        let width = self.width.get();
        let mut from = 8 * width;
        let mut blocks = Vec::new();
        for (stage, (to, enlarged)) in self.stages(image).into_iter().enumerate() {
            let scope = scope.pp(format_args!("layer{}", stage + 1));
            blocks.push(Block::new(&scope.pp(0), [from, to], enlarged)?);
            blocks.push(Block::new(&scope.pp(1), [to, to], None)?);
            from = to;
        }
        Ok(Box::new(Mirrored {
            linear: Linear::new(&scope.pp("linear"), dim, SIDE * SIDE * 8 * width)?,
            start: Size::of(image, 8),
            blocks,
            conv: conv(&scope.pp("conv1"), [width, image.channels], 3)?,
        }))
    }
}

#[derive(Clone, Copy)]
struct Size {
    height: usize,
    width: usize,
}

impl Size {
    /// The size of an image, divided.
    fn of(image: ImageShape, divisor: usize) -> Self {
        Self { height: image.height.div_ceil(divisor), width: image.width.div_ceil(divisor) }
    }

    /// How often each pixel of an image [H,W,C] is in one of this size, where all are as often.
    fn copies(self, image: &[usize]) -> Option<usize> {
        let &[height, width, _] = image else { return None };
        let is_whole = self.height.is_multiple_of(height) && self.width.is_multiple_of(width);
        is_whole.then(|| self.height / height * (self.width / width))
    }

    fn resized(self, x: &Tensor) -> Result<Tensor> {
        kernel::upsample_nearest(x, self.height, self.width)
    }
}

/// A convolution that keeps the size of the image.
fn conv(scope: &Scope, channels: [usize; 2], side: usize) -> Result<Conv2d> {
    Conv2d::new(scope, channels, side, kernel::Conv2d { stride: 1, padding: side / 2 })
}

struct Mirrored {
    linear: Linear,
    start: Size,
    blocks: Vec<Block>,
    conv: Conv2d,
}

impl Network for Mirrored {
    fn forward(&self, embeddings: &Tensor, mode: &Mode) -> Result<Tensor> {
        let rows = embeddings.dim(0)?;
        let x = self.linear.forward(embeddings)?.reshape((rows, SIDE, SIDE, ()))?;
        let mut x = self.start.resized(&x)?;
        for block in &self.blocks {
            x = block.forward(&x, mode)?;
        }
        self.conv.forward(&x)
    }
}

struct Block {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
    enlarged: Option<Size>,
    shortcut: Option<(Conv2d, BatchNorm)>,
}

impl Block {
    /// The layers of [`Block::forward`], declared.
    fn layers(network: catalog::Network, to: usize, enlarged: Option<Size>) -> catalog::Network {
        let (x, from) = (network.here(), network.width());
        let enlarge = |network: catalog::Network| match enlarged {
            Some(size) => network.resized(size.height, size.width),
            None => network,
        };
        let (network, skip) = match from != to || enlarged.is_some() {
            true => {
                let conv = network.conv(to, 1, 1);
                let copies = enlarged.and_then(|size| size.copies(conv.shape()));
                let network = match copies {
                    Some(_) => enlarge(conv.batch_norm(None)),
                    None => enlarge(conv).batch_norm(None),
                };
                let skip = network.here();
                (network, skip)
            }
            false => (network, x),
        };
        let branch = enlarge(network.from(x).conv(from, 3, 1).batch_norm(None));
        branch.conv(to, 3, 1).batch_norm(Some(skip))
    }

    fn new(scope: &Scope, [from, to]: [usize; 2], enlarged: Option<Size>) -> Result<Self> {
        let shortcut = if from != to || enlarged.is_some() {
            let scope = scope.pp("shortcut");
            let conv = conv(&scope.pp(0), [from, to], 1)?;
            Some((conv, BatchNorm::new(&scope.pp(1), to)?))
        } else {
            None
        };
        Ok(Self {
            conv1: conv(&scope.pp("conv1"), [from, from], 3)?,
            norm1: BatchNorm::new(&scope.pp("bn1"), from)?,
            conv2: conv(&scope.pp("conv2"), [from, to], 3)?,
            norm2: BatchNorm::new(&scope.pp("bn2"), to)?,
            enlarged,
            shortcut,
        })
    }

    fn forward(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        let enlarge = |x: Tensor| match self.enlarged {
            Some(size) => size.resized(&x),
            None => Ok(x),
        };
        let skip = match &self.shortcut {
            // What is done to each of repeated pixels costs less before they are repeated.
            Some((conv, norm)) => {
                let y = conv.forward(x)?;
                match self.enlarged.and_then(|size| size.copies(&y.dims()[1..])) {
                    Some(copies) => enlarge(norm.forward_repeated(&y, copies, mode)?)?,
                    None => norm.forward(&enlarge(y)?, None, false, mode)?,
                }
            }
            None => x.clone(),
        };
        let y = enlarge(self.norm1.forward(&self.conv1.forward(x)?, None, true, mode)?)?;
        self.norm2.forward(&self.conv2.forward(&y)?, Some(&skip), true, mode)
    }
}
