//! The gradients that a way back has found so far, and what of them is offered to an operation that
//! would rather add them up itself.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, TensorId};

#[cfg(feature = "cuda")]
pub(super) use crate::kernel::card::totals::{late, ready};
use crate::kernel::real::with_real;
use crate::kernel::sum;
use crate::kernel::values::{Values, tensor};

thread_local! {
    static OFFERED: RefCell<Offered> = RefCell::default();
}

/// What an operation may take on its way back, and nobody after it.
#[derive(Default)]
struct Offered {
    /// What is known of the gradient of its first input.
    known: Option<Tensor>,
    /// The other part of the gradient of its output.
    part: Option<Tensor>,
}

/// For the way back of an operation of three inputs: what other operations have left of the gradient of
/// the first, in a type. Whoever asks adds it to the gradient that it must then give back, with no pass
/// over it for the sum.
#[cfg(feature = "cuda")]
pub(crate) fn known_gradient(dtype: candle_core::DType) -> Option<Tensor> {
    OFFERED.with_borrow_mut(|offered| offered.known.take_if(|known| known.dtype() == dtype))
}

/// For the way back of an operation of three inputs [that takes parts](super::takes_parts): the other
/// part of the gradient of its output, which is of the type of the first.
#[cfg(feature = "cuda")]
pub(crate) fn other_part() -> Option<Tensor> {
    OFFERED.with_borrow_mut(|offered| offered.part.take())
}

/// Takes back what is offered, however the operation ends.
struct Until;

impl Drop for Until {
    fn drop(&mut self) {
        OFFERED.take();
    }
}

/// Gradients by the tensors that they are of.
pub(super) struct Found {
    pub(super) store: GradStore,
    /// Those that may be left in two parts.
    in_parts: HashSet<TensorId>,
    /// The second parts.
    parts: HashMap<TensorId, Tensor>,
}

impl Found {
    pub(super) fn new(store: GradStore, in_parts: HashSet<TensorId>) -> Self {
        Self { store, in_parts, parts: HashMap::new() }
    }

    /// The gradient of a tensor, or the first part of it, which is then no longer here.
    pub(super) fn take(&mut self, of: &Tensor) -> Result<Option<Tensor>> {
        let gradient = self.store.remove(of);
        gradient.iter().try_for_each(ready)?;
        Ok(gradient)
    }

    /// Runs the way back of an operation, which may take what is known of the gradient of its first
    /// input, and must take what is left of that of its output.
    pub(super) fn offering<R>(
        &mut self,
        [x, output]: [&Tensor; 2],
        back: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        let until = Until;
        let part = self.parts.remove(&output.id());
        part.iter().try_for_each(ready)?;
        OFFERED.set(Offered { known: self.take(x)?, part });
        let done = back()?;
        let Offered { known, part } = OFFERED.take();
        drop(until);
        assert!(part.is_none(), "an operation that takes parts has left one");
        if let Some(known) = known {
            self.store.insert(x, known);
        }
        Ok(done)
    }

    /// Adds gradients to those that are there.
    pub(super) fn collect(
        &mut self,
        found: impl IntoIterator<Item = (Tensor, Option<Tensor>)>,
    ) -> Result<()> {
        for (input, gradient) in found {
            let Some(gradient) = gradient.filter(|_| input.track_op()) else { continue };
            let sum = match self.store.remove(&input) {
                None => gradient,
                Some(other) if self.may_leave(&input, [&other, &gradient]) => {
                    self.parts.insert(input.id(), gradient);
                    other
                }
                Some(other) => add(&other, &gradient)?,
            };
            self.store.insert(&input, sum);
        }
        Ok(())
    }

    /// Whether two gradients of a tensor may stay two.
    fn may_leave(&self, of: &Tensor, [one, other]: [&Tensor; 2]) -> bool {
        let id = of.id();
        let is_alike = one.dtype() == other.dtype();
        is_alike && self.in_parts.contains(&id) && !self.parts.contains_key(&id)
    }
}

/// Runs `work`; nothing waits where there are no cards.
#[cfg(not(feature = "cuda"))]
pub(super) fn late<R>(work: impl FnOnce() -> Result<R>) -> Result<R> {
    work()
}

#[cfg(not(feature = "cuda"))]
fn ready(_: &Tensor) -> Result<()> {
    Ok(())
}

/// Elements from which a sum is shared among threads.
const MANY: usize = 16 * 1024;

fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    ready(a)?;
    ready(b)?;
    #[cfg(feature = "cuda")]
    if a.device().is_cuda() && a.dtype() == b.dtype() {
        use crate::kernel::card::{elementwise, leaf, on};
        return on([a, b], |[a, b]| elementwise::add(a, b)).map(leaf);
    }
    if a.elem_count() < MANY || !a.device().is_cpu() {
        return a + b;
    }
    let (a, b) = (a.contiguous()?, b.contiguous()?);
    with_real!(a.dtype(), T => {
        let (left, right) = (Values::<T>::of(&a)?, Values::<T>::of(&b)?);
        tensor(sum::add(&left, &right), a.shape())
    })
}
