//! Wide residual networks.

use candle_core::{Result, Tensor};

use super::channels::conv;
use super::stored::stored;
use super::{Encoder, Network};
use crate::catalog::{self, Count, Fraction, ImageShape, Misfit, Place, WeightsFile};
use crate::component;
use crate::kernel;
use crate::nn::{BatchNorm, Conv2d, Dropout, Mode};
use crate::tensor::Scope;

component! {
    /// A wide residual network for small images (Zagoruyko and Komodakis, 2016).
    ///
    /// A 3 × 3 convolution to 16 channels, three stages of `(depth - 4) / 6` blocks with 16, 32 and
    /// 64 times `widen` channels, then normalisation, rectifier and the average over all pixels.
    /// The second and third stage halve the side. Blocks are pre-activated: normalisation and
    /// rectifier come before each of their two 3 × 3 convolutions, and nothing behind the sum.
    /// Where the channels change, the shortcut is a 1 × 1 convolution of the rectified values. The
    /// embedding has `64 * widen` numbers. Convolutions begin as He's for their outputs.
    ///
    /// With the defaults and images of 32 × 32 × 3 it has 36,472,784 parameters.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment wide {
    ///   data = digits()
    ///   encoder = wide_resnet(depth=10, widen=2)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = sgd(lr=0.1, momentum=0.9); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Encoder as dyn Encoder, version 1, network network, stored stored,
        unbounded "batch normalisation may divide by next to nothing";
    wide_resnet => WideResNet {
        /// Layers with weights on the longest path, the classifier's included: 4 more than a
        /// multiple of 6.
        depth: Count = 28,
        /// How many times wider than 16, 32 and 64 channels the stages are.
        widen: Count = 10,
        /// Share set to zero of what a block's second convolution sees.
        dropout: Fraction = 0.0,
        /// A file of weights to begin with; without one they are drawn.
        init: Option<WeightsFile> = None,
    }
}

/// Channels of the first convolution, and of the first stage of the narrowest network.
const STEM: usize = 16;

const STAGES: usize = 3;

/// Deeper networks than anyone trains.
const MOST_DEPTH: usize = 10_000;

fn network(wide: &WideResNet, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    let blocks = wide.blocks().ok_or_else(|| wide.no_such_depth())?;
    let mut network = catalog::Network::of_images(place.image).conv(STEM, 3, 1);
    for (_, to, stride) in blocks {
        network = Block::layers(network, to, stride, wide.dropout);
    }
    Ok(network.batch_norm(None).average_pool())
}

impl WideResNet {
    /// Name, channels and stride of each block, in order; none for a depth there is not.
    fn blocks(&self) -> Option<Vec<(String, usize, usize)>> {
        let depth = self.depth.get();
        if !(10..=MOST_DEPTH).contains(&depth) || depth % 6 != 4 {
            return None;
        }
        let of_stage = |stage: usize| {
            (0..(depth - 4) / 6).map(move |index| {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let name = format!("block{}.layer.{index}", stage + 1);
                (name, self.widen.get().saturating_mul(STEM << stage), stride)
            })
        };
        Some((0..STAGES).flat_map(of_stage).collect())
    }

    fn no_such_depth(&self) -> Misfit {
        let depth = self.depth.get();
        let near = ((depth.saturating_sub(4) + 3) / 6 * 6 + 4).clamp(10, MOST_DEPTH);
        Misfit {
            param: Some("depth"),
            message: format!("there is no wide residual network of depth {depth}"),
            label: "expected 4 more than a multiple of 6".to_owned(),
            help: format!("depths there are: 10, 16, 22, 28, 34, 40, …; `depth={near}` is near"),
        }
    }
}

impl Encoder for WideResNet {
    fn build(&self, input: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        let stem = conv(&scope.pp("conv1"), [input.channels, STEM], 3, 1)?;
        let (mut blocks, mut from) = (Vec::new(), STEM);
        for (name, to, stride) in self.blocks().expect("the shape was checked") {
            blocks.push(Block::new(&scope.pp(name), [from, to], stride, self.dropout)?);
            from = to;
        }
        Ok(Box::new(Wide { stem, blocks, norm: BatchNorm::new(&scope.pp("bn1"), from)? }))
    }
}

struct Wide {
    stem: Conv2d,
    blocks: Vec<Block>,
    norm: BatchNorm,
}

impl Network for Wide {
    fn forward(&self, images: &Tensor, mode: &Mode) -> Result<Tensor> {
        let mut x = self.stem.forward(images)?;
        for block in &self.blocks {
            x = block.forward(&x, mode)?;
        }
        kernel::global_average_pool(&self.norm.forward(&x, None, true, mode)?)
    }
}

struct Block {
    norm1: BatchNorm,
    conv1: Conv2d,
    norm2: BatchNorm,
    dropout: Dropout,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

impl Block {
    /// The layers of [`Block::forward`], declared.
    fn layers(
        network: catalog::Network,
        to: usize,
        stride: usize,
        dropout: Fraction,
    ) -> catalog::Network {
        let (x, from) = (network.here(), network.width());
        let mut network = network.batch_norm(None);
        let active = network.here();
        let mut skip = x;
        if from != to {
            network = network.conv(to, 1, stride);
            skip = network.here();
        }
        let branch = network.from(active).conv(to, 3, stride).batch_norm(None);
        branch.dropout(dropout.get()).conv(to, 3, 1).plus(skip)
    }

    fn new(
        scope: &Scope,
        [from, to]: [usize; 2],
        stride: usize,
        dropout: Fraction,
    ) -> Result<Self> {
        let shortcut = || conv(&scope.pp("convShortcut"), [from, to], 1, stride);
        Ok(Self {
            norm1: BatchNorm::new(&scope.pp("bn1"), from)?,
            conv1: conv(&scope.pp("conv1"), [from, to], 3, stride)?,
            norm2: BatchNorm::new(&scope.pp("bn2"), to)?,
            dropout: Dropout::new(&scope.pp("dropout"), dropout.get()),
            conv2: conv(&scope.pp("conv2"), [to, to], 3, 1)?,
            shortcut: (from != to).then(shortcut).transpose()?,
        })
    }

    fn forward(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        let active = self.norm1.forward(x, None, true, mode)?;
        let skip = match &self.shortcut {
            Some(conv) => conv.forward(&active)?,
            None => x.clone(),
        };
        let y = self.norm2.forward(&self.conv1.forward(&active)?, None, true, mode)?;
        kernel::sum(&self.conv2.forward(&self.dropout.forward(&y, mode)?)?, &skip)
    }
}
