//! A vision transformer, as the released Thanos code trains it and as it is known elsewhere.

use candle_core::Result;

use super::stored::{Stored, stored};
use super::transformer::{self, Transformer};
use super::{Encoder, Network};
use crate::catalog::{self, Count, Fraction, ImageShape, Misfit, Place, WeightsFile};
use crate::tensor::Scope;
use crate::{choice, component};

component! {
    /// A vision transformer (Dosovitskiy et al., 2021).
    ///
    /// The image is cut into patches, read row by row and with channels last; each passes through a
    /// linear layer. A class token comes first and learned positions are added. Each block is
    /// `x + attention(norm(x))`, then `x + feed_forward(norm(x))` with a GELU; a last layer
    /// normalisation follows.
    ///
    /// By default it is the transformer of the released Thanos code; `form=standard` has the layers
    /// of timm's and torchvision's. The released one differs from them in this: queries, keys and
    /// values have no bias, attention has no output projection, patches are normalised, two rows of
    /// positions more than there are tokens are kept, which no token uses, and 1e-5 is added to
    /// variances instead of 1e-6. The form chooses layers and initial weights alone; what is left
    /// out in training is said by the shares below. The transformers of timm and torchvision leave
    /// out nothing unless told to: `dropout=0%, head_dropout=0%, drop_path=0%, embed_dropout=0%`.
    ///
    /// With the defaults and images of 32 × 32 × 3 it has 3,254,784 parameters. The ViT-B/16 of the
    /// literature is `vit(form=standard, patch=16, dim=768, depth=12, heads=12, mlp_ratio=4)`.
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
    Encoder as dyn Encoder, version 1, network network, stored stored,
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
        /// Share of the embedded patches' numbers set to zero; with `form=standard`, of all tokens'
        /// behind the sum with their positions.
        embed_dropout: Fraction = 0.1,
        /// Which tokens become the embedding.
        pool: Pool = Pool::Cls,
        /// Which layers it has.
        form: Form = Form::Thanos,
        /// A file of weights to begin with; without one they are drawn.
        init: Option<WeightsFile> = None,
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

choice! {
    /// Whose layers a transformer has.
    Form {
        /// Those of the released Thanos code.
        Thanos = "thanos",
        /// Those of timm and torchvision.
        Standard = "standard",
    }
}

fn network(vit: &Vit, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    vit.fits(place.image)?;
    Ok(transformer::layers(vit, place.image))
}

/// More blocks than anyone trains.
const MOST_BLOCKS: usize = 1000;

impl Vit {
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

impl Encoder for Vit {
    fn build(&self, input: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        Ok(Box::new(Transformer::new(self, input, scope)?))
    }

    /// Lists of PyTorch's count from zero.
    fn stored(&self, name: &str, dims: &[usize], _input: ImageShape) -> Stored {
        let mut stored = Stored::new(name, dims);
        let block = name.strip_prefix("block").and_then(|rest| rest.split_once('.'));
        if let Some((Ok(index), part)) = block.map(|(index, part)| (index.parse::<usize>(), part)) {
            stored.name = format!("blocks.{}.{part}", index - 1);
        }
        stored
    }
}
