//! The supervised contrastive loss.

use candle_core::Result;

use super::{Loss, Pairs, Site, Term};
use crate::catalog::{Misfit, Network, Place, Port, Positive};
use crate::kernel::{self, PairKind, PairTerm};
use crate::tensor::Scope;
use crate::{choice, component};

choice! {
    /// What stands in the denominator beside a positive's numerator.
    Denominator {
        /// The positive itself and all negatives (Chen et al., 2022, L_attract).
        Own = "own",
        /// Everything but the anchor (Khosla et al., 2020, L_out).
        All = "all",
        /// The negatives alone: the limit of large batches, in which theory is done.
        Negatives = "negatives",
    }
}

choice! {
    /// What becomes of an anchor that has no positive in its batch.
    NoPositive {
        /// It is left out of the mean.
        Skip = "skip",
        /// It counts as zero, and the mean is over all anchors.
        Zero = "zero",
        /// Training ends with an error.
        Error = "error",
    }
}

component! {
    /// Supervised contrastive loss: draws the members of a class together and away from the rest.
    ///
    /// For an anchor `i` with the positives `P` of its class and the negatives `N` of others, with
    /// similarities `S = z.z' / temperature`, it is the mean over `p` in `P` of
    /// `-log(exp(S_ip) / (exp(S_ip) + sum_N exp(S_ia)))`, averaged over anchors. The denominator
    /// holds the one positive that is scored (Chen et al., *Perfectly Balanced*, 2022);
    /// `denominator=all` is the loss of Khosla et al. (2020, eq. 2), without its
    /// `base_temperature`. Its least value is reached when every class collapses to a point and
    /// the points form a simplex.
    ///
    /// `pairs=pooled` works with one view too; `pairs=cross` needs two, and counts the same item in
    /// the other view as a positive like any other.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment attract {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   views = 2
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Loss as dyn Loss, version 1, needs [Embedding, Labels], also SupCon::views, network network;
    supcon => SupCon {
        /// What similarities are divided by; smaller values weigh the nearest negatives more.
        temperature: Positive = 0.5,
        /// Whether embeddings are first scaled to length one.
        normalize: bool = true,
        /// What stands in the denominator beside a positive's numerator.
        denominator: Denominator = Denominator::Own,
        /// Which embeddings are compared.
        pairs: Pairs = Pairs::Pooled,
        /// What becomes of an anchor that has no positive in its batch.
        no_positive: NoPositive = NoPositive::Skip,
    }
}

fn network(term: &SupCon, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(term.pairs.layers(place, term.normalize))
}

impl SupCon {
    /// Pairs across views need two of them.
    fn views(&self) -> &'static [Port] {
        match self.pairs {
            Pairs::Pooled => &[],
            Pairs::Cross => &[Port::Views],
        }
    }
}

impl Loss for SupCon {
    fn build(&self, _site: &Site, _scope: &Scope) -> Result<Term> {
        let denominator = match self.denominator {
            Denominator::Own => kernel::Denominator::Own,
            Denominator::All => kernel::Denominator::All,
            Denominator::Negatives => kernel::Denominator::Negatives,
        };
        let no_positive = match self.no_positive {
            NoPositive::Skip => kernel::NoPositive::Skip,
            NoPositive::Zero => kernel::NoPositive::Zero,
            NoPositive::Error => kernel::NoPositive::Error,
        };
        let kind = PairKind::SupCon { denominator };
        let term = self.pairs.term(kind, self.temperature.get(), self.normalize);
        Ok(Term::Pairwise(PairTerm { no_positive, ..term }))
    }
}
