//! What the terms that compare embeddings by pairs share.

use crate::catalog::{Network, Pairing, Place};
use crate::choice;
use crate::kernel::{Lengths, PairKind, PairTerm};

choice! {
    /// Which embeddings a contrastive term compares.
    Pairs {
        /// Every embedding of the batch with every other, whatever their views.
        Pooled = "pooled",
        /// Those of each view with those of each earlier view; the mean over pairs of views.
        Cross = "cross",
    }
}

impl Pairs {
    /// The layers of a term on these pairs.
    pub(super) fn layers(self, place: &Place, normalize: bool) -> Network {
        let pairing = Pairing { normalize, cross: self == Self::Cross };
        Network::new(&[place.dim]).pairs(pairing)
    }

    /// A term on these pairs at weight 1, in which anchors without a positive do not count.
    pub(super) fn term(self, kind: PairKind, temperature: f64, normalize: bool) -> PairTerm {
        let lengths = if normalize { Lengths::Unit } else { Lengths::Free };
        PairTerm { temperature, lengths, cross: self == Self::Cross, ..PairTerm::new(kind) }
    }
}
