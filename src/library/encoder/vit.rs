//! A vision transformer, as the released Thanos code trains it.

use candle_core::{DType, Result, Tensor};

use super::{Encoder, Network};
use crate::catalog::{self, Count, Fraction, ImageShape, Misfit, Place, product};
use crate::kernel::{self, Attention};
use crate::nn::{DropPath, Dropout, LayerNorm, Linear, Mode, keep_factors};
use crate::tensor::{Init, Scope};
use crate::{choice, component};

component! {
    /// A vision transformer (Dosovitskiy et al., 2021) in the variant of the released Thanos code.
    ///
    /// The image is cut into patches, read row by row and with channels last; each passes through a
    /// linear layer and a layer normalisation. A class token comes first and learned positions are
    /// added. Each block is `x + attention(norm(x))`, then `x + feed_forward(norm(x))` with a GELU;
    /// a last layer normalisation follows. It differs from common ones in this: queries, keys and
    /// values have no bias, attention has no output projection, patches are normalised, and two
    /// rows of positions more than there are tokens are kept, which no token uses.
    ///
    /// With the defaults and images of 32 × 32 × 3 it has 3,254,784 parameters.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment attentive {
    ///   data = digits()
    ///   encoder = vit(patch=2, dim=64, depth=4, heads=4)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Encoder as dyn Encoder, version 1, network network,
        unbounded "attention by dot products grows with the square of its input";
    vit => Vit {
        /// Side of a patch in pixels; must divide the height and the width of the image.
        patch: Count = 4,
        /// Width of the tokens, and of the embedding.
        dim: Count = 256,
        /// Number of blocks.
        depth: Count = 7,
        /// Number of attention heads; must divide `dim`.
        heads: Count = 8,
        /// Width of the feed-forward layer, in units of `dim`.
        mlp_ratio: Count = 2,
        /// Share set to zero of the attention weights, of the attention's output, and after each of
        /// the two feed-forward layers.
        dropout: Fraction = 0.05,
        /// Share of tokens whose attention logits are set to zero, in all heads at once: such a
        /// token attends to all alike.
        head_dropout: Fraction = 0.1,
        /// Share of items for which the last block's two branches are skipped; it grows evenly from
        /// none at the first block.
        drop_path: Fraction = 0.05,
        /// Share of the embedded patches' numbers set to zero.
        embed_dropout: Fraction = 0.1,
        /// Which tokens become the embedding.
        pool: Pool = Pool::Cls,
    }
}

choice! {
    /// What becomes of the tokens.
    Pool {
        /// The class token is the embedding.
        Cls = "cls",
        /// The mean of the patches' tokens is the embedding.
        Mean = "mean",
    }
}

fn network(vit: &Vit, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    vit.fits(place.image)?;
    let (side, dim) = (vit.patch.get(), vit.dim.get());
    let ImageShape { height, width, channels } = place.image;
    let patches = (height / side) * (width / side);
    let (tokens, positions) = (patches + 1, patches + 1 + UNUSED_POSITIONS);
    let images = catalog::Network::of_images(place.image);
    let embedded = images.rearranged(&[patches, side * side * channels]).linear(dim, true);
    let embedded = embedded.layer_norm().dropout(vit.embed_dropout.get());
    let mut network = embedded.joined(tokens, product(&[1 + positions, dim]));
    for index in 0..vit.depth.get() {
        network = Block::attend_layers(network, vit, index);
        if vit.pool == Pool::Cls && index + 1 == vit.depth.get() {
            network = network.first_row();
        }
        network = Block::feed_layers(network, vit, index);
    }
    let network = network.layer_norm().with_tokens(tokens);
    Ok(match vit.pool {
        Pool::Cls => network.reshaped(&[dim]),
        Pool::Mean => network.mean_row(),
    })
}

/// The released code keeps two rows of positions that no token uses; they count as parameters.
const UNUSED_POSITIONS: usize = 2;

/// More blocks than anyone trains.
const MOST_BLOCKS: usize = 1000;

impl Vit {
    /// The share of images for which the branches of a block are skipped.
    fn path_share(&self, index: usize) -> f64 {
        let last = self.depth.get() - 1;
        self.drop_path.get() * index as f64 / last.max(1) as f64
    }

    fn fits(&self, image: ImageShape) -> std::result::Result<(), Misfit> {
        let (patch, dim, heads, depth) =
            (self.patch.get(), self.dim.get(), self.heads.get(), self.depth.get());
        if depth > MOST_BLOCKS {
            return Err(Misfit {
                param: Some("depth"),
                message: format!("a transformer of {depth} blocks cannot be meant"),
                label: "blocks one after the other".to_owned(),
                help: format!("the most there may be are {MOST_BLOCKS}"),
            });
        }
        let sides = [image.height, image.width];
        if let Some(side) = sides.into_iter().find(|side| side % patch != 0) {
            let over = side % patch;
            let pixels = if over == 1 { "pixel" } else { "pixels" };
            let fitting = |patch: &usize| sides.iter().all(|side| side % patch == 0);
            return Err(Misfit {
                param: Some("patch"),
                message: format!(
                    "an image of {} x {} cannot be cut into patches of {patch}",
                    image.height, image.width
                ),
                label: format!("{side} / {patch} leaves {over} {pixels} over"),
                help: format!(
                    "patch sizes that fit: {}; {}",
                    listed(image.height, fitting),
                    tokens(image, patch, fitting)
                ),
            });
        }
        if dim % heads != 0 {
            return Err(Misfit {
                param: Some("heads"),
                message: format!("a width of {dim} cannot be divided among {heads} heads"),
                label: format!("{dim} / {heads} leaves {} over", dim % heads),
                help: format!(
                    "numbers of heads that fit: {}",
                    listed(dim.min(64), |heads| dim % heads == 0)
                ),
            });
        }
        Ok(())
    }
}

/// What the patch size nearest to `patch` that fits makes of an image.
fn tokens(image: ImageShape, patch: usize, fits: impl Fn(&usize) -> bool) -> String {
    let near = (1..=image.height).filter(fits).min_by_key(|it| it.abs_diff(patch)).unwrap_or(1);
    let patches = (image.height / near) * (image.width / near);
    let all = patches + 1;
    format!("`patch={near}` makes {patches} patches + 1 class token = {all} tokens")
}

/// The numbers up to `most` that fit.
fn listed(most: usize, fits: impl Fn(&usize) -> bool) -> String {
    let fitting: Vec<_> = (1..=most).filter(fits).map(|n| n.to_string()).collect();
    fitting.join(", ")
}

/// Added to variances, as in PyTorch.
const EPSILON: f64 = 1e-5;

impl Encoder for Vit {
    fn build(&self, input: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        let (patch, dim) = (self.patch.get(), self.dim.get());
        let tokens = (input.height / patch) * (input.width / patch) + 1;
        let init = Init::ClampedNormal { scale: 0.1 };
        let blocks = (0..self.depth.get())
            .map(|index| Block::new(self, index, &scope.pp(format_args!("block{}", index + 1))));
        Ok(Box::new(Transformer {
            patch,
            pool: self.pool,
            embed: Linear::new(&scope.pp("embed"), patch * patch * input.channels, dim)?,
            embed_norm: LayerNorm::new(&scope.pp("embed_norm"), dim, EPSILON)?,
            embed_dropout: Dropout::new(&scope.pp("embed_dropout"), self.embed_dropout.get()),
            cls: scope.var("cls", (1, dim), init)?,
            positions: scope.var("positions", (tokens + UNUSED_POSITIONS, dim), init)?,
            blocks: blocks.collect::<Result<_>>()?,
            norm: LayerNorm::new(&scope.pp("norm"), dim, EPSILON)?,
        }))
    }
}

struct Transformer {
    patch: usize,
    pool: Pool,
    embed: Linear,
    embed_norm: LayerNorm,
    embed_dropout: Dropout,
    cls: Tensor,
    positions: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

impl Network for Transformer {
    fn forward(&self, images: &Tensor, mode: &Mode) -> Result<Tensor> {
        let mut x = self.tokens(images, mode)?;
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.attend(&x, mode)?;
            if self.pool == Pool::Cls && index + 1 == self.blocks.len() {
                // From here on no token reads another, so the others are not needed.
                x = x.narrow(1, 0, 1)?;
            }
            x = block.feed(&x, mode)?;
        }
        let x = self.norm.forward(&x)?;
        match self.pool {
            Pool::Cls => x.squeeze(1),
            Pool::Mean => x.narrow(1, 1, x.dim(1)? - 1)?.mean(1),
        }
    }
}

impl Transformer {
    /// The class token and the embedded patches with their positions, `[rows, tokens, dim]`.
    fn tokens(&self, images: &Tensor, mode: &Mode) -> Result<Tensor> {
        let embedded = self.embed_norm.forward(&self.embed.forward(&self.patches(images)?)?)?;
        let embedded = self.embed_dropout.forward(&embedded, mode)?;
        let (rows, _, dim) = embedded.dims3()?;
        let cls = self.cls.unsqueeze(0)?.broadcast_as((rows, 1, dim))?;
        let tokens = Tensor::cat(&[&cls, &embedded], 1)?;
        tokens.broadcast_add(&self.positions.narrow(0, 0, tokens.dim(1)?)?)
    }

    /// Each patch as one vector in the order row, column, channel: `[rows, patches, size]`.
    fn patches(&self, images: &Tensor) -> Result<Tensor> {
        let (rows, height, width, channels) = images.dims4()?;
        let side = self.patch;
        let (down, across) = (height / side, width / side);
        let cut = images.reshape(&[rows, down, side, across, side, channels][..])?;
        let cut = cut.permute([0, 1, 3, 2, 4, 5])?;
        cut.reshape((rows, down * across, side * side * channels))
    }
}

struct Block {
    heads: usize,
    scale: f64,
    norm1: LayerNorm,
    qkv: Linear,
    head_dropout: Factors,
    attention_dropout: Factors,
    output_dropout: Dropout,
    norm2: LayerNorm,
    fc1: Linear,
    fc1_dropout: Dropout,
    fc2: Linear,
    fc2_dropout: Dropout,
    path1: DropPath,
    path2: DropPath,
}

impl Block {
    fn new(vit: &Vit, index: usize, scope: &Scope) -> Result<Self> {
        let (dim, heads) = (vit.dim.get(), vit.heads.get());
        let hidden = dim * vit.mlp_ratio.get();
        let dropout = |name: &str| Dropout::new(&scope.pp(name), vit.dropout.get());
        let factors = |name: &str, share: Fraction| Factors {
            probability: share.get(),
            path: scope.pp(name).path().to_owned(),
        };
        let path = vit.path_share(index);
        Ok(Self {
            heads,
            scale: ((dim / heads) as f64).powf(-0.5),
            norm1: LayerNorm::new(&scope.pp("norm1"), dim, EPSILON)?,
            qkv: Linear::without_bias(&scope.pp("qkv"), dim, 3 * dim)?,
            head_dropout: factors("head_dropout", vit.head_dropout),
            attention_dropout: factors("attention_dropout", vit.dropout),
            output_dropout: dropout("output_dropout"),
            norm2: LayerNorm::new(&scope.pp("norm2"), dim, EPSILON)?,
            fc1: Linear::new(&scope.pp("fc1"), dim, hidden)?,
            fc1_dropout: dropout("fc1_dropout"),
            fc2: Linear::new(&scope.pp("fc2"), hidden, dim)?,
            fc2_dropout: dropout("fc2_dropout"),
            path1: DropPath::new(&scope.pp("path1"), path),
            path2: DropPath::new(&scope.pp("path2"), path),
        })
    }

    /// The layers of [`Block::attend`], declared.
    fn attend_layers(network: catalog::Network, vit: &Vit, index: usize) -> catalog::Network {
        let (x, dim, tokens) = (network.here(), vit.dim.get(), network.shape()[0]);
        let queries = if vit.head_dropout.get() > 0.0 { tokens as u64 } else { 0 };
        let is_thinned = vit.dropout.get() > 0.0;
        let weights = if is_thinned { product(&[vit.heads.get(), tokens, tokens]) } else { 0 };
        let packed = network.layer_norm().linear(dim.saturating_mul(3), false);
        let branch = packed.attention(queries.saturating_add(weights));
        branch.dropout(vit.dropout.get()).drop_path(vit.path_share(index)).plus(x)
    }

    /// The layers of [`Block::feed`], declared.
    fn feed_layers(network: catalog::Network, vit: &Vit, index: usize) -> catalog::Network {
        let (x, dim) = (network.here(), vit.dim.get());
        let hidden = dim.saturating_mul(vit.mlp_ratio.get());
        let inner = network.layer_norm().linear(hidden, true).activation();
        let branch = inner.dropout(vit.dropout.get()).linear(dim, true);
        branch.dropout(vit.dropout.get()).drop_path(vit.path_share(index)).plus(x)
    }

    /// `x` with what its tokens read from each other.
    fn attend(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        let (rows, tokens, _) = x.dims3()?;
        let (heads, dtype) = (self.heads, x.dtype());
        let attention = Attention {
            heads,
            scale: self.scale,
            query_factors: self.head_dropout.draw(&[rows, tokens], dtype, mode)?,
            probability_factors: self.attention_dropout.draw(
                &[rows, heads, tokens, tokens],
                dtype,
                mode,
            )?,
        };
        let y = kernel::attention(&self.qkv.forward(&self.norm1.forward(x)?)?, &attention)?;
        x + self.path1.forward(&self.output_dropout.forward(&y, mode)?, mode)?
    }

    /// `x` with what the feed-forward layers make of each token.
    fn feed(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        let y = kernel::gelu(&self.fc1.forward(&self.norm2.forward(x)?)?)?;
        let y = self.fc2.forward(&self.fc1_dropout.forward(&y, mode)?)?;
        x + self.path2.forward(&self.fc2_dropout.forward(&y, mode)?, mode)?
    }
}

/// Dropout inside attention, as factors.
struct Factors {
    probability: f64,
    path: String,
}

impl Factors {
    fn draw(&self, shape: &[usize], dtype: DType, mode: &Mode) -> Result<Option<Tensor>> {
        keep_factors((mode, &self.path), self.probability, (shape, dtype))
    }
}
