//! Whether the products of layers are computed in half precision: a matter of the whole step, not of
//! the layers.

use std::cell::Cell;

thread_local! {
    static HALVES: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with the products of linear layers in bf16, added up in f32, if `halves`; forward as
/// back, on `f32` alone.
pub fn in_halves<R>(halves: bool, work: impl FnOnce() -> R) -> R {
    let _before = Before(HALVES.replace(halves));
    work()
}

/// Whether operations that begin now multiply halves.
pub(crate) fn multiplies_halves() -> bool {
    HALVES.get()
}

/// What was asked before; it is asked again when this is dropped.
struct Before(bool);

impl Drop for Before {
    fn drop(&mut self) {
        HALVES.set(self.0);
    }
}
