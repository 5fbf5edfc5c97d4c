//! The autoencoder term.

use candle_core::{Result, Tensor, bail};

use super::{Activations, Loss, Single, Site, Term};
use crate::catalog::{self, DecoderCall, Misfit, Part, Place, Port};
use crate::kernel::{self, between, squared_error};
use crate::library::build;
use crate::library::encoder::Network;
use crate::nn::Mode;
use crate::tensor::Scope;
use crate::{choice, component};

choice! {
    /// Which image is to be restored.
    Target {
        /// The one the encoder saw, after augmentation and normalisation.
        Input = "input",
        /// The same image without random changes, normalised.
        Clean = "clean",
    }
}

choice! {
    /// What the decoder is told of an image's class.
    Condition {
        /// Nothing.
        None = "none",
        /// The class, as numbers beside the embedding.
        Label = "label",
        /// Each class has a decoder of its own.
        PerClass = "per_class",
    }
}

component! {
    /// Mean squared error of images restored from the embedding by a decoder.
    ///
    /// The mean is over all numbers of all images and views. Unlike the contrastive terms it
    /// changes when members of a class trade places.
    ///
    /// What the decoder knows of the class of an image, which is that of the data's own labels:
    ///
    /// | condition | the decoder |
    /// |---|---|
    /// | `none` | sees the embedding alone; what makes the autoencoder class-conditional is the cross-entropy trained beside it on the same encoder (Chen et al., *Perfectly Balanced*, 2022, as released) |
    /// | `label` | sees behind the embedding a 1 in the place of the class and 0 for every other: its first layer then learns a vector for each class, as an embedding of the label would |
    /// | `per_class` | is one of as many decoders as there are classes, all of the form that is asked for; an image passes through that of its class |
    ///
    /// A decoder that is told the class need not find it in the embedding, which is then free to say
    /// what tells the members of a class apart; it also keeps no class apart from another.
    ///
    /// Of `per_class`: a class that has no image in a batch adds nothing to the loss, and the
    /// gradient of its decoder is zero. One that has a single image is restored with the recorded
    /// statistics where the decoder normalises batches, since those of one image say nothing.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment restored {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss {
    ///     mse = class_autoencoder(decoder=mlp_decoder(), condition=label)
    ///     class = cross_entropy()
    ///   }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Loss as dyn Loss, version 1, needs [Embedding, Input, Clean], also labels,
        network network;
    class_autoencoder => ClassAutoencoder {
        /// What turns embeddings back into images.
        decoder: DecoderCall,
        /// Which image is to be restored; `clean` makes it a denoising autoencoder (Vincent et al.,
        /// 2008).
        target: Target = Target::Input,
        /// What the decoder is told of an image's class.
        condition: Condition = Condition::None,
        /// The part of the encoder that this term sees, as `a` of `concat(a=…, b=…)`.
        /// Without it the term sees the embeddings of all parts side by side.
        on: Option<Part> = None,
    }
}

fn labels(term: &ClassAutoencoder) -> &'static [Port] {
    match term.condition {
        Condition::None => &[],
        Condition::Label | Condition::PerClass => &[Port::Labels],
    }
}

fn network(
    term: &ClassAutoencoder,
    place: &Place,
) -> std::result::Result<catalog::Network, Misfit> {
    let decoder = |place: &Place| term.decoder.0.network(place);
    let network = match term.condition {
        Condition::None => decoder(place)?,
        Condition::Label => {
            let labelled = Place { dim: place.dim + place.classes, ..*place };
            catalog::Network::new(&[place.dim]).widened(place.classes).then(&decoder(&labelled)?)
        }
        Condition::PerClass => {
            let each = decoder(place)?.one_of(place.classes);
            catalog::Network::new(&[place.dim]).sorted().then(&each)
        }
    };
    Ok(network.squared_error())
}

impl Loss for ClassAutoencoder {
    fn build(&self, site: &Site, scope: &Scope) -> Result<Term> {
        let decoder = build(&site.library.decoders, &self.decoder.0);
        let scope = scope.pp("decoder");
        let make = |dim, scope: &Scope| decoder.build(dim, site.image, scope);
        let decoders = match self.condition {
            Condition::None => Decoders::Blind(make(site.dim, &scope)?),
            Condition::Label => {
                Decoders::Told(make(site.dim + site.classes, &scope)?, site.classes)
            }
            Condition::PerClass => {
                let each = (0..site.classes).map(|class| make(site.dim, &scope.pp(class)));
                Decoders::Each(each.collect::<Result<_>>()?)
            }
        };
        Ok(Term::Single(Box::new(Autoencoder { decoders, target: self.target })))
    }
}

struct Autoencoder {
    decoders: Decoders,
    target: Target,
}

impl Single for Autoencoder {
    fn is_mean(&self) -> bool {
        true
    }

    fn needs_clean(&self) -> bool {
        self.target == Target::Clean
    }

    fn value(&self, batch: &Activations, mode: &Mode) -> Result<Tensor> {
        let target = match (self.target, &batch.clean) {
            (Target::Input, _) => batch.input.clone(),
            (Target::Clean, Some(clean)) => Tensor::cat(&vec![clean; batch.views], 0)?,
            (Target::Clean, None) => bail!("the batch has no images without augmentation"),
        };
        let embedding = &batch.embedding;
        match &self.decoders {
            Decoders::Blind(decoder) => {
                squared_error(&between(embedding, |z| decoder.forward(z, mode))?, &target)
            }
            Decoders::Told(decoder, classes) => {
                let told = one_hot(&classes_of(batch, *classes)?, *classes, embedding)?;
                let embedding = Tensor::cat(&[embedding, &told], 1)?;
                squared_error(&between(&embedding, |z| decoder.forward(z, mode))?, &target)
            }
            Decoders::Each(decoders) => {
                let classes = classes_of(batch, decoders.len())?;
                let routes = Routes::new(&classes, decoders.len());
                let rows = Tensor::new(&routes.order[..], embedding.device())?;
                let sorted = embedding.index_select(&rows, 0)?;
                let restored = between(&sorted, |sorted| routes.restore(decoders, sorted, mode))?;
                squared_error(&restored, &target.index_select(&rows, 0)?)
            }
        }
    }
}

/// What turns embeddings back into images.
enum Decoders {
    /// Is not told the class.
    Blind(Box<dyn Network>),
    /// Is told which of so many classes.
    Told(Box<dyn Network>, usize),
    /// One for each class.
    Each(Vec<Box<dyn Network>>),
}

/// The class of each row, each one of `count`.
fn classes_of(batch: &Activations, count: usize) -> Result<Vec<u32>> {
    if let Some(label) = batch.labels.iter().find(|label| **label as usize >= count) {
        bail!("there is no class {label} among {count}");
    }
    Ok(batch.labels.repeat(batch.views))
}

/// For each row a 1 at its class, in the type of `like`.
fn one_hot(classes: &[u32], count: usize, like: &Tensor) -> Result<Tensor> {
    let mut values = vec![0f32; classes.len() * count];
    for (row, class) in values.chunks_exact_mut(count).zip(classes) {
        row[*class as usize] = 1.0;
    }
    Tensor::from_vec(values, (classes.len(), count), like.device())?.to_dtype(like.dtype())
}

/// Rows in order of their class.
struct Routes {
    order: Vec<u32>,
    /// Rows of each class.
    counts: Vec<usize>,
}

impl Routes {
    fn new(classes: &[u32], count: usize) -> Self {
        let mut order: Vec<u32> = (0..classes.len() as u32).collect();
        order.sort_by_key(|row| classes[*row as usize]);
        let mut counts = vec![0; count];
        classes.iter().for_each(|class| counts[*class as usize] += 1);
        Self { order, counts }
    }

    /// The images of `sorted` embeddings, each by the decoder of its class.
    fn restore(
        &self,
        decoders: &[Box<dyn Network>],
        sorted: &Tensor,
        mode: &Mode,
    ) -> Result<Tensor> {
        let (mut restored, mut idle) = (Vec::new(), Vec::new());
        let mut from = 0;
        for (decoder, count) in decoders.iter().zip(&self.counts) {
            match count {
                0 => idle.push(untouched(&**decoder, sorted)),
                1 => restored.push(decoder.forward(&sorted.narrow(0, from, 1)?, &Mode::Eval)?),
                _ => restored.push(decoder.forward(&sorted.narrow(0, from, *count)?, mode)?),
            }
            from += count;
        }
        let restored = Tensor::cat(&restored, 0)?;
        match idle.into_iter().reduce(|sum, other| sum? + other?) {
            None => Ok(restored),
            Some(nothing) => restored.broadcast_add(&nothing?),
        }
    }
}

/// Zero, with the gradient zero for every variable of `decoder`: an optimizer steps by the gradient
/// of everything that is trained.
fn untouched(decoder: &dyn Network, embeddings: &Tensor) -> Result<Tensor> {
    let image = decoder.forward(&embeddings.narrow(0, 0, 1)?.detach(), &Mode::Eval)?;
    let nothing = Tensor::zeros(1, image.dtype(), image.device())?;
    kernel::scaled(&image, &nothing)
}
