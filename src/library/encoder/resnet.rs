//! Residual networks.

use candle_core::{Result, Tensor};

use super::channels::{Norm, Normalization, Norms, conv};
use super::stored::stored;
use super::{Encoder, Network};
use crate::catalog::{self, Count, ImageShape, Misfit, Place, WeightsFile};
use crate::kernel::{self, MaxPool};
use crate::nn::{Conv2d, Mode};
use crate::tensor::Scope;
use crate::{choice, component};

choice! {
    /// The first convolution of a residual network.
    Stem {
        /// 3 × 3 at full resolution.
        Cifar = "cifar",
        /// 3 × 3 with stride 2: a quarter of the work, for machines without a card.
        Halved = "halved",
        /// 7 × 7 with stride 2, and the largest of each 3 × 3 window with stride 2.
        Imagenet = "imagenet",
    }
}

component! {
    /// A residual network (He et al., 2016).
    ///
    /// Stages of blocks with shortcuts, then the average over all pixels. By default its first
    /// convolution is 3 × 3 at full resolution, and no pooling follows, as small images need;
    /// `stem=imagenet` has that of large images, and with it the depths 18, 34 and 50 are
    /// torchvision's networks. Each stage after the first halves the side and doubles the channels.
    /// A block is two 3 × 3 convolutions; at depth 50 it is a 1 × 1, a 3 × 3 and a 1 × 1
    /// convolution, the last to four times the channels, and a stride is that of the 3 × 3. The
    /// embedding is as wide as the last stage. Initial weights are torchvision's; where the shape
    /// changes, the shortcut is a 1 × 1 convolution with normalisation.
    ///
    /// | depth | stages | blocks a stage | embedding, in units of `width` |
    /// |---|---|---|---|
    /// | 8, 14, 20, 32, 44, 56 | 3 | (depth - 2) / 6 | 4 |
    /// | 18 | 4 | 2, 2, 2, 2 | 8 |
    /// | 34 | 4 | 3, 4, 6, 3 | 8 |
    /// | 50 | 4 | 3, 4, 6, 3 | 32 |
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
    Encoder as dyn Encoder, version 1, network network, stored stored,
        unbounded "normalisation may divide by next to nothing";
    resnet => ResNet {
        /// Layers with weights on the longest path, the classifier's included; one of the table.
        depth: Count = 18,
        /// Channels of the first stage; the networks of three stages are known with 16.
        width: Count = 64,
        /// The first convolution: `cifar` keeps the resolution, `halved` halves both sides,
        /// `imagenet` divides them by four.
        stem: Stem = Stem::Cifar,
        /// What channels are normalised by: `group` does not depend on the batch.
        norm: Norm = Norm::Batch,
        /// Groups of channels that `norm=group` normalises together; must divide `width`.
        groups: Count = 32,
        /// A file of weights to begin with; without one they are drawn.
        init: Option<WeightsFile> = None,
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
    (50, &[3, 4, 6, 3]),
    (56, &[9, 9, 9]),
];

/// The depth from which blocks of four stages are bottlenecks.
const BOTTLENECKS: usize = 50;

/// How many times wider than its inner channels a bottleneck ends.
const EXPANSION: usize = 4;

fn network(resnet: &ResNet, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    let blocks = resnet.blocks().ok_or_else(|| resnet.no_such_depth())?;
    resnet.norms().fits(&[resnet.width.get()])?;
    let images = catalog::Network::of_images(place.image);
    let (side, stride) = resnet.stem_window();
    let stem = resnet.norms().layer(images.conv(resnet.width.get(), side, stride), None);
    let network = match resnet.stem {
        Stem::Imagenet => stem.max_pool(POOL.side, POOL.stride, POOL.padding),
        Stem::Cifar | Stem::Halved => stem,
    };
    let blocks = blocks.iter().fold(network, |network, (_, shape)| shape.layers(network));
    Ok(blocks.average_pool())
}

/// What follows the first convolution for large images.
const POOL: MaxPool = MaxPool { side: 3, stride: 2, padding: 1 };

impl ResNet {
    fn norms(&self) -> Norms {
        Norms { norm: self.norm, groups: self.groups.get() }
    }

    /// Side and stride of the first convolution.
    fn stem_window(&self) -> (usize, usize) {
        match self.stem {
            Stem::Cifar => (3, 1),
            Stem::Halved => (3, 2),
            Stem::Imagenet => (7, 2),
        }
    }

    /// The name of each block with its shape, in order; none for a depth that is not laid out.
    fn blocks(&self) -> Option<Vec<(String, BlockShape)>> {
        let depth = self.depth.get();
        let (_, stages) = DEPTHS.iter().find(|(known, _)| *known == depth)?;
        let is_bottleneck = depth >= BOTTLENECKS && stages.len() == 4;
        let of_stage = |(stage, count): (usize, &usize)| {
            (0..*count).map(move |index| {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let width = self.width.get() << stage;
                let shape = BlockShape { width, stride, is_bottleneck, norms: self.norms() };
                (format!("layer{}.{index}", stage + 1), shape)
            })
        };
        Some(stages.iter().enumerate().flat_map(of_stage).collect())
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
        let mut from = self.width.get();
        let (side, stride) = self.stem_window();
        let stem = conv(&scope.pp("conv1"), [input.channels, from], side, stride)?;
        let norm = self.norms().build(&scope.pp("bn1"), from)?;
        let mut blocks = Vec::new();
        for (name, shape) in self.blocks().expect("the shape was checked") {
            blocks.push(Block::new(&scope.pp(name), from, shape)?);
            from = shape.outputs();
        }
        Ok(Box::new(Residual { stem, norm, is_pooled: self.stem == Stem::Imagenet, blocks }))
    }
}

struct Residual {
    stem: Conv2d,
    norm: Normalization,
    is_pooled: bool,
    blocks: Vec<Block>,
}

impl Network for Residual {
    fn forward(&self, images: &Tensor, mode: &Mode) -> Result<Tensor> {
        let mut x = self.norm.forward(&self.stem.forward(images)?, None, true, mode)?;
        if self.is_pooled {
            x = kernel::max_pool(&x, POOL)?;
        }
        for block in &self.blocks {
            x = block.forward(&x, mode)?;
        }
        kernel::global_average_pool(&x)
    }
}

/// What a block is made of.
#[derive(Clone, Copy)]
struct BlockShape {
    width: usize,
    stride: usize,
    is_bottleneck: bool,
    norms: Norms,
}

impl BlockShape {
    /// Filters, side and stride of each convolution of the branch, in order.
    fn branch(&self) -> Vec<[usize; 3]> {
        let Self { width, stride, .. } = *self;
        match self.is_bottleneck {
            true => vec![[width, 1, 1], [width, 3, stride], [width * EXPANSION, 1, 1]],
            false => vec![[width, 3, stride], [width, 3, 1]],
        }
    }

    fn outputs(&self) -> usize {
        if self.is_bottleneck { self.width * EXPANSION } else { self.width }
    }

    fn changes(&self, from: usize) -> bool {
        from != self.outputs() || self.stride != 1
    }

    /// The layers of [`Block::forward`], declared.
    fn layers(&self, network: catalog::Network) -> catalog::Network {
        let x = network.here();
        let (mut network, skip) = match self.changes(network.width()) {
            true => {
                let network = network.conv(self.outputs(), 1, self.stride);
                let network = self.norms.layer(network, None);
                let skip = network.here();
                (network.from(x), skip)
            }
            false => (network, x),
        };
        let branch = self.branch();
        for (index, [filters, side, stride]) in branch.iter().enumerate() {
            let added = (index + 1 == branch.len()).then_some(skip);
            network = self.norms.layer(network.conv(*filters, *side, *stride), added);
        }
        network
    }
}

struct Block {
    branch: Vec<(Conv2d, Normalization)>,
    shortcut: Option<(Conv2d, Normalization)>,
}

impl Block {
    fn new(scope: &Scope, from: usize, shape: BlockShape) -> Result<Self> {
        let shortcut = if shape.changes(from) {
            let (scope, to) = (scope.pp("downsample"), shape.outputs());
            let conv = conv(&scope.pp(0), [from, to], 1, shape.stride)?;
            Some((conv, shape.norms.build(&scope.pp(1), to)?))
        } else {
            None
        };
        let (mut branch, mut inputs) = (Vec::new(), from);
        for (index, [filters, side, stride]) in shape.branch().into_iter().enumerate() {
            let named = |kind: &str| scope.pp(format_args!("{kind}{}", index + 1));
            let conv = conv(&named("conv"), [inputs, filters], side, stride)?;
            branch.push((conv, shape.norms.build(&named("bn"), filters)?));
            inputs = filters;
        }
        Ok(Self { branch, shortcut })
    }

    fn forward(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        let skip = match &self.shortcut {
            Some((conv, norm)) => norm.forward(&conv.forward(x)?, None, false, mode)?,
            None => x.clone(),
        };
        let mut y = x.clone();
        for (index, (conv, norm)) in self.branch.iter().enumerate() {
            let added = (index + 1 == self.branch.len()).then_some(&skip);
            y = norm.forward(&conv.forward(&y)?, added, true, mode)?;
        }
        Ok(y)
    }
}
