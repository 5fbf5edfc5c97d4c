//! The losses of the last steps, read together: to read one on a card waits for all that is queued
//! there, and the next step could be queued meanwhile.

use candle_core::{DType, Device, Result, Tensor};

use crate::graph::{Loss, scalar};
use crate::kernel::Ledger;

/// Losses of steps that are still where they were computed.
pub struct Readings {
    /// Of each step its terms, the total and perhaps the norm of its gradient.
    ledger: Ledger,
    /// The steps that are noted, with the items of each.
    pending: Vec<(usize, usize)>,
    has_norm: bool,
    /// After how many steps they are read.
    every: usize,
    most: usize,
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
    /// How long the gradient was, where that is bounded.
    pub norm: Option<f64>,
}

impl Reading {
    /// What of it is not a finite number, if anything, by the names of the terms.
    pub fn trouble(&self, names: &[String]) -> Option<String> {
        let Self { terms, total, norm, .. } = self;
        if let Some(at) = terms.iter().position(|value| !value.is_finite()) {
            return Some(format!("the term `{}` is {}", names[at], terms[at]));
        }
        if !total.is_finite() {
            return Some(format!("the sum of the terms is {total}"));
        }
        let norm = norm.filter(|norm| !norm.is_finite())?;
        Some(format!("the norm of the gradient is {norm}"))
    }
}

/// Steps on a card after which losses are read.
const MOST: usize = 64;

impl Readings {
    /// Of steps on a device with so many terms, and with the norm of the gradient where it is bounded:
    /// read at once on the CPU, and on a card after one step, then after two, four and so on, so that
    /// trouble at the beginning is seen at the beginning.
    ///
    /// # Errors
    /// When a card has no memory.
    pub fn new(device: &Device, terms: usize, has_norm: bool) -> Result<Self> {
        let most = if device.is_cpu() { 1 } else { MOST };
        let ledger = Ledger::new(device, terms + 1 + usize::from(has_norm), most)?;
        Ok(Self { ledger, pending: Vec::new(), has_norm, every: 1, most })
    }

    /// Notes the loss of a step on so many items, and the norm of its gradient where that is bounded.
    ///
    /// # Errors
    /// What a card says.
    pub fn note(
        &mut self,
        (step, items): (usize, usize),
        loss: &Loss,
        norm: Option<&Tensor>,
    ) -> Result<()> {
        let terms = loss.terms.iter().map(|(_, value)| value.clone());
        let row: Vec<Tensor> = terms.chain([loss.total.detach()]).chain(norm.cloned()).collect();
        self.ledger.note(&row)?;
        self.pending.push((step, items));
        Ok(())
    }

    /// Whether it is time to read.
    pub fn are_due(&self) -> bool {
        self.pending.len() >= self.every
    }

    /// What was noted since the last time, in order.
    ///
    /// # Errors
    /// What a card says of anything queued before.
    pub fn read(&mut self) -> Result<Vec<Reading>> {
        self.every = (2 * self.every).min(self.most);
        let rows = self.ledger.read()?;
        let reading = |((step, items), mut terms): ((usize, usize), Vec<f64>)| {
            let norm = if self.has_norm { terms.pop() } else { None };
            let total = terms.pop().unwrap_or_default();
            Reading { step, items, terms, total, norm }
        };
        Ok(self.pending.drain(..).zip(rows).map(reading).collect())
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

    fn of(value: f64) -> Tensor {
        Tensor::new(value, &Device::Cpu).unwrap()
    }

    fn loss(value: f64) -> Loss {
        Loss { total: of(3.0 * value), terms: vec![("a".to_owned(), of(value))] }
    }

    #[test]
    fn readings_become_rarer_and_lose_nothing() {
        let mut readings = Readings { most: 4, ..Readings::new(&Device::Cpu, 1, false).unwrap() };
        let mut found = Vec::new();
        let mut read_at = Vec::new();
        for step in 0..12 {
            readings.note((step, 2), &loss(step as f64), None).unwrap();
            if readings.are_due() {
                read_at.push(step);
                found.extend(readings.read().unwrap());
            }
        }
        assert_eq!(read_at, [0, 2, 6, 10]);
        found.extend(readings.read().unwrap());
        let all = found.iter().map(|it| (it.step, it.items, it.terms[0], it.total));
        assert!(all.eq((0..12).map(|step| (step, 2, step as f64, 3.0 * step as f64))));
        assert!(found.iter().all(|it| it.norm.is_none()));
        assert!(readings.read().unwrap().is_empty());
    }

    #[test]
    fn what_is_not_finite_is_told_by_name() {
        let mut readings = Readings::new(&Device::Cpu, 1, true).unwrap();
        let names = ["a".to_owned()];
        let mut trouble = |value, norm| {
            readings.note((0, 2), &loss(value), Some(&of(norm))).unwrap();
            readings.read().unwrap()[0].trouble(&names)
        };
        assert_eq!(trouble(1.0, 2.0), None);
        assert_eq!(trouble(f64::NAN, 1.0).unwrap(), "the term `a` is NaN");
        assert_eq!(trouble(1e308, 1.0).unwrap(), "the sum of the terms is inf");
        let of_norm = trouble(1.0, f64::INFINITY).unwrap();
        assert_eq!(of_norm, "the norm of the gradient is inf");
    }
}
