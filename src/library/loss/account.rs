//! Contrastive terms in formulas.

use super::Pairs;
use super::forms::{Denominator, NoPositive, Sum};
use crate::catalog::Account;

/// A formula in both notations.
pub(super) struct Formula {
    unicode: String,
    latex: String,
}

impl Formula {
    fn new(unicode: impl Into<String>, latex: impl Into<String>) -> Self {
        Self { unicode: unicode.into(), latex: latex.into() }
    }

    /// `name(i) = this`
    pub(super) fn account(&self, (unicode, latex): (&str, &str)) -> Account {
        Account::new(
            format!("{unicode}(i) = {}", self.unicode),
            format!(r"{latex}(i) = {}", self.latex),
        )
    }

    /// Times the temperature over `scale`.
    pub(super) fn scaled(self, scale: Option<f64>) -> Self {
        let Some(scale) = scale else { return self };
        Self {
            unicode: format!("τ/{scale} · {}", in_brackets(&self.unicode)),
            latex: format!(r"\frac{{\tau}}{{{scale}}} \left( {} \right)", self.latex),
        }
    }
}

/// A formula that is no factor as it stands.
fn in_brackets(text: &str) -> String {
    format!("[ {text} ]")
}

/// `e^S`, or what a clip leaves of it.
fn numerator(clip: Option<f64>) -> Formula {
    match clip {
        None => Formula::new("e^S_ip", "e^{S_{ip}}"),
        Some(clip) => {
            Formula::new(format!("e^min(S_ip, {clip})"), format!(r"e^{{\min(S_{{ip}}, {clip})}}"))
        }
    }
}

fn denominator(denominator: Denominator) -> Formula {
    match denominator {
        Denominator::Own => {
            Formula::new("(e^S_ip + Σ_a∈N(i) e^S_ia)", r"e^{S_{ip}} + \sum_{a \in N(i)} e^{S_{ia}}")
        }
        Denominator::All => {
            Formula::new("Σ_a∈P(i)∪N(i) e^S_ia", r"\sum_{a \in P(i) \cup N(i)} e^{S_{ia}}")
        }
        Denominator::Negatives => Formula::new("Σ_a∈N(i) e^S_ia", r"\sum_{a \in N(i)} e^{S_{ia}}"),
    }
}

/// The supervised contrastive loss of an anchor.
pub(super) fn supervised(sum: Sum, below: Denominator, clip: Option<f64>) -> Formula {
    let (above, below) = (numerator(clip), denominator(below));
    let unicode = format!("{} / {}", above.unicode, below.unicode);
    let latex = format!(r"\frac{{{}}}{{{}}}", above.latex, below.latex);
    match sum {
        Sum::Out => Formula::new(
            format!("−1/|P(i)| Σ_p∈P(i) ln( {unicode} )"),
            format!(r"-\frac{{1}}{{|P(i)|}} \sum_{{p \in P(i)}} \ln {latex}"),
        ),
        Sum::In => Formula::new(
            format!("−ln( 1/|P(i)| Σ_p∈P(i) {unicode} )"),
            format!(r"-\ln \frac{{1}}{{|P(i)|}} \sum_{{p \in P(i)}} {latex}"),
        ),
        Sum::InTotal => Formula::new(
            format!("−ln( Σ_p∈P(i) {unicode} )"),
            format!(r"-\ln \sum_{{p \in P(i)}} {latex}"),
        ),
    }
}

/// InfoNCE of an anchor against `set`, in either notation.
pub(super) fn noise_contrast((unicode, latex): (&str, &str)) -> Formula {
    Formula::new(
        format!("−1/|T(i)| Σ_q∈T(i) ln( e^S_iq / Σ_a∈{unicode} e^S_ia )"),
        format!(
            r"-\frac{{1}}{{|T(i)|}} \sum_{{q \in T(i)}} \ln \frac{{e^{{S_{{iq}}}}}}{{\sum_{{a \in {latex}}} e^{{S_{{ia}}}}}}"
        ),
    )
}

/// The same against all items, with a clip: the supervised loss where every item is a class.
pub(super) fn clipped_noise_contrast(clip: Option<f64>) -> Formula {
    let above = numerator(clip);
    let (unicode, latex) = (above.unicode.replace('p', "q"), above.latex.replace("ip", "iq"));
    Formula::new(
        format!("−Σ_q∈T(i) ln( {unicode} / Σ_a∈P(i)∪N(i) e^S_ia )"),
        format!(
            r"-\sum_{{q \in T(i)}} \ln \frac{{{latex}}}{{\sum_{{a \in P(i) \cup N(i)}} e^{{S_{{ia}}}}}}"
        ),
    )
}

/// What similarities are.
pub(super) fn similarity(normalize: bool, temperature: impl std::fmt::Display) -> String {
    match normalize {
        true => format!("S_ij = z_i·z_j / τ, z = e / |e|, τ = {temperature}"),
        false => format!("S_ij = e_i·e_j / τ, lengths as they are, τ = {temperature}"),
    }
}

/// What an anchor is compared with.
pub(super) fn compared(pairs: Pairs) -> &'static str {
    match pairs {
        Pairs::Pooled => {
            "i over all embeddings; P(i) the others of its class, N(i) those of other classes"
        }
        Pairs::Cross => {
            "i over a view; P(i) those of its class in an earlier view, N(i) of others; mean over pairs of views"
        }
    }
}

/// What the twins of an anchor are.
pub(super) fn twins(pairs: Pairs) -> &'static str {
    match pairs {
        Pairs::Pooled => "T(i) the other views of the item of i",
        Pairs::Cross => "T(i) the item of i in that earlier view",
    }
}

/// What becomes of an anchor without positives.
pub(super) fn lonely(no_positive: NoPositive) -> &'static str {
    match no_positive {
        NoPositive::Skip => "the mean over i leaves out those without P(i)",
        NoPositive::Zero => "the mean over i counts 0 for those without P(i)",
        NoPositive::Error => "an i without P(i) ends the training",
    }
}
