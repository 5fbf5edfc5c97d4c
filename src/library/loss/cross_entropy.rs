//! Cross-entropy with a classifier of its own.

use candle_core::{Result, Tensor};

use super::{Activations, Loss, Single, Site, Term};
use crate::catalog::{Account, ClassWeights, Fraction, Labels, Misfit, Network, Part, Place};
use crate::kernel::Portion;
use crate::nn::{Linear, Mode};
use crate::tensor::Scope;
use crate::{choice, component, kernel};

choice! {
    /// The classifier between the embedding and the scores.
    Head {
        /// One linear layer with a bias.
        Linear = "linear",
    }
}

component! {
    /// Cross-entropy of a classifier on the embedding, trained with it.
    ///
    /// The mean over all views of all items of `-log softmax(W e + b)` at the item's class. With
    /// `smoothing` a share of the target is spread evenly over all classes (Szegedy et al., 2016).
    /// Where images are mixed by `mixup` or `cutmix`, so is the target: an image that is 70% of one class
    /// and 30% of another counts as 0.7 images of the one and 0.3 of the other.
    /// The accuracy of its classifier is reported under the term's name.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment baseline {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss { class = cross_entropy(smoothing=10%) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Loss as dyn Loss, version 1, needs [Embedding, Labels, Shares],
        account account, network network;
    cross_entropy => CrossEntropy {
        /// The labels to learn.
        labels: Labels = Labels::Declared,
        /// Share of the target spread evenly over all classes.
        smoothing: Fraction = 0.0,
        /// The classifier between the embedding and the scores.
        head: Head = Head::Linear,
        /// How much an image counts in the mean, by its class.
        /// With `none` all count alike, with `balanced` inversely to the number of training images
        /// of the class, with a list by these numbers, in the order of the classes.
        class_weights: ClassWeights = ClassWeights::Alike,
        /// The part of the encoder that this term sees, as `a` of `concat(a=…, b=…)`.
        /// Without it the term sees the embeddings of all parts side by side.
        on: Option<Part> = None,
    }
}

fn network(term: &CrossEntropy, place: &Place) -> std::result::Result<Network, Misfit> {
    let Head::Linear = term.head;
    Ok(Network::new(&[place.dim]).linear(place.classes, true).cross_entropy())
}

fn account(term: &CrossEntropy) -> Account {
    let target = match term.smoothing.get() {
        0.0 => "t(i) = 1 at the class of i".to_owned(),
        share => format!("t(i) = 1 − {share} at the class of i, and {share} spread over all K"),
    };
    let latex = r"\mathcal{L}(i) = -\sum_{k} t_k(i) \ln \mathrm{softmax}(W e_i + b)_k";
    Account::new("L(i) = −Σ_k t_k(i) ln softmax(W e_i + b)_k", latex).symbol(target)
}

impl Loss for CrossEntropy {
    fn build(&self, site: &Site, scope: &Scope) -> Result<Term> {
        let Head::Linear = self.head;
        let head = Linear::new(&scope.pp("head"), site.dim, site.classes)?;
        Ok(Term::Single(Box::new(Classifier { head, smoothing: self.smoothing.get() })))
    }
}

struct Classifier {
    head: Linear,
    smoothing: f64,
}

impl Single for Classifier {
    fn value(&self, batch: &Activations, _mode: &Mode) -> Result<Tensor> {
        let logits = self.head.forward(&batch.embedding)?;
        let labels = batch.labels.repeat(batch.views);
        let weights = batch.class_weights.as_deref();
        let Some(mixed) = &batch.mixed else {
            return kernel::cross_entropy_weighted(&logits, &labels, self.smoothing, weights);
        };
        let others = mixed.others.repeat(batch.views);
        let own = Portion { labels: &labels, share: mixed.own };
        let other = Portion { labels: &others, share: 1.0 - mixed.own };
        kernel::cross_entropy_mixed(&logits, &[own, other], self.smoothing, weights)
    }

    fn is_mean(&self) -> bool {
        true
    }

    fn logits(&self, embedding: &Tensor) -> Result<Option<Tensor>> {
        self.head.forward(embedding).map(Some)
    }
}
