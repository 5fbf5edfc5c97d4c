//! How a dataset is divided into training, validation and test images.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Amount, Bound, DatasetFacts, SplitSeed, Subsample};

/// The sizes of a dataset's splits, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Division {
    /// Images for training.
    pub train: usize,
    pub val: usize,
    pub test: usize,
    /// Whether the test split is cut from the training images, for want of a published one.
    pub test_is_cut: bool,
    /// Whether the validation split is as it was published.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub val_is_published: bool,
    /// The seed of the division.
    pub seed: u64,
}

/// An argument that asks for more images than there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooMany {
    /// The argument at fault.
    pub param: &'static str,
    /// What is wrong, as a sentence.
    pub headline: String,
    pub message: String,
}

/// Whether the data that `bound` calls are divided anew for every seed.
pub fn follows_seed(bound: &Bound) -> bool {
    let asked = bound.value("split_seed").map(|_| bound.get("split_seed"));
    asked == Some(SplitSeed::Trial)
}

impl Division {
    /// The sizes that `bound` asks for of a dataset with these `facts`.
    pub fn of(bound: &Bound, facts: &DatasetFacts) -> Result<Self, TooMany> {
        let amount = |name| match bound.value(name) {
            Some(_) => bound.get::<Option<Amount>>(name),
            None => None,
        };
        let too_many = |param, wanted, there| TooMany {
            param,
            headline: format!("`{param}` leaves no images to train on"),
            message: format!("{wanted} images are asked for, of {there}"),
        };
        let cut = match facts.test {
            Some(_) => 0,
            None => amount("test").map_or(0, |test| test.of(facts.train)),
        };
        if cut >= facts.train {
            return Err(too_many("test", cut, facts.train));
        }
        let usual = Amount::Fraction(0.1);
        let asked = match (amount("val"), facts.val, bound.value("val")) {
            (None, None, Some(_)) => Some(usual),
            (asked, ..) => asked,
        };
        let asked = asked.map(|val| val.of(facts.train - cut));
        let published = facts.val.filter(|_| asked.is_none());
        let val = asked.unwrap_or(0);
        if val + cut >= facts.train {
            return Err(too_many("val", val, facts.train - cut));
        }
        let rest = facts.train - cut - val;
        let train = amount("train").map_or(rest, |train| train.of(rest));
        if train == 0 || train > rest {
            return Err(too_many("train", train, rest));
        }
        let whole = Self {
            train,
            val: published.unwrap_or(val),
            test: facts.test.unwrap_or(cut),
            test_is_cut: facts.test.is_none(),
            val_is_published: published.is_some(),
            seed: split_seed(bound),
        };
        match Subsample::of(bound, facts)? {
            Some(subsample) => subsample.of_division(whole, facts, amount("train").is_some()),
            None => Ok(whole),
        }
    }

    /// The division of a trial whose `split` stream has the root `seed`.
    pub fn in_trial(self, bound: &Bound, seed: u64) -> Self {
        Self { seed: if follows_seed(bound) { seed } else { self.seed }, ..self }
    }
}

fn split_seed(bound: &Bound) -> u64 {
    match bound.value("split_seed").map(|_| bound.get("split_seed")) {
        Some(SplitSeed::Fixed(seed)) => seed,
        Some(SplitSeed::Trial) | None => 0,
    }
}

/// How many of each class to take so that `size` are taken in all, with the shares of what is `left`
/// (largest remainders; of equal ones the first).
pub fn shares(left: &[usize], size: usize) -> Vec<usize> {
    let total: usize = left.iter().sum();
    if total == 0 {
        return vec![0; left.len()];
    }
    let mut shares: Vec<usize> = left.iter().map(|count| count * size / total).collect();
    let mut by_remainder: Vec<usize> = (0..left.len()).collect();
    by_remainder
        .sort_by_key(|class| std::cmp::Reverse((left[*class] * size % total, usize::MAX - class)));
    let missing = size - shares.iter().sum::<usize>();
    for class in by_remainder.into_iter().take(missing) {
        shares[class] += 1;
    }
    shares
}
