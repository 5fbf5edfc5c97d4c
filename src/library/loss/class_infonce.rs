//! InfoNCE within the classes.

use candle_core::Result;

use super::{Loss, Pairs, Site, Term, account as formulas};
use crate::catalog::{Account, ClassWeights, Misfit, Network, Part, Place, Varying};
use crate::component;
use crate::kernel::PairKind;
use crate::tensor::Scope;

component! {
    /// Class-conditional InfoNCE: draws an item's views together, away from the rest of its class.
    ///
    /// For an anchor `i` with the twins `q`, the other views of the same item, and the positives
    /// `P` of its class it is the mean over `q` of `-log(exp(S_iq) / sum_P exp(S_ip))` (Chen et al.,
    /// *Perfectly Balanced*, 2022: cNCE). Added to `supcon` it spreads each class out, the more the
    /// greater its weight; the sum at weights `1 - alpha` and `alpha` is the paper's L_spread.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment spread {
    ///   data = digits(labels=coarse)
    ///   augment { turn = rotation(degrees=15) }
    ///   encoder = mlp()
    ///   views = 2
    ///   loss {
    ///     supcon = 0.3 * supcon(temperature=0.5)
    ///     cnce = 0.7 * class_infonce(temperature=0.5)
    ///   }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Loss as dyn Loss, version 1, needs [Embedding, Labels, Views],
        account account, network network;
    class_infonce => ClassInfoNce {
        /// What similarities are divided by; smaller values weigh the nearest items more.
        /// It may change over training: `linear(0.5, 0.1)`.
        temperature: Varying = 0.5,
        /// Whether embeddings are first scaled to length one.
        normalize: bool = true,
        /// Which embeddings are compared.
        pairs: Pairs = Pairs::Pooled,
        /// How much an anchor counts in the mean, by its class.
        /// With `none` all count alike, with `balanced` inversely to the number of training images
        /// of the class, with a list by these numbers, in the order of the classes.
        class_weights: ClassWeights = ClassWeights::Alike,
        /// The part of the encoder that this term sees, as `a` of `concat(a=…, b=…)`.
        /// Without it the term sees the embeddings of all parts side by side.
        on: Option<Part> = None,
    }
}

fn network(term: &ClassInfoNce, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(term.pairs.layers(place, term.normalize))
}

fn account(term: &ClassInfoNce) -> Account {
    formulas::noise_contrast(("P(i)", "P(i)"))
        .account(("L", r"\mathcal{L}"))
        .symbol(formulas::similarity(term.normalize, &term.temperature))
        .symbol(formulas::compared(term.pairs))
        .symbol(formulas::twins(term.pairs))
}

impl Loss for ClassInfoNce {
    fn build(&self, _site: &Site, _scope: &Scope) -> Result<Term> {
        let temperature = self.temperature.first();
        let term = self.pairs.term(PairKind::ClassInfoNce, temperature, self.normalize);
        Ok(Term::Pairwise(vec![term]))
    }
}
