//! How a dataset is divided into training, validation and test images.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Amount, Bound, DatasetFacts, SplitSeed};

/// The sizes of a dataset's splits, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Division {
    /// Images for training.
    pub train: usize,
    pub val: usize,
    pub test: usize,
    /// Whether the test split is cut from the training images, for want of a published one.
    pub test_is_cut: bool,
    /// The seed of the division.
    pub seed: u64,
}

/// An argument that asks for more images than there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooMany {
    /// The argument at fault.
    pub param: &'static str,
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
            message: format!("{wanted} images are asked for, of {there}"),
        };
        let cut = match facts.test {
            Some(_) => 0,
            None => amount("test").map_or(0, |test| test.of(facts.train)),
        };
        if cut >= facts.train {
            return Err(too_many("test", cut, facts.train));
        }
        let val = amount("val").map_or(0, |val| val.of(facts.train - cut));
        if val + cut >= facts.train {
            return Err(too_many("val", val, facts.train - cut));
        }
        let rest = facts.train - cut - val;
        let train = amount("train").map_or(rest, |train| train.of(rest));
        if train == 0 || train > rest {
            return Err(too_many("train", train, rest));
        }
        let seed = match bound.value("split_seed").map(|_| bound.get("split_seed")) {
            Some(SplitSeed::Fixed(seed)) => seed,
            Some(SplitSeed::Trial) | None => 0,
        };
        Ok(Self {
            train,
            val,
            test: facts.test.unwrap_or(cut),
            test_is_cut: facts.test.is_none(),
            seed,
        })
    }

    /// The division of a trial whose `split` stream has the root `seed`.
    pub fn in_trial(self, bound: &Bound, seed: u64) -> Self {
        Self { seed: if follows_seed(bound) { seed } else { self.seed }, ..self }
    }
}
