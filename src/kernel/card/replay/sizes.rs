//! How large the arguments of a kernel are.

#![allow(clippy::disallowed_types, reason = "a map that is only asked by key")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use candle_core::cuda_backend::cudarc::driver::sys::{CUfunction, cuFuncGetParamInfo};

thread_local! {
    static SIZES: RefCell<HashMap<usize, Rc<[usize]>>> = RefCell::default();
}

/// The bytes of each of a kernel's arguments; nothing where the driver does not say.
pub(super) fn sizes(function: CUfunction, count: usize) -> Option<Rc<[usize]>> {
    SIZES.with_borrow_mut(|known| {
        if let Some(sizes) = known.get(&(function as usize)) {
            return Some(sizes.clone());
        }
        let sizes: Rc<[usize]> = (0..count).map(|at| size(function, at)).collect::<Option<_>>()?;
        known.insert(function as usize, sizes.clone());
        Some(sizes)
    })
}

fn size(function: CUfunction, at: usize) -> Option<usize> {
    let (mut offset, mut size) = (0, 0);
    // SAFETY: the function was loaded, and the numbers outlive the call.
    unsafe { cuFuncGetParamInfo(function, at, &mut offset, &mut size) }.result().ok()?;
    Some(size)
}
