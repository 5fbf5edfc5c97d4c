//! The length of a gradient.

use candle_core::{Result, Tensor, WithDType};
use rayon::prelude::*;

use super::real::with_real;
use super::values::Values;

/// Elements of a task.
const TASK: usize = 16 * 1024;

/// The sum of the squares of all elements, added up in double precision.
///
/// # Errors
/// When the elements are not floats, or not on the CPU.
pub fn squared_norm(x: &Tensor) -> Result<f64> {
    let x = x.contiguous()?;
    with_real!(x.dtype(), T => {
        let values = Values::<T>::of(&x)?;
        let square = |value: &T| value.to_f64().powi(2);
        // Partial sums are added in the order of their pieces, whoever computed them.
        let sums: Vec<f64> = values.par_chunks(TASK).map(|it| it.iter().map(square).sum()).collect();
        Ok(sums.iter().sum())
    })
}
