//! Numbers of steps, where they were computed until they are read together: to read one on a card waits
//! for all that is queued there, and the next step could be queued meanwhile.

use candle_core::{DType, Device, Result, Tensor};

#[cfg(feature = "cuda")]
use super::card::ledger::Rows;

/// Rows of scalars, one for each step.
pub struct Ledger {
    here: Vec<Vec<f64>>,
    #[cfg(feature = "cuda")]
    there: Option<Rows>,
}

impl Ledger {
    /// Of rows of `width` scalars; a card has room for `most` until they are read.
    ///
    /// # Errors
    /// When a card has no memory.
    #[cfg_attr(not(feature = "cuda"), allow(unused_variables, reason = "cards are asked for room"))]
    pub fn new(device: &Device, width: usize, most: usize) -> Result<Self> {
        Ok(Self {
            here: Vec::new(),
            #[cfg(feature = "cuda")]
            there: device.is_cuda().then(|| Rows::new(device, [most, width])).transpose()?,
        })
    }

    /// Adds a row. On a card it is one kernel, and nothing is waited for.
    ///
    /// # Errors
    /// When one is not a scalar, or a card has no room for the row.
    pub fn note(&mut self, row: &[Tensor]) -> Result<()> {
        #[cfg(feature = "cuda")]
        if let Some(rows) = &mut self.there {
            return rows.note(row);
        }
        let numbers = row.iter().map(|it| it.to_dtype(DType::F64)?.to_scalar());
        self.here.push(numbers.collect::<Result<_>>()?);
        Ok(())
    }

    /// The rows that were added since the last time, in order.
    ///
    /// # Errors
    /// What a card says of anything queued before.
    pub fn read(&mut self) -> Result<Vec<Vec<f64>>> {
        #[cfg(feature = "cuda")]
        if let Some(rows) = &mut self.there {
            return rows.read();
        }
        Ok(std::mem::take(&mut self.here))
    }
}
