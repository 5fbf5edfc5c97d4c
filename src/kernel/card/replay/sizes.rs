//! How large the arguments of kernels are.

#![allow(clippy::disallowed_types, reason = "a map that is only asked by key")]

use std::collections::HashMap;
use std::rc::Rc;

use candle_core::cuda_backend::cudarc::driver::sys::{CUfunction, cuFuncGetParamInfo};

/// The bytes of each argument of kernels that stay loaded.
#[derive(Default)]
pub(super) struct Sizes(HashMap<usize, Rc<[usize]>>);

impl Sizes {
    /// Those of a kernel; nothing where the driver does not say.
    pub(super) fn of(&mut self, function: CUfunction, count: usize) -> Option<Rc<[usize]>> {
        if let Some(sizes) = self.0.get(&(function as usize)) {
            return (sizes.len() == count).then(|| sizes.clone());
        }
        let sizes: Rc<[usize]> = (0..count).map(|at| size(function, at)).collect::<Option<_>>()?;
        self.0.insert(function as usize, sizes.clone());
        Some(sizes)
    }
}

fn size(function: CUfunction, at: usize) -> Option<usize> {
    let (mut offset, mut size) = (0, 0);
    // SAFETY: the function was loaded, and the numbers outlive the call.
    unsafe { cuFuncGetParamInfo(function, at, &mut offset, &mut size) }.result().ok()?;
    Some(size)
}
