//! The images of a pool on the cards that train on them.

use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Result, Tensor};

use super::pool::Pool;
use crate::catalog::ImageShape;
use crate::kernel;

/// Share of a card's free memory that images may take.
const SHARE: f64 = 0.4;

/// The images on each card that has asked for them; none where they take too much of its memory.
#[derive(Default)]
pub struct Resident(Mutex<Vec<(Device, Option<Tensor>)>>);

impl Resident {
    /// The images of `pool` on `card`, copied there when they are first asked for.
    pub fn on(&self, card: &Device, pool: &Pool) -> Result<Option<Tensor>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, images)) = known.iter().find(|(device, _)| device.same_device(card)) {
            return Ok(images.clone());
        }
        let ImageShape { height, width, channels } = pool.shape;
        let shape = [pool.fine.len(), height, width, channels];
        let images = kernel::resident(card, shape, SHARE, |index, bytes| {
            bytes.extend_from_slice(&pool.image(index as u32)?);
            Ok(())
        })?;
        known.push((card.clone(), images.clone()));
        Ok(images)
    }

    /// Gives up the images on `card`.
    pub fn forget(&self, card: &Device) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(device, _)| !device.same_device(card));
    }
}
