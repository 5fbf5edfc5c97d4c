//! The same rules on a card: one launch moves all variables, and moments stay there.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Shape, Tensor, Var, bail};

use super::Stepper;
use super::fused::{Rule, STEP, gradients_of, saved};
use crate::kernel::card::Card;
use crate::kernel::card::list::{Item, List};

pub(super) struct OnCard<R, const N: usize> {
    rule: R,
    slots: Vec<Slot<N>>,
    list: List,
    device: Device,
    step: u64,
}

/// A variable with its moments.
struct Slot<const N: usize> {
    name: String,
    var: Var,
    /// Kernels change them in place, so nobody else has them.
    moments: [Tensor; N],
}

impl<R: Rule<N>, const N: usize> OnCard<R, N> {
    /// The optimizer that moves `vars` on their card, before its first step.
    ///
    /// # Errors
    /// When the rule has no kernel, or a variable is not in f32 on the same card.
    pub(super) fn new(rule: R, vars: Vec<(String, Var)>) -> Result<Self> {
        let Some((_, first)) = vars.first() else { bail!("there are no variables") };
        if rule.on_card(1, 0.0).is_none() {
            bail!("this optimizer takes its steps on the CPU alone");
        }
        let device = first.device().clone();
        let slots: Result<Vec<_>> =
            vars.into_iter().map(|(name, var)| Slot::new(name, var, &device)).collect();
        let slots = slots?;
        let lens = slots.iter().map(|slot| slot.var.elem_count()).collect();
        let list = List::new(Card::on(&device)?, lens)?;
        Ok(Self { rule, slots, list, device, step: 0 })
    }
}

impl<R: Rule<N>, const N: usize> Stepper for OnCard<R, N> {
    fn step(&mut self, grads: &GradStore, rate: f64) -> Result<()> {
        let vars = self.slots.iter().map(|slot| (slot.name.as_str(), &slot.var));
        let as_read = |grad: &Tensor| grad.to_dtype(DType::F32)?.contiguous();
        let grads: Vec<Tensor> =
            gradients_of(vars, grads)?.into_iter().map(as_read).collect::<Result<_>>()?;
        self.step += 1;
        let Some(step) = self.rule.on_card(self.step, rate) else {
            bail!("this optimizer takes its steps on the CPU alone")
        };
        let item = |(slot, grad)| -> Item {
            let Slot { var, moments, .. }: &Slot<N> = slot;
            Item {
                value: Some(var.as_tensor()),
                grad,
                moments: [moments.first(), moments.get(1)],
                adapts: self.rule.adapts(var),
            }
        };
        let items: Vec<Item> = self.slots.iter().zip(&grads).map(item).collect();
        self.list.step(Card::on(&self.device)?, &items, &step)
    }

    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        state.insert(STEP.to_owned(), Tensor::new(self.step as i64, &Device::Cpu)?);
        for slot in &self.slots {
            for (moment, values) in R::MOMENTS.iter().zip(&slot.moments) {
                state.insert(format!("{}.{moment}", slot.name), values.to_device(&Device::Cpu)?);
            }
        }
        Ok(state)
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let step = saved(state, STEP, &Shape::from(()))?.to_scalar::<i64>()?;
        let moments: Vec<[Tensor; N]> =
            self.slots.iter().map(|slot| slot.read(R::MOMENTS, state)).collect::<Result<_>>()?;
        for (slot, moments) in self.slots.iter_mut().zip(moments) {
            slot.moments = moments;
        }
        self.step = step as u64;
        Ok(())
    }
}

impl<const N: usize> Slot<N> {
    fn new(name: String, var: Var, device: &Device) -> Result<Self> {
        if var.dtype() != DType::F32 || !var.device().same_device(device) {
            bail!("expected `{name}` to be `F32` on the card of the other variables");
        }
        let moments = each(|_| Tensor::zeros(var.shape(), DType::F32, device))?;
        Ok(Self { name, var, moments })
    }

    /// Copies of the moments as `state` has them.
    fn read(&self, names: [&str; N], state: &BTreeMap<String, Tensor>) -> Result<[Tensor; N]> {
        each(|n| {
            let saved = saved(state, &format!("{}.{}", self.name, names[n]), self.var.shape())?;
            saved.to_dtype(DType::F32)?.to_device(self.var.device())?.contiguous()?.copy()
        })
    }
}

/// One of each number below `N`.
fn each<const N: usize>(make: impl Fn(usize) -> Result<Tensor>) -> Result<[Tensor; N]> {
    let all: Vec<Tensor> = (0..N).map(make).collect::<Result<_>>()?;
    Ok(all.try_into().unwrap_or_else(|_| unreachable!("as many as there are numbers")))
}
