//! The supervised contrastive loss.

use candle_core::Result;

use super::forms::{Denominator, Form, NoPositive, Sum};
use super::{Loss, Pairs, Site, Term, account as formulas};
use crate::catalog::{
    Account, ClassWeights, Misfit, Network, Part, Place, Port, Positive, Varying,
};
use crate::component;
use crate::kernel::{PairKind, PairTerm};
use crate::tensor::Scope;

component! {
    /// Supervised contrastive loss: draws the members of a class together and away from the rest.
    ///
    /// For an anchor `i` with the positives `P` of its class and the negatives `N` of others, with
    /// similarities `S = z.z' / temperature`, it is the mean over `p` in `P` of
    /// `-log(exp(S_ip) / (exp(S_ip) + sum_N exp(S_ia)))`, averaged over anchors. The denominator
    /// holds the one positive that is scored (Chen et al., *Perfectly Balanced*, 2022). Its least
    /// value is reached when every class collapses to a point and the points form a simplex.
    ///
    /// Published losses of this name differ in the axes below. `form` names one, and sets each axis
    /// that is not written beside it; the temperature belongs to no form. `balance explain loss
    /// FILE` says which form a term is nearest to. A zero vector is compared as a zero vector: its
    /// similarities are 0, and it gets no gradient.
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
    Loss as dyn Loss, version 1, needs [Embedding, Labels], also SupCon::views,
        forms form by Form::preset, account account, network network;
    supcon => SupCon {
        /// What similarities are divided by; smaller values weigh the nearest negatives more.
        /// It may change over training: `linear(0.5, 0.1)`.
        temperature: Varying = 0.5,
        /// Whether embeddings are first scaled to length one.
        normalize: bool = true,
        /// Where the sum over positives stands: `out` averages what each costs, `in` takes the
        /// cost of their mean ratio, `in_total` that of the sum of ratios.
        sum: Sum = Sum::Out,
        /// What stands in the denominator: the scored positive and all negatives, all but the
        /// anchor, or the negatives alone.
        denominator: Denominator = Denominator::Own,
        /// Which embeddings are compared.
        pairs: Pairs = Pairs::Pooled,
        /// The most that a similarity, over the temperature, counts for in a numerator: what is
        /// above it is drawn no closer.
        clip: Option<Positive> = None,
        /// A base temperature: the term is multiplied by `temperature / scale`.
        scale: Option<Positive> = None,
        /// What becomes of an anchor that has no positive in its batch: it is left out of the mean,
        /// it counts as zero, or training ends with an error.
        no_positive: NoPositive = NoPositive::Skip,
        /// How much an anchor counts in the mean, by its class.
        /// With `none` all count alike, with `balanced` inversely to the number of training images
        /// of the class, with a list by these numbers, in the order of the classes.
        class_weights: ClassWeights = ClassWeights::Alike,
        /// The part of the encoder that this term sees, as `a` of `concat(a=…, b=…)`.
        /// Without it the term sees the embeddings of all parts side by side.
        on: Option<Part> = None,
        /// The published loss that sets what is not written.
        form: Form = Form::Thanos,
    }
}

fn network(term: &SupCon, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(term.pairs.layers(place, term.normalize))
}

fn account(term: &SupCon) -> Account {
    let (clip, scale) = (term.clip.map(Positive::get), term.scale.map(Positive::get));
    let account = formulas::supervised(term.sum, term.denominator, clip)
        .scaled(scale)
        .account(("L", r"\mathcal{L}"))
        .symbol(formulas::similarity(term.normalize, &term.temperature))
        .symbol(formulas::compared(term.pairs))
        .symbol(formulas::lonely(term.no_positive));
    match (clip, term.temperature.0.constant()) {
        (Some(clip), Some(temperature)) if term.normalize && clip >= 1.0 / temperature => {
            account.remark(format!("no similarity is above the clip of {clip}: it changes nothing"))
        }
        (Some(clip), Some(temperature)) => account.remark(format!(
            "a positive of cosine above {:.3} is drawn no closer, and still pushed away where it stands in a denominator",
            clip * temperature
        )),
        _ => account,
    }
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
        let kind = PairKind::SupCon { sum: self.sum.into(), denominator: self.denominator.into() };
        let term = self.pairs.term(kind, self.temperature.first(), self.normalize);
        Ok(Term::Pairwise(vec![PairTerm {
            clip: self.clip.map(Positive::get),
            scale: self.scale.map(Positive::get),
            no_positive: self.no_positive.into(),
            ..term
        }]))
    }
}
