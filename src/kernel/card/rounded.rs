//! Weights in the type of activations, as products and convolutions read them: those of a whole step
//! by one kernel each, once it is known which they are.

use std::cell::RefCell;

use candle_core::{DType, Result, Tensor, Var};

use super::together::{self, Array};
use super::{Arg, Card, Operand, Room, Source, on};

/// Elements of a weight that a block rounds, as linear.cu has it.
const SHARE: usize = 4096;
/// Elements that each weight begins at a multiple of: 256 bytes.
const APART: usize = 128;

/// How a weight [rows, columns] is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// As it is.
    Rows,
    /// [columns, rows], as cuDNN reads filters.
    Filters,
}

/// What is asked of the weight that begins at an address.
#[derive(Clone, Copy, PartialEq)]
struct Asked {
    at: Arg,
    size: [usize; 2],
    form: Form,
}

/// A step, with the weights that are rounded already, and what was asked beside them.
struct Step {
    at_hand: Vec<(Asked, Tensor)>,
    asked: Vec<Asked>,
}

thread_local! {
    static STEP: RefCell<Option<Step>> = const { RefCell::new(None) };
}

/// The weights that the steps of a training read in halves.
#[derive(Default)]
pub struct Rounded {
    /// What the first step has asked for, of variables or of parts of them.
    known: Option<Vec<(Tensor, [usize; 2], Form)>>,
}

/// Ends a step, however that ends.
struct Until;

impl Drop for Until {
    fn drop(&mut self) {
        STEP.set(None);
    }
}

impl Rounded {
    /// Runs `work`, while which the variables `of` a model do not change.
    ///
    /// # Errors
    /// Those of `work`, and what the card says.
    pub fn during<R>(
        &mut self,
        of: impl FnOnce() -> Vec<(String, Var)>,
        work: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        STEP.set(Some(Step { at_hand: self.at_hand()?, asked: Vec::new() }));
        let _until = Until;
        let done = work()?;
        let asked = STEP.take().map(|step| step.asked).unwrap_or_default();
        if self.known.is_none() {
            self.known = Some(known(asked, &of())?);
        }
        Ok(done)
    }

    /// All that are known, rounded.
    fn at_hand(&self) -> Result<Vec<(Asked, Tensor)>> {
        let known = self.known.as_deref().unwrap_or_default();
        let Some((first, ..)) = known.first() else { return Ok(Vec::new()) };
        let apart = |size: &[usize; 2]| (size[0] * size[1]).next_multiple_of(APART);
        let len = known.iter().map(|(_, size, _)| apart(size)).sum();
        let card = Card::from(first)?;
        let all = card.room(len, DType::BF16)?.tensor(len);
        let (mut at_hand, mut begin) = (Vec::with_capacity(known.len()), 0);
        for (weight, size, form) in known {
            let own = all.narrow(0, begin, size[0] * size[1])?;
            let asked = on([weight], |[it]| Ok(Asked { at: it.at(), size: *size, form: *form }))?;
            at_hand.push((asked, own));
            begin += apart(size);
        }
        for form in [Form::Rows, Form::Filters] {
            form.round(card, &at_hand)?;
        }
        Ok(at_hand)
    }
}

/// What of `asked` is of variables; what is computed from them is not.
fn known(asked: Vec<Asked>, vars: &[(String, Var)]) -> Result<Vec<(Tensor, [usize; 2], Form)>> {
    let mut once: Vec<Asked> = Vec::new();
    for asked in asked.into_iter().filter(|asked| asked.at.is_even()) {
        if !once.contains(&asked) {
            once.push(asked);
        }
    }
    let mut known = Vec::new();
    for (_, var) in vars.iter().filter(|(_, var)| var.device().is_cuda()) {
        let (begin, len) = (on([var.as_tensor()], |[it]| Ok(it.at().address()))?, var.elem_count());
        for Asked { at, size, form } in &once {
            let bytes = at.address() - begin;
            if (0..4 * len as i64).contains(&bytes) {
                let part = var.as_detached_tensor().flatten_all()?;
                let part = part.narrow(0, bytes as usize / 4, size[0] * size[1])?;
                known.push((part, *size, *form));
            }
        }
    }
    Ok(known)
}

impl Form {
    /// Rounds those weights that are read in this form.
    fn round(self, card: Card, all: &[(Asked, Tensor)]) -> Result<()> {
        let own = all.iter().filter(|(asked, _)| asked.form == self);
        let array = |(asked, to): &(Asked, Tensor)| {
            let to = on([to], |[it]| Ok(it.at()))?;
            let Asked { at: from, size, .. } = *asked;
            Ok(Array { from, to, size, blocks: self.blocks(size) })
        };
        let arrays: Vec<Array> = own.map(array).collect::<Result<_>>()?;
        if arrays.is_empty() {
            return Ok(());
        }
        let kernel = match self {
            Self::Rows => (Source::LINEAR, "rounded_together"),
            Self::Filters => (Source::CONV, "filters_together"),
        };
        together::launch(card, kernel, (DType::BF16, 256), &arrays)
    }

    fn blocks(self, [rows, columns]: [usize; 2]) -> usize {
        match self {
            Self::Rows => (rows * columns).div_ceil(SHARE),
            Self::Filters => rows.div_ceil(32) * columns.div_ceil(32),
        }
    }

    /// A weight in this form and a type: what the step has at hand, or what `alone` makes.
    pub(super) fn of(
        self,
        weight: Operand,
        (size, dtype): ([usize; 2], DType),
        alone: impl FnOnce() -> Result<Room>,
    ) -> Result<Tensor> {
        let asked = Asked { at: weight.at(), size, form: self };
        let at_hand = STEP.with_borrow_mut(|step| {
            let step = step.as_mut().filter(|_| dtype == DType::BF16)?;
            let found = step.at_hand.iter().find(|(known, _)| *known == asked);
            if found.is_none() {
                step.asked.push(asked);
            }
            found.map(|(_, tensor)| tensor.clone())
        });
        let [rows, columns] = match self {
            Self::Rows => size,
            Self::Filters => [size[1], size[0]],
        };
        match at_hand {
            Some(tensor) => tensor.reshape((rows, columns)),
            None => Ok(alone()?.tensor((rows, columns))),
        }
    }
}
