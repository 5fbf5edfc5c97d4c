//! InfoNCE, without labels.

use candle_core::Result;

use super::{Loss, Pairs, Site, Term, account as formulas};
use crate::catalog::{Account, Misfit, Network, Part, Place, Varying};
use crate::component;
use crate::kernel::PairKind;
use crate::tensor::Scope;

component! {
    /// InfoNCE: draws the views of an item together, and away from everything else.
    ///
    /// Labels play no part. For an anchor `i` with the twins `q`, the other views of the same item,
    /// it is the mean over `q` of `-log(exp(S_iq) / sum_a exp(S_ia))` with `a` over all but `i`.
    /// With two pooled views this is the NT-Xent loss of SimCLR (Chen et al., 2020, eq. 1).
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment simclr {
    ///   data = digits(labels=coarse)
    ///   augment { turn = rotation(degrees=15) }
    ///   encoder = mlp()
    ///   views = 2
    ///   loss { nce = infonce(temperature=0.2) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Loss as dyn Loss, version 1, needs [Embedding, Views],
        account account, network network;
    infonce => InfoNce {
        /// What similarities are divided by; smaller values weigh the nearest items more.
        /// It may change over training: `linear(0.5, 0.1)`.
        temperature: Varying = 0.5,
        /// Whether embeddings are first scaled to length one.
        normalize: bool = true,
        /// Which embeddings are compared.
        pairs: Pairs = Pairs::Pooled,
        /// The part of the encoder that this term sees, as `a` of `concat(a=…, b=…)`.
        /// Without it the term sees the embeddings of all parts side by side.
        on: Option<Part> = None,
    }
}

fn network(term: &InfoNce, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(term.pairs.layers(place, term.normalize))
}

fn account(term: &InfoNce) -> Account {
    let compared = match term.pairs {
        Pairs::Pooled => "i over all embeddings; A(i) all others, whatever their class",
        Pairs::Cross => "i over a view; A(i) all of an earlier view; mean over pairs of views",
    };
    formulas::noise_contrast(("A(i)", "A(i)"))
        .account(("L", r"\mathcal{L}"))
        .symbol(formulas::similarity(term.normalize, &term.temperature))
        .symbol(compared)
        .symbol(formulas::twins(term.pairs))
}

impl Loss for InfoNce {
    fn build(&self, _site: &Site, _scope: &Scope) -> Result<Term> {
        let temperature = self.temperature.first();
        let term = self.pairs.term(PairKind::InfoNce, temperature, self.normalize);
        Ok(Term::Pairwise(vec![term]))
    }
}
