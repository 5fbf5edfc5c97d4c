//! The axes on which supervised contrastive losses differ, and the published losses as points.

use super::Pairs;
use crate::catalog::{ParamType, Positive, Value};
use crate::{choice, kernel};

choice! {
    /// Where the sum over an anchor's positives stands.
    Sum {
        /// Outside the logarithm: the mean over positives of what each costs (L_out).
        Out = "out",
        /// Inside: what the mean of their ratios costs (L_in).
        In = "in",
        /// Inside, the total of the ratios: lower than `in` by the logarithm of the number of
        /// positives, with the same gradient.
        InTotal = "in_total",
    }
}

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

choice! {
    /// A published loss: it sets every axis that is not written beside it.
    Form {
        /// Chen et al., 2022, as the paper has it.
        Thanos = "thanos",
        /// L_out of Khosla et al., 2020, as their code has it, scaled by its base temperature.
        KhoslaOut = "khosla_out",
        /// L_in of Khosla et al., 2020, scaled likewise.
        KhoslaIn = "khosla_in",
        /// Feeney and Hughes, 2023: the denominator of the paper again.
        Sincere = "sincere",
        /// PyTorch Metric Learning.
        Pml = "pml",
        /// solo-learn.
        SoloLearn = "solo_learn",
    }
}

/// A point on every axis.
struct Axes {
    sum: Sum,
    denominator: Denominator,
    scale: Option<Positive>,
    no_positive: NoPositive,
}

/// The base temperature of the code of Khosla et al.
const BASE: f64 = 0.07;

impl Form {
    fn axes(self) -> Axes {
        let base = Some(Positive::from(BASE));
        let (sum, denominator, scale, no_positive) = match self {
            Self::Thanos => (Sum::Out, Denominator::Own, None, NoPositive::Skip),
            Self::KhoslaOut => (Sum::Out, Denominator::All, base, NoPositive::Zero),
            Self::KhoslaIn => (Sum::In, Denominator::All, base, NoPositive::Zero),
            // Where these two are undefined, an error is what they come to.
            Self::Sincere => (Sum::Out, Denominator::Own, None, NoPositive::Error),
            Self::Pml => (Sum::Out, Denominator::All, None, NoPositive::Skip),
            Self::SoloLearn => (Sum::InTotal, Denominator::All, None, NoPositive::Error),
        };
        Axes { sum, denominator, scale, no_positive }
    }

    /// What the form called `form` sets `param` to; a temperature belongs to none.
    pub(super) fn preset(form: &str, param: &str) -> Option<Value> {
        let axes = Self::from_value(&Value::Word(form.to_owned())).axes();
        Some(match param {
            "sum" => axes.sum.to_value(),
            "denominator" => axes.denominator.to_value(),
            "pairs" => Pairs::Pooled.to_value(),
            "clip" => Value::None,
            "scale" => axes.scale.to_value(),
            "no_positive" => axes.no_positive.to_value(),
            _ => return None,
        })
    }
}

impl From<Sum> for kernel::Sum {
    fn from(sum: Sum) -> Self {
        match sum {
            Sum::Out => Self::Out,
            Sum::In => Self::In,
            Sum::InTotal => Self::InTotal,
        }
    }
}

impl From<Denominator> for kernel::Denominator {
    fn from(denominator: Denominator) -> Self {
        match denominator {
            Denominator::Own => Self::Own,
            Denominator::All => Self::All,
            Denominator::Negatives => Self::Negatives,
        }
    }
}

impl From<NoPositive> for kernel::NoPositive {
    fn from(no_positive: NoPositive) -> Self {
        match no_positive {
            NoPositive::Skip => Self::Skip,
            NoPositive::Zero => Self::Zero,
            NoPositive::Error => Self::Error,
        }
    }
}
