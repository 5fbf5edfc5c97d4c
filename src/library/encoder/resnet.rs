//! Residual networks for small images.

use candle_core::{Result, Tensor};

use super::{Encoder, Network};
use crate::catalog::{self, Count, ImageShape, Misfit, Place};
use crate::kernel;
use crate::nn::{BatchNorm, Conv2d, Mode};
use crate::tensor::{Init, Scope};
use crate::{choice, component};

choice! {
    /// The first convolution of a residual network.
    Stem {
        /// 3 × 3 at full resolution.
        Cifar = "cifar",
        /// 3 × 3 with stride 2: a quarter of the work, for machines without a card.
        Halved = "halved",
    }
}

component! {
    /// A residual network for small images (He et al., 2016).
    ///
    /// Stages of two-convolution blocks with shortcuts, then the average over all pixels. Its first
    /// convolution is 3 × 3, by default at full resolution, and no pooling follows, as small images
    /// need. Each stage after the first halves the side and doubles the channels; the embedding is
    /// as wide as the last stage. Blocks and initial weights are torchvision's: where the shape
    /// changes, the shortcut is a 1 × 1 convolution with batch normalisation.
    ///
    /// | depth | stages | blocks a stage |
    /// |---|---|---|
    /// | 8, 14, 20, 32, 44, 56 | 3 | (depth - 2) / 6 |
    /// | 18 | 4 | 2, 2, 2, 2 |
    /// | 34 | 4 | 3, 4, 6, 3 |
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment residual {
    ///   data = digits()
    ///   encoder = resnet(depth=8, width=16)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = sgd(lr=0.1, momentum=0.9); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Encoder as dyn Encoder, version 1, network network,
        unbounded "batch normalisation may divide by next to nothing";
    resnet => ResNet {
        /// Layers with weights on the longest path, the classifier's included; one of the table.
        depth: Count = 18,
        /// Channels of the first stage; the networks of three stages are known with 16.
        width: Count = 64,
        /// The first convolution: `cifar` keeps the resolution, `halved` halves both sides.
        stem: Stem = Stem::Cifar,
    }
}

/// The depths there are, with the blocks of each stage.
const DEPTHS: &[(usize, &[usize])] = &[
    (8, &[1, 1, 1]),
    (14, &[2, 2, 2]),
    (18, &[2, 2, 2, 2]),
    (20, &[3, 3, 3]),
    (32, &[5, 5, 5]),
    (34, &[3, 4, 6, 3]),
    (44, &[7, 7, 7]),
    (56, &[9, 9, 9]),
];

fn network(resnet: &ResNet, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    let stages = resnet.stages().ok_or_else(|| resnet.no_such_depth())?;
    let images = catalog::Network::of_images(place.image);
    let mut network = images.conv(resnet.width.get(), 3, resnet.stem_stride()).batch_norm(None);
    for (stage, &count) in stages.iter().enumerate() {
        for index in 0..count {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            network = Block::layers(network, resnet.width.get() << stage, stride);
        }
    }
    Ok(network.average_pool())
}

impl ResNet {
    fn stages(&self) -> Option<&'static [usize]> {
        DEPTHS.iter().find(|(depth, _)| *depth == self.depth.get()).map(|(_, blocks)| *blocks)
    }

    fn stem_stride(&self) -> usize {
        match self.stem {
            Stem::Cifar => 1,
            Stem::Halved => 2,
        }
    }

    fn no_such_depth(&self) -> Misfit {
        let known: Vec<_> = DEPTHS.iter().map(|(depth, _)| depth.to_string()).collect();
        Misfit {
            param: Some("depth"),
            message: format!("there is no residual network of depth {}", self.depth.get()),
            label: "no stages are laid out for this depth".to_owned(),
            help: format!("depths there are: {}", known.join(", ")),
        }
    }
}

impl Encoder for ResNet {
    fn build(&self, input: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        let stages = self.stages().expect("the shape was checked");
        let mut from = self.width.get();
        let stem = conv(&scope.pp("conv1"), [input.channels, from], 3, self.stem_stride())?;
        let norm = BatchNorm::new(&scope.pp("bn1"), from)?;
        let mut blocks = Vec::new();
        for (stage, &count) in stages.iter().enumerate() {
            let to = self.width.get() << stage;
            for index in 0..count {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let scope = scope.pp(format_args!("layer{}", stage + 1)).pp(index);
                blocks.push(Block::new(&scope, [from, to], stride)?);
                from = to;
            }
        }
        Ok(Box::new(Residual { stem, norm, blocks }))
    }
}

/// A convolution with He's initial weights for its outputs (He et al., 2015, eq. 14).
fn conv(scope: &Scope, [from, to]: [usize; 2], side: usize, stride: usize) -> Result<Conv2d> {
    let std = (2.0 / (side * side * to) as f64).sqrt();
    // The layer takes the weight it finds, so this draw is the one that counts.
    scope.var("weight", (side, side, from, to), Init::Normal { std })?;
    Conv2d::new(scope, [from, to], side, kernel::Conv2d { stride, padding: side / 2 })
}

struct Residual {
    stem: Conv2d,
    norm: BatchNorm,
    blocks: Vec<Block>,
}

impl Network for Residual {
    fn forward(&self, images: &Tensor, mode: &Mode) -> Result<Tensor> {
        let mut x = self.norm.forward(&self.stem.forward(images)?, None, true, mode)?;
        for block in &self.blocks {
            x = block.forward(&x, mode)?;
        }
        kernel::global_average_pool(&x)
    }
}

struct Block {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
    shortcut: Option<(Conv2d, BatchNorm)>,
}

impl Block {
    /// The layers of [`Block::forward`], declared.
    fn layers(network: catalog::Network, to: usize, stride: usize) -> catalog::Network {
        let x = network.here();
        let (network, skip) = match network.width() != to || stride != 1 {
            true => {
                let network = network.conv(to, 1, stride).batch_norm(None);
                let skip = network.here();
                (network, skip)
            }
            false => (network, x),
        };
        let branch = network.from(x).conv(to, 3, stride).batch_norm(None);
        branch.conv(to, 3, 1).batch_norm(Some(skip))
    }

    fn new(scope: &Scope, [from, to]: [usize; 2], stride: usize) -> Result<Self> {
        let shortcut = if from != to || stride != 1 {
            let scope = scope.pp("downsample");
            let conv = conv(&scope.pp(0), [from, to], 1, stride)?;
            Some((conv, BatchNorm::new(&scope.pp(1), to)?))
        } else {
            None
        };
        Ok(Self {
            conv1: conv(&scope.pp("conv1"), [from, to], 3, stride)?,
            norm1: BatchNorm::new(&scope.pp("bn1"), to)?,
            conv2: conv(&scope.pp("conv2"), [to, to], 3, 1)?,
            norm2: BatchNorm::new(&scope.pp("bn2"), to)?,
            shortcut,
        })
    }

    fn forward(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        let skip = match &self.shortcut {
            Some((conv, norm)) => norm.forward(&conv.forward(x)?, None, false, mode)?,
            None => x.clone(),
        };
        let y = self.norm1.forward(&self.conv1.forward(x)?, None, true, mode)?;
        self.norm2.forward(&self.conv2.forward(&y)?, Some(&skip), true, mode)
    }
}
