//! The losses of the last steps, read together: to read one on a card waits for all that is queued
//! there, and the next step could be queued meanwhile.

use candle_core::{DType, Device, Result, Tensor};

use crate::graph::{Loss, scalar};

/// Losses of steps that are still where they were computed.
pub struct Readings {
    pending: Vec<Pending>,
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
        Self { pending: Vec::new(), every: 1, most: if device.is_cpu() { 1 } else { MOST } }
    }

    /// Notes the loss of a step on so many items. Says whether it is time to read.
    pub fn note(&mut self, step: usize, items: usize, loss: &Loss) -> bool {
        let terms = loss.terms.iter().map(|(_, value)| value.clone());
        let values = terms.chain([loss.total.detach()]).collect();
        self.pending.push(Pending { step, items, values });
        self.pending.len() >= self.every
    }

    /// What was noted since the last time, in order.
    ///
    /// # Errors
    /// What a card says of anything queued before.
    pub fn read(&mut self) -> Result<Vec<Reading>> {
        self.every = (2 * self.every).min(self.most);
        let pending = std::mem::take(&mut self.pending);
        let mut values = of_all(&pending)?.into_iter();
        let reading = |Pending { step, items, values: of_step }: Pending| {
            let mut terms: Vec<f64> = values.by_ref().take(of_step.len()).collect();
            let total = terms.pop().unwrap_or_default();
            Reading { step, items, terms, total }
        };
        Ok(pending.into_iter().map(reading).collect())
    }
}

/// All values one after the other, by one reading where they are on a card.
fn of_all(pending: &[Pending]) -> Result<Vec<f64>> {
    let values: Vec<&Tensor> = pending.iter().flat_map(|it| &it.values).collect();
    match values.first() {
        None => Ok(Vec::new()),
        Some(first) if first.device().is_cpu() => values.into_iter().map(scalar).collect(),
        Some(_) => {
            let together = Tensor::stack(&values, 0)?.to_device(&Device::Cpu)?;
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
        let mut readings = Readings { pending: Vec::new(), every: 1, most: 4 };
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
}
