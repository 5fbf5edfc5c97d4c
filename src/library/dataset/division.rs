//! What datasets are asked in common: how many images are trained on, and with which labels.

use crate::arguments;
use crate::catalog::{Amount, Draw, Fraction, Natural, SplitSeed};

arguments! {
    /// How many images are trained on.
    Kept {
        /// How much of the remaining images to train on, with the same share of each fine class.
        train: Option<Amount> = None,
        /// How many training images each fine class keeps at most: one number for all, one for each
        /// fine class of a superclass in order of id, or one for each fine class.
        subsample: Option<Vec<Natural>> = None,
    }
}

arguments! {
    /// What is drawn of images and labels.
    Drawn {
        /// How they are drawn.
        draw: Draw = Draw::Once,
        /// The share of training images whose label is replaced by another; evaluations see the
        /// true ones.
        label_noise: Fraction = 0.0,
        /// Fixes the division for every seed of a sweep; `seed` lets it vary with the seed.
        split_seed: SplitSeed = 42,
    }
}
