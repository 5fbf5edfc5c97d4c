//! The contrastive loss of the code that was released with the paper, its mistakes included.

use candle_core::Result;

use super::{Loss, Pairs, Site, Term};
use crate::catalog::{Misfit, Network, NonNegative, Place, Port, Positive};
use crate::kernel::{Denominator, Lengths, PairKind, PairTerm, Sum};
use crate::tensor::Scope;
use crate::{choice, component};

choice! {
    /// The `type` of the released class.
    Kind {
        /// The supervised part alone.
        SupCon = "sup_con",
        /// Both parts.
        LSpread = "l_spread",
        /// The class-conditional part alone.
        LRepel = "l_repel",
        /// The supervised part with every item a class of its own.
        SimClr = "sim_clr",
    }
}

component! {
    /// The contrastive loss of the code released with *Perfectly Balanced*, mistakes included.
    ///
    /// `ContrastiveLoss` of HazyResearch/thanos-code, in value and gradient, to repeat what was run
    /// there; to learn from it, `supcon` and `class_infonce` are what the paper says. It is
    /// `(a_lc * L_sup + a_spread * L_cNCE) / (a_lc + a_spread)`, with the anchors of each view
    /// compared with each earlier view, and two parts that differ from the paper:
    ///
    /// - The test of `clip_pos` is inverted. At 1.0, the default, similarities over the temperature
    ///   above 1 count as 1 in the numerators of `L_sup`, so that positives nearer than that are
    ///   not drawn together, and still pushed apart by the denominator; at any other value nothing
    ///   is clipped.
    /// - `lc_norm` divides the product of item i of one view and item j of another by the lengths of
    ///   item j in both, not by those of i and j.
    ///
    /// With `a_spread=0`, and for `sup_con`, the value is `a_lc * L_sup`; `l_repel` and `sim_clr`
    /// set both weights themselves. Lengths of zero, which divide by zero there, give similarities
    /// of 0 here.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment released {
    ///   data = digits(labels=coarse)
    ///   augment { turn = rotation(degrees=15) }
    ///   encoder = mlp()
    ///   views = 2
    ///   loss { spread = thanos_release(kind=l_spread); class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Loss as dyn Loss, version 1, needs [Embedding, Views], also ThanosRelease::labels,
        network network;
    thanos_release => ThanosRelease {
        /// The parts that are summed.
        kind: Kind = Kind::LSpread,
        /// What similarities are divided by.
        temperature: Positive = 0.5,
        /// At 1.0 positives are clipped there; at any other value they are not.
        clip_pos: Positive = 1.0,
        /// Whether similarities are divided by lengths, those of the second item in both views.
        lc_norm: bool = true,
        /// The weight of the supervised part.
        a_lc: NonNegative = 1.0,
        /// The weight of the class-conditional part.
        a_spread: NonNegative = 1.0,
    }
}

fn network(term: &ThanosRelease, place: &Place) -> std::result::Result<Network, Misfit> {
    if term.shares().iter().all(|share| *share == 0.0) {
        return Err(Misfit {
            param: Some("a_lc"),
            message: "the parts of `thanos_release` have no weight".to_owned(),
            label: "nothing is left of the term".to_owned(),
            help: "write an `a_lc` or an `a_spread` above 0".to_owned(),
        });
    }
    Ok(Pairs::Cross.layers(place, term.lc_norm))
}

impl ThanosRelease {
    /// Without labels every item is a class of its own.
    fn labels(&self) -> &'static [Port] {
        if self.kind == Kind::SimClr { &[] } else { &[Port::Labels] }
    }

    /// The weights of the supervised and of the class-conditional part.
    fn shares(&self) -> [f64; 2] {
        let (near, spread) = (self.a_lc.get(), self.a_spread.get());
        match self.kind {
            Kind::SimClr => [1.0, 0.0],
            Kind::LRepel => [0.0, 1.0],
            Kind::LSpread if spread > 0.0 => [near / (near + spread), spread / (near + spread)],
            Kind::SupCon | Kind::LSpread => [near, 0.0],
        }
    }

    fn supervised(&self) -> PairKind {
        match self.kind {
            Kind::SimClr => PairKind::InfoNce,
            _ => PairKind::SupCon { sum: Sum::Out, denominator: Denominator::Own },
        }
    }
}

impl Loss for ThanosRelease {
    fn build(&self, _site: &Site, _scope: &Scope) -> Result<Term> {
        let [near, spread] = self.shares();
        let part = |kind, weight| PairTerm {
            weight,
            temperature: self.temperature.get(),
            lengths: if self.lc_norm { Lengths::Columns } else { Lengths::Free },
            cross: true,
            ..PairTerm::new(kind)
        };
        // The clip is there when its value is the one that stands for none.
        let clip = (self.clip_pos.get() == 1.0).then_some(1.0);
        let supervised = PairTerm { clip, ..part(self.supervised(), near) };
        let parts = [supervised, part(PairKind::ClassInfoNce, spread)];
        Ok(Term::Pairwise(parts.into_iter().filter(|part| part.weight > 0.0).collect()))
    }
}
