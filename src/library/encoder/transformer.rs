//! The layers of vision transformers, and what they compute.

use candle_core::{DType, Result, Tensor};

use super::Network;
use super::vit::{Form, Pool, Vit};
use crate::catalog::{self, Fraction, ImageShape, product};
use crate::kernel::{self, Attention, PairFactors};
use crate::nn::{Conv2d, DropPath, Dropout, LayerNorm, Linear, Mode};
use crate::nn::{keep_factors, pair_factors, residual};
use crate::tensor::{Init, Scope};

/// The layers of [`Transformer::forward`], declared.
pub(super) fn layers(vit: &Vit, image: ImageShape) -> catalog::Network {
    let tokens = vit.patches(image) + 1;
    let mut network = vit.embed_layers(image);
    for index in 0..vit.depth.get() {
        let is_last = vit.pool == Pool::Cls && index + 1 == vit.depth.get();
        network = Block::attend_layers(network, vit, index, is_last);
        network = Block::feed_layers(network, vit, index);
    }
    let network = network.layer_norm().with_tokens(tokens);
    match vit.pool {
        Pool::Cls => network.reshaped(&[vit.dim.get()]),
        Pool::Mean => network.mean_row(),
    }
}

/// The released code keeps two rows of positions that no token uses; they count as parameters.
const UNUSED_POSITIONS: usize = 2;

/// The deviation of initial weights of the standard form, as in timm.
const STANDARD_DEVIATION: f64 = 0.02;

impl Vit {
    fn patches(&self, image: ImageShape) -> usize {
        (image.height / self.patch.get()) * (image.width / self.patch.get())
    }

    /// The layers of [`Transformer::tokens`], declared.
    fn embed_layers(&self, image: ImageShape) -> catalog::Network {
        let (side, dim, patches) = (self.patch.get(), self.dim.get(), self.patches(image));
        let images = catalog::Network::of_images(image);
        let share = self.embed_dropout.get();
        let joined = |network: catalog::Network, positions: usize| {
            network.joined(patches + 1, product(&[1 + positions, dim]))
        };
        match self.form {
            Form::Thanos => {
                let cut = images.rearranged(&[patches, side * side * image.channels]);
                let embedded = cut.linear(dim, true).layer_norm().dropout(share);
                joined(embedded, patches + 1 + UNUSED_POSITIONS)
            }
            Form::Standard => {
                let embedded = images.patches(dim, side).channel_bias().reshaped(&[patches, dim]);
                joined(embedded, patches + 1).dropout(share)
            }
        }
    }

    /// The share of images for which the branches of a block are skipped.
    fn path_share(&self, index: usize) -> f64 {
        let last = self.depth.get() - 1;
        self.drop_path.get() * index as f64 / last.max(1) as f64
    }

    fn norm(&self, scope: &Scope) -> Result<LayerNorm> {
        // As in PyTorch, and as transformers elsewhere set it.
        let epsilon = match self.form {
            Form::Thanos => 1e-5,
            Form::Standard => 1e-6,
        };
        LayerNorm::new(scope, self.dim.get(), epsilon)
    }

    /// A linear layer of a block with a bias.
    fn linear(&self, scope: &Scope, inputs: usize, outputs: usize) -> Result<Linear> {
        if self.form == Form::Standard {
            // The layer takes the variables it finds, so these draws are the ones that count.
            let init = Init::Normal { std: STANDARD_DEVIATION };
            scope.var("weight", (outputs, inputs), init)?;
            scope.var("bias", outputs, Init::Const(0.0))?;
        }
        Linear::new(scope, inputs, outputs)
    }
}

/// A vision transformer.
pub(super) struct Transformer {
    patch: usize,
    pool: Pool,
    embed: Embed,
    embed_dropout: Dropout,
    /// `[1, dim]`
    cls: Tensor,
    /// `[tokens or more, dim]`
    positions: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

/// From patches to tokens.
enum Embed {
    Normalized(Linear, LayerNorm),
    Plain(Conv2d),
}

impl Transformer {
    /// A transformer for images of shape `input`.
    pub(super) fn new(vit: &Vit, input: ImageShape, scope: &Scope) -> Result<Self> {
        let [cls, positions] = tokens(vit, input, scope)?;
        let blocks = (0..vit.depth.get()).map(|index| {
            let name = match vit.form {
                Form::Thanos => format!("block{}", index + 1),
                Form::Standard => format!("blocks.{index}"),
            };
            Block::new(vit, index, &scope.pp(name))
        });
        Ok(Self {
            patch: vit.patch.get(),
            pool: vit.pool,
            embed: Embed::new(vit, input.channels, scope)?,
            embed_dropout: Dropout::new(&scope.pp("embed_dropout"), vit.embed_dropout.get()),
            cls,
            positions,
            blocks: blocks.collect::<Result<_>>()?,
            norm: vit.norm(&scope.pp("norm"))?,
        })
    }

    /// The class token and the embedded patches with their positions, `[rows, tokens, dim]`.
    fn tokens(&self, images: &Tensor, mode: &Mode) -> Result<Tensor> {
        let embedded = match &self.embed {
            Embed::Normalized(linear, norm) => {
                let patches = norm.forward(&linear.forward(&self.patches(images)?)?)?;
                self.embed_dropout.forward(&patches, mode)?
            }
            Embed::Plain(conv) => conv.forward(images)?.flatten(1, 2)?,
        };
        let tokens = self.joined(&embedded)?;
        match &self.embed {
            Embed::Normalized(..) => Ok(tokens),
            Embed::Plain(_) => self.embed_dropout.forward(&tokens, mode),
        }
    }

    /// Embedded patches behind the class token, with their positions.
    fn joined(&self, embedded: &Tensor) -> Result<Tensor> {
        let (rows, patches, dim) = embedded.dims3()?;
        let positions = self.positions.narrow(0, 0, patches + 1)?;
        #[cfg(feature = "cuda")]
        if embedded.device().is_cuda() {
            return kernel::tokens_on_card(embedded, &self.cls, &positions);
        }
        let cls = self.cls.unsqueeze(0)?.broadcast_as((rows, 1, dim))?;
        Tensor::cat(&[&cls, embedded], 1)?.broadcast_add(&positions)
    }

    /// Each patch as one vector in the order row, column, channel: `[rows, patches, size]`.
    fn patches(&self, images: &Tensor) -> Result<Tensor> {
        let (rows, height, width, channels) = images.dims4()?;
        let side = self.patch;
        #[cfg(feature = "cuda")]
        if images.device().is_cuda() && !images.track_op() {
            return kernel::patches_on_card(images, side);
        }
        let (down, across) = (height / side, width / side);
        let cut = images.reshape(&[rows, down, side, across, side, channels][..])?;
        let cut = cut.permute([0, 1, 3, 2, 4, 5])?;
        cut.reshape((rows, down * across, side * side * channels))
    }
}

/// The class token and the positions.
fn tokens(vit: &Vit, input: ImageShape, scope: &Scope) -> Result<[Tensor; 2]> {
    let (dim, tokens) = (vit.dim.get(), vit.patches(input) + 1);
    match vit.form {
        Form::Thanos => {
            let init = Init::ClampedNormal { scale: 0.1 };
            let cls = scope.var("cls", (1, dim), init)?;
            Ok([cls, scope.var("positions", (tokens + UNUSED_POSITIONS, dim), init)?])
        }
        Form::Standard => {
            let cls = scope.var("cls_token", (1, 1, dim), Init::Normal { std: 1e-6 })?;
            let init = Init::Normal { std: STANDARD_DEVIATION };
            let positions = scope.var("pos_embed", (1, tokens, dim), init)?;
            Ok([cls.squeeze(0)?, positions.squeeze(0)?])
        }
    }
}

impl Embed {
    fn new(vit: &Vit, channels: usize, scope: &Scope) -> Result<Self> {
        let (side, dim) = (vit.patch.get(), vit.dim.get());
        match vit.form {
            Form::Thanos => {
                let linear = Linear::new(&scope.pp("embed"), side * side * channels, dim)?;
                Ok(Self::Normalized(linear, vit.norm(&scope.pp("embed_norm"))?))
            }
            Form::Standard => {
                let scope = scope.pp("patch_embed.proj");
                let windows = kernel::Conv2d { stride: side, padding: 0 };
                let conv = Conv2d::new(&scope, [channels, dim], side, windows)?;
                Ok(Self::Plain(conv.with_bias(&scope)?))
            }
        }
    }
}

impl Network for Transformer {
    fn forward(&self, images: &Tensor, mode: &Mode) -> Result<Tensor> {
        let mut x = self.tokens(images, mode)?;
        for (index, block) in self.blocks.iter().enumerate() {
            let is_last = self.pool == Pool::Cls && index + 1 == self.blocks.len();
            x = match is_last {
                // From here on no token reads another, so the others need not ask.
                true => block.attend_first(&x, mode)?,
                false => block.attend(&x, mode)?,
            };
            x = block.feed(&x, mode)?;
        }
        let x = self.norm.forward(&x)?;
        match self.pool {
            Pool::Cls => x.squeeze(1),
            Pool::Mean => {
                let (dtype, patches) = (x.dtype(), x.narrow(1, 1, x.dim(1)? - 1)?);
                // Many halves are not added up in halves.
                let wide = if dtype == DType::BF16 { DType::F32 } else { dtype };
                patches.to_dtype(wide)?.mean(1)?.to_dtype(dtype)
            }
        }
    }
}

struct Block {
    heads: usize,
    scale: f64,
    norm1: LayerNorm,
    qkv: Linear,
    /// Behind attention, in the standard form.
    proj: Option<Linear>,
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
        let (attention, feed) = match vit.form {
            Form::Thanos => (scope.clone(), scope.clone()),
            Form::Standard => (scope.pp("attn"), scope.pp("mlp")),
        };
        let [qkv, proj] = [attention.pp("qkv"), attention.pp("proj")];
        Ok(Self {
            heads,
            scale: ((dim / heads) as f64).powf(-0.5),
            norm1: vit.norm(&scope.pp("norm1"))?,
            qkv: match vit.form {
                Form::Thanos => Linear::without_bias(&qkv, dim, 3 * dim)?,
                Form::Standard => vit.linear(&qkv, dim, 3 * dim)?,
            },
            proj: match vit.form {
                Form::Thanos => None,
                Form::Standard => Some(vit.linear(&proj, dim, dim)?),
            },
            head_dropout: factors("head_dropout", vit.head_dropout),
            attention_dropout: factors("attention_dropout", vit.dropout),
            output_dropout: dropout("output_dropout"),
            norm2: vit.norm(&scope.pp("norm2"))?,
            fc1: vit.linear(&feed.pp("fc1"), dim, hidden)?,
            fc1_dropout: dropout("fc1_dropout"),
            fc2: vit.linear(&feed.pp("fc2"), hidden, dim)?,
            fc2_dropout: dropout("fc2_dropout"),
            path1: DropPath::new(&scope.pp("path1"), path),
            path2: DropPath::new(&scope.pp("path2"), path),
        })
    }

    /// The layers of [`Block::attend`], declared; of [`Block::attend_first`] for the last one.
    fn attend_layers(
        network: catalog::Network,
        vit: &Vit,
        index: usize,
        is_last: bool,
    ) -> catalog::Network {
        let (mut x, dim, tokens) = (network.here(), vit.dim.get(), network.shape()[0]);
        let asking = if is_last { 1 } else { tokens };
        let queries = if vit.head_dropout.get() > 0.0 { asking as u64 } else { 0 };
        let is_thinned = vit.dropout.get() > 0.0;
        let weights = if is_thinned { product(&[vit.heads.get(), asking, tokens]) } else { 0 };
        let is_standard = vit.form == Form::Standard;
        let mut branch = network.layer_norm();
        if is_last {
            branch = branch.linear(dim.saturating_mul(2), is_standard);
            let kv = branch.here();
            let first = branch.from(x).first_row();
            x = first.here();
            branch = first.normed_alike().linear(dim, is_standard).attending(kv);
        } else {
            branch = branch.linear(dim.saturating_mul(3), is_standard).attention();
        }
        branch = branch.with_factors(queries.saturating_add(weights));
        if is_standard {
            branch = branch.linear(dim, true);
        }
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
        let tokens = x.dim(1)?;
        let qkv = self.qkv.forward(&self.norm1.forward(x)?)?;
        let attention = self.attention(x, (tokens, tokens), mode)?;
        self.attended(x, kernel::attention(&qkv, &attention)?, mode)
    }

    /// The first token of `x` with what it reads from the others.
    fn attend_first(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        let (_, tokens, dim) = x.dims3()?;
        let (first, normed) = (kernel::first_token(x)?, self.norm1.forward(x)?);
        let q = self.qkv.part(0, dim)?.forward(&self.norm1.forward(&first)?)?;
        let kv = self.qkv.part(dim, 2 * dim)?.forward(&normed)?;
        let attention = self.attention(x, (1, tokens), mode)?;
        self.attended(&first, kernel::attention_from(&q, &kv, &attention)?, mode)
    }

    /// How queries of a number of tokens attend.
    fn attention(&self, x: &Tensor, sizes: (usize, usize), mode: &Mode) -> Result<Attention> {
        let (rows, (queries, tokens), heads) = (x.dim(0)?, sizes, self.heads);
        let weights = &[rows, heads, queries, tokens];
        // A card multiplies logits in f32, whatever activations are.
        let of_logits = if x.device().is_cuda() { DType::F32 } else { x.dtype() };
        Ok(Attention {
            heads,
            scale: self.scale,
            query_factors: self.head_dropout.draw((&[rows, queries], of_logits), x, mode)?,
            probability_factors: self.attention_dropout.of_pairs(weights, x, mode)?,
        })
    }

    /// `x` with what was read, `y`.
    fn attended(&self, x: &Tensor, y: Tensor, mode: &Mode) -> Result<Tensor> {
        let drops = (&self.output_dropout, &self.path1);
        match &self.proj {
            Some(proj) => proj.forward_onto(x, &y, drops, mode),
            None => residual(x, &y, drops, mode),
        }
    }

    /// `x` with what the feed-forward layers make of each token.
    fn feed(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        let y = self.fc1.forward_gelu(&self.norm2.forward(x)?, &self.fc1_dropout, mode)?;
        self.fc2.forward_onto(x, &y, (&self.fc2_dropout, &self.path2), mode)
    }
}

/// Dropout inside attention, as factors.
struct Factors {
    probability: f64,
    path: String,
}

impl Factors {
    /// Factors of a shape and type, where `x` is.
    fn draw(&self, form: (&[usize], DType), x: &Tensor, mode: &Mode) -> Result<Option<Tensor>> {
        keep_factors((mode, &self.path), self.probability, form, x.device())
    }

    /// Factors on pairs of a shape, where `x` is.
    fn of_pairs(&self, shape: &[usize], x: &Tensor, mode: &Mode) -> Result<Option<PairFactors>> {
        pair_factors((mode, &self.path), self.probability, shape, x)
    }
}
