//! The contrastive loss of the code that was released with the paper, its mistakes included.

use candle_core::Result;

use super::forms::Denominator as Below;
use super::{Loss, Pairs, Site, Term, account as formulas, forms};
use crate::catalog::{Account, Misfit, Network, NonNegative, Part, Place, Port, Positive, Varying};
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
        account account, network network;
    thanos_release => ThanosRelease {
        /// The parts that are summed.
        kind: Kind = Kind::LSpread,
        /// What similarities are divided by. It may change over training.
        temperature: Varying = 0.5,
        /// At 1.0 positives are clipped there; at any other value they are not.
        clip_pos: Positive = 1.0,
        /// Whether similarities are divided by lengths, those of the second item in both views.
        lc_norm: bool = true,
        /// The weight of the supervised part.
        a_lc: NonNegative = 1.0,
        /// The weight of the class-conditional part.
        a_spread: NonNegative = 1.0,
        /// The part of the encoder that this term sees, as `a` of `concat(a=…, b=…)`.
        /// Without it the term sees the embeddings of all parts side by side.
        on: Option<Part> = None,
    }
}

fn network(term: &ThanosRelease, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Pairs::Cross.layers(place, term.lc_norm))
}

fn account(term: &ThanosRelease) -> Account {
    let ([near, spread], clip) = (term.shares(), term.clip());
    let mut account = Account::default();
    if near > 0.0 {
        let supervised = match term.kind {
            Kind::SimClr => formulas::clipped_noise_contrast(clip),
            _ => formulas::supervised(forms::Sum::Out, Below::Own, clip),
        };
        account = account.with(supervised.account(("L_sup", r"\mathcal{L}_{sup}")));
    }
    if spread > 0.0 {
        let within = formulas::noise_contrast(("P(i)", "P(i)"));
        account = account.with(within.account(("L_cNCE", r"\mathcal{L}_{cNCE}")));
    }
    let account = account
        .with(Account::new(
            format!("L(i) = {near} L_sup(i) + {spread} L_cNCE(i)"),
            format!(r"\mathcal{{L}}(i) = {near} \mathcal{{L}}_{{sup}}(i) + {spread} \mathcal{{L}}_{{cNCE}}(i)"),
        ))
        .symbol(term.similarity())
        .symbol(formulas::compared(Pairs::Cross))
        .symbol(formulas::twins(Pairs::Cross));
    term.remarks().into_iter().fold(account, Account::remark)
}

impl ThanosRelease {
    /// The clip is there when its value is the one that stands for none.
    fn clip(&self) -> Option<f64> {
        (self.clip_pos.get() == 1.0).then_some(1.0)
    }

    fn similarity(&self) -> String {
        let temperature = &self.temperature;
        match self.lc_norm {
            true => format!(
                "S_ij = e_i·e_j / (τ |e_j| |e′_j|), e′_j item j in the view of i, τ = {temperature}"
            ),
            false => formulas::similarity(false, temperature),
        }
    }

    /// What differs from the paper's `supcon(form=thanos)` and `class_infonce`.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = vec!["not the paper's: pairs across views alone, one way".to_owned()];
        match self.clip() {
            Some(clip) if self.shares()[0] > 0.0 => remarks.push(format!(
                "not the paper's: clip_pos={clip} clips the numerators of L_sup: a positive of cosine above {:.3} is drawn no closer, and pushed away by its own denominator",
                clip * self.temperature.first()
            )),
            Some(_) => {}
            None => remarks.push(format!(
                "not what it says: clip_pos={} clips nothing, the test is inverted",
                self.clip_pos.get()
            )),
        }
        if self.lc_norm {
            remarks.push("not the paper's: lengths of item j in both views, not of i and j; alike where all lengths are".to_owned());
        }
        remarks
    }

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
            temperature: self.temperature.first(),
            lengths: if self.lc_norm { Lengths::Columns } else { Lengths::Free },
            cross: true,
            ..PairTerm::new(kind)
        };
        let supervised = PairTerm { clip: self.clip(), ..part(self.supervised(), near) };
        let parts = [supervised, part(PairKind::ClassInfoNce, spread)];
        Ok(Term::Pairwise(parts.into_iter().filter(|part| part.weight > 0.0).collect()))
    }
}
