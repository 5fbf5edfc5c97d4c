//! What the optimizers share: one pass over values, moments and gradients, and the state that goes
//! with it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{
    CpuStorage, DType, Device, InplaceOp2, Layout, Result, Shape, Tensor, Var, bail,
};
use rayon::prelude::*;

use super::Stepper;
use crate::kernel::real::Real;

/// Elements one task works on: large enough to be worth handing over.
const CHUNK: usize = 1 << 14;

/// The name of the step count in an optimizer's state; variables' moments are `NAME.MOMENT`.
pub(super) const STEP: &str = "step";

/// How one element moves, given `N` running moments of its gradients.
pub(super) trait Rule<const N: usize>: Send + 'static {
    /// What the moments are called in the state.
    const MOMENTS: [&'static str; N];

    /// How a variable moves as a whole, by its values and their gradient.
    fn manner(&self, _values: &Tensor, _grad: &Tensor) -> Result<Manner> {
        Ok(Manner::default())
    }

    /// The change of a value and its moments by a gradient at the `step`th step, counted from one.
    fn update<T: Real>(
        &self,
        step: u64,
        rate: f64,
        manner: Manner,
    ) -> impl Fn(&mut T, &mut [T; N], T) + Sync;

    /// The same at the `step`th step on a card; none where there is no kernel for it.
    #[cfg(feature = "cuda")]
    fn on_card(&self, _step: u64, _rate: f64) -> Option<crate::kernel::card::list::Step> {
        None
    }

    /// Whether a variable on a card has a rate of its own, where kernels ask.
    #[cfg(feature = "cuda")]
    fn adapts(&self, _values: &Tensor) -> bool {
        false
    }
}

/// How a variable moves as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// A factor on its gradient, decay included.
    pub(super) trust: f64,
    /// Whether it decays.
    pub(super) decays: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self { trust: 1.0, decays: true }
    }
}

/// The optimizer that moves `vars` by `rule`, before its first step.
///
/// # Errors
/// When the variables are not all `f32` or all `f64`, or on a card that has no kernel for the rule.
pub(super) fn start<R: Rule<N>, const N: usize>(
    rule: R,
    vars: Vec<(String, Var)>,
) -> Result<Box<dyn Stepper>> {
    #[cfg(feature = "cuda")]
    if vars.first().is_some_and(|(_, var)| var.device().is_cuda()) {
        return Ok(Box::new(super::on_card::OnCard::new(rule, vars)?));
    }
    match vars.first().map_or(DType::F32, |(_, var)| var.dtype()) {
        DType::F32 => Ok(Box::new(Fused::<f32, R, N>::new(rule, vars)?)),
        DType::F64 => Ok(Box::new(Fused::<f64, R, N>::new(rule, vars)?)),
        other => bail!("expected variables of `f32` or `f64`, found `{other:?}`"),
    }
}

struct Fused<T, R, const N: usize> {
    rule: R,
    slots: Vec<Slot<T, N>>,
    step: u64,
}

/// A variable with its moments, element by element.
struct Slot<T, const N: usize> {
    name: String,
    var: Var,
    moments: Vec<[T; N]>,
}

impl<T: Real, R: Rule<N>, const N: usize> Fused<T, R, N> {
    fn new(rule: R, vars: Vec<(String, Var)>) -> Result<Self> {
        let slots: Result<_> = vars.into_iter().map(|(name, var)| Slot::new(name, var)).collect();
        Ok(Self { rule, slots: slots?, step: 0 })
    }
}

impl<T: Real, R: Rule<N>, const N: usize> Stepper for Fused<T, R, N> {
    fn step(&mut self, grads: &GradStore, rate: f64) -> Result<()> {
        let vars = self.slots.iter().map(|slot| (slot.name.as_str(), &slot.var));
        let grads = gradients_of(vars, grads)?;
        self.step += 1;
        for (slot, grad) in self.slots.iter_mut().zip(grads) {
            let grad = grad.contiguous()?;
            let manner = self.rule.manner(&slot.var, &grad)?;
            let update = self.rule.update::<T>(self.step, rate, manner);
            let pass = Pass { update: &update, moments: RefCell::new(&mut slot.moments) };
            slot.var.inplace_op2(&grad, &pass)?;
        }
        Ok(())
    }

    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        state.insert(STEP.to_owned(), Tensor::new(self.step as i64, &Device::Cpu)?);
        for slot in &self.slots {
            for (n, moment) in R::MOMENTS.iter().enumerate() {
                let values: Vec<T> = slot.moments.iter().map(|moments| moments[n]).collect();
                let tensor = Tensor::from_vec(values, slot.var.shape(), &Device::Cpu)?;
                state.insert(format!("{}.{moment}", slot.name), tensor);
            }
        }
        Ok(state)
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let step = saved(state, STEP, &Shape::from(()))?.to_scalar::<i64>()?;
        let moments: Result<Vec<_>> =
            self.slots.iter().map(|slot| slot.read(R::MOMENTS, state)).collect();
        for (slot, moments) in self.slots.iter_mut().zip(moments?) {
            slot.moments = moments;
        }
        self.step = step as u64;
        Ok(())
    }
}

impl<T: Real, const N: usize> Slot<T, N> {
    fn new(name: String, var: Var) -> Result<Self> {
        if var.dtype() != T::DTYPE || !var.device().is_cpu() {
            bail!("expected `{name}` to be `{:?}` on the CPU", T::DTYPE);
        }
        let moments = vec![[T::ZERO; N]; var.elem_count()];
        Ok(Self { name, var, moments })
    }

    /// The moments as `state` has them.
    fn read(&self, names: [&str; N], state: &BTreeMap<String, Tensor>) -> Result<Vec<[T; N]>> {
        let mut moments = vec![[T::ZERO; N]; self.moments.len()];
        for (n, moment) in names.iter().enumerate() {
            let saved = saved(state, &format!("{}.{moment}", self.name), self.var.shape())?;
            let values = saved.flatten_all()?.to_vec1::<T>()?;
            for (moments, value) in moments.iter_mut().zip(values) {
                moments[n] = value;
            }
        }
        Ok(moments)
    }
}

/// The gradients of variables, in order.
///
/// # Errors
/// When one has none.
pub(super) fn gradients_of<'a, 'b>(
    vars: impl Iterator<Item = (&'a str, &'a Var)>,
    grads: &'b GradStore,
) -> Result<Vec<&'b Tensor>> {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (name, var) in vars {
        match grads.get(var) {
            Some(grad) => found.push(grad),
            None => missing.push(format!("`{name}`")),
        }
    }
    match missing.is_empty() {
        true => Ok(found),
        false => bail!("no gradient reaches {}", missing.join(", ")),
    }
}

/// What a state has of a name.
pub(super) fn saved<'a>(
    state: &'a BTreeMap<String, Tensor>,
    name: &str,
    shape: &Shape,
) -> Result<&'a Tensor> {
    match state.get(name) {
        None => bail!("the optimizer's saved state has no `{name}`"),
        Some(value) if value.shape() != shape => bail!(
            "`{name}` of the optimizer's saved state: expected shape {:?}, found {:?}",
            shape.dims(),
            value.dims()
        ),
        Some(value) => Ok(value),
    }
}

/// One step of one variable, in place.
struct Pass<'a, F, T, const N: usize> {
    update: &'a F,
    moments: RefCell<&'a mut Vec<[T; N]>>,
}

impl<T: Real, F: Fn(&mut T, &mut [T; N], T) + Sync, const N: usize> InplaceOp2
    for Pass<'_, F, T, N>
{
    fn name(&self) -> &'static str {
        "optimizer step"
    }

    fn cpu_fwd(
        &self,
        values: &mut CpuStorage,
        layout: &Layout,
        grads: &CpuStorage,
        grads_layout: &Layout,
    ) -> Result<()> {
        let (Some((start, end)), Some((grads_start, grads_end))) =
            (layout.contiguous_offsets(), grads_layout.contiguous_offsets())
        else {
            bail!("an optimizer step needs contiguous elements")
        };
        let grads = &T::cpu_storage_as_slice(grads)?[grads_start..grads_end];
        if T::cpu_storage_as_slice(values)?.len() < end || end - start != grads.len() {
            bail!("expected a gradient of {} elements, found {}", end - start, grads.len());
        }
        // candle lends no mutable slice of a generic type; taking the vector out copies nothing.
        let mut all = T::cpu_storage_data(std::mem::replace(values, CpuStorage::U8(Vec::new())))?;
        self.apply(&mut all[start..end], grads);
        *values = T::to_cpu_storage_owned(all);
        Ok(())
    }
}

impl<T: Real, F: Fn(&mut T, &mut [T; N], T) + Sync, const N: usize> Pass<'_, F, T, N> {
    fn apply(&self, values: &mut [T], grads: &[T]) {
        let mut moments = self.moments.borrow_mut();
        // Every element is on its own, so chunks may run in any order.
        let chunks = values.par_chunks_mut(CHUNK).zip(moments.par_chunks_mut(CHUNK));
        chunks.zip(grads.par_chunks(CHUNK)).for_each(|((values, moments), grads)| {
            for ((value, moments), grad) in values.iter_mut().zip(moments).zip(grads) {
                (self.update)(value, moments, *grad);
            }
        });
    }
}
