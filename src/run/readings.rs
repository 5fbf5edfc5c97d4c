//! The losses of the last steps, read together: to read one on a card waits for all that is queued
//! there, and the next step could be queued meanwhile.

use candle_core::{DType, Device, Result, Tensor};

use crate::graph::{Loss, scalar};

/// Losses of steps that are still where they were computed.
pub struct Readings {
    pending: Vec<Pending>,
    /// The norms of the gradients of some steps.
    norms: Vec<(usize, Tensor)>,
    /// After how many steps they are read.
    every: usize,
    most: usize,
}

struct Pending {
    step: usize,
    items: usize,
    /// Those of the terms, and the total.
    values: Vec<Tensor>,
}

/// The loss of a step.
pub struct Reading {
    /// The step, counted from 0.
    pub step: usize,
    /// The items of its batch.
    pub items: usize,
    /// Each term's value before its weight, in the order of the model's terms.
    pub terms: Vec<f64>,
    pub total: f64,
}

impl Reading {
    /// What of it is not a finite number, if anything, by the names of the terms.
    pub fn trouble(&self, names: &[String]) -> Option<String> {
        let Self { terms, total, .. } = self;
        match terms.iter().position(|value| !value.is_finite()) {
            Some(at) => Some(format!("the term `{}` is {}", names[at], terms[at])),
            None if total.is_finite() => None,
            None => Some(format!("the sum of the terms is {total}")),
        }
    }
}

/// Steps on a card after which losses are read.
const MOST: usize = 64;

impl Readings {
    /// Of steps on a device: read at once on the CPU, and on a card after one step, then after two,
    /// four and so on, so that trouble at the beginning is seen at the beginning.
    pub fn new(device: &Device) -> Self {
        let most = if device.is_cpu() { 1 } else { MOST };
        Self { pending: Vec::new(), norms: Vec::new(), every: 1, most }
    }

    /// Notes the loss of a step on so many items. Says whether it is time to read.
    pub fn note(&mut self, step: usize, items: usize, loss: &Loss) -> bool {
        let terms = loss.terms.iter().map(|(_, value)| value.clone());
        let values = terms.chain([loss.total.detach()]).collect();
        self.pending.push(Pending { step, items, values });
        self.pending.len() >= self.every
    }

    /// Notes the norm of the gradient of a step. Says whether it is time to look at it.
    pub fn note_norm(&mut self, step: usize, norm: Tensor) -> bool {
        self.norms.push((step, norm));
        self.most == 1
    }

    /// The first norm noted since the last time that is not finite, and its step.
    ///
    /// # Errors
    /// What a card says of anything queued before.
    pub fn endless_norm(&mut self) -> Result<Option<(usize, f64)>> {
        let (steps, norms): (Vec<usize>, Vec<Tensor>) = self.norms.drain(..).unzip();
        let norms = numbers(&norms)?;
        Ok(steps.into_iter().zip(norms).find(|(_, norm)| !norm.is_finite()))
    }

    /// What was noted since the last time, in order.
    ///
    /// # Errors
    /// What a card says of anything queued before.
    pub fn read(&mut self) -> Result<Vec<Reading>> {
        self.every = (2 * self.every).min(self.most);
        let pending = std::mem::take(&mut self.pending);
        let all: Vec<Tensor> = pending.iter().flat_map(|it| &it.values).cloned().collect();
        let mut values = numbers(&all)?.into_iter();
        let reading = |Pending { step, items, values: of_step }: Pending| {
            let mut terms: Vec<f64> = values.by_ref().take(of_step.len()).collect();
            let total = terms.pop().unwrap_or_default();
            Reading { step, items, terms, total }
        };
        Ok(pending.into_iter().map(reading).collect())
    }
}

/// Zero where all numbers of a tensor are finite, and something else where one is not.
#[allow(clippy::eq_op, reason = "what is not finite differs from itself")]
pub fn off(tensor: &Tensor) -> Result<Tensor> {
    (tensor - tensor)?.sum_all()
}

/// Scalars one after the other, by one reading where they are on a card.
pub fn numbers(scalars: &[Tensor]) -> Result<Vec<f64>> {
    match scalars.first() {
        None => Ok(Vec::new()),
        Some(first) if first.device().is_cpu() => scalars.iter().map(scalar).collect(),
        Some(_) => {
            let together = Tensor::stack(scalars, 0)?.to_device(&Device::Cpu)?;
            together.to_dtype(DType::F64)?.to_vec1()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(value: f64) -> Loss {
        let of = |value: f64| Tensor::new(value, &Device::Cpu).unwrap();
        Loss { total: of(3.0 * value), terms: vec![("a".to_owned(), of(value))] }
    }

    #[test]
    fn readings_become_rarer_and_lose_nothing() {
        let mut readings = Readings { most: 4, ..Readings::new(&Device::Cpu) };
        let mut found = Vec::new();
        let mut read_at = Vec::new();
        for step in 0..12 {
            if readings.note(step, 2, &loss(step as f64)) {
                read_at.push(step);
                found.extend(readings.read().unwrap());
            }
        }
        assert_eq!(read_at, [0, 2, 6, 10]);
        found.extend(readings.read().unwrap());
        let all = found.iter().map(|it| (it.step, it.items, it.terms[0], it.total));
        assert!(all.eq((0..12).map(|step| (step, 2, step as f64, 3.0 * step as f64))));
        assert!(readings.read().unwrap().is_empty());
    }

    #[test]
    fn the_first_norm_that_is_not_finite_is_told_once() {
        let mut readings = Readings { most: 4, ..Readings::new(&Device::Cpu) };
        for (step, norm) in [1.0, f64::INFINITY, f64::NAN].into_iter().enumerate() {
            assert!(!readings.note_norm(step, Tensor::new(norm, &Device::Cpu).unwrap()));
        }
        assert_eq!(readings.endless_norm().unwrap(), Some((1, f64::INFINITY)));
        assert_eq!(readings.endless_norm().unwrap(), None);
        assert!(Readings::new(&Device::Cpu).note_norm(0, Tensor::new(1.0, &Device::Cpu).unwrap()));
    }
}
