//! A batch that is made ahead of its step. On a card that paints its images only what was drawn for them
//! is there: the step copies that to the card with all else that it copies, and paints.

#[cfg(feature = "cuda")]
use candle_core::DType;
use candle_core::{Result, Tensor};

use crate::graph::Batch;
use crate::kernel::held;
#[cfg(feature = "cuda")]
use crate::kernel::{View, paint};
use crate::library::loss::Mixed;

/// What a step is given.
pub struct Prepared {
    pub(super) images: Images,
    pub(super) clean: Option<Images>,
    pub(super) fine: Vec<u32>,
    pub(super) groups: Vec<u32>,
    pub(super) views: usize,
    pub(super) mixed: Option<Mixed>,
}

/// Images that are there, or what was drawn for them.
pub(super) enum Images {
    Made(Tensor),
    #[cfg(feature = "cuda")]
    Drawn(Drawn),
}

/// Views of images that lie on a card, to be painted in a size (height, width).
#[cfg(feature = "cuda")]
pub(super) struct Drawn {
    pub(super) of: Tensor,
    pub(super) views: Vec<View>,
    pub(super) size: [usize; 2],
}

impl Prepared {
    /// The number of items.
    pub fn items(&self) -> usize {
        self.fine.len()
    }

    /// The batch as a step of [`crate::kernel::Replay`] is given it: before the step has queued
    /// anything.
    ///
    /// # Errors
    /// When a card has no memory.
    pub fn held(self) -> Result<Batch> {
        // What is made must be held before anything is painted: where the clean images are made, the
        // augmented ones are.
        Ok(Batch {
            images: self.images.held()?,
            clean: self.clean.map(Images::held).transpose()?,
            fine: self.fine,
            groups: self.groups,
            views: self.views,
            mixed: self.mixed,
        })
    }
}

impl Images {
    pub(super) fn held(self) -> Result<Tensor> {
        match self {
            Self::Made(images) => held(&images),
            #[cfg(feature = "cuda")]
            Self::Drawn(Drawn { of, views, size }) => paint(&of, &views, size, DType::F32),
        }
    }
}
