//! Weights in the type of activations, as products and convolutions read them: all of a step by a
//! kernel for those of products and one for those of convolutions, once it is known which they are.

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
    /// What the first step has asked for, of variables or of parts of them, by where they begin.
    known: Option<Vec<Known>>,
}

struct Known {
    asked: Asked,
    /// The variable, which stays where it is as long as it is held.
    of: Tensor,
}

/// Ends a step, however that ends.
struct Until;

impl Drop for Until {
    fn drop(&mut self) {
        STEP.set(None);
    }
}

impl Rounded {
    /// Runs `work`, during which the variables `of` a model do not change; what it asks for is known from
    /// the second time on.
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
        let Some(first) = known.first() else { return Ok(Vec::new()) };
        let (card, len) = (Card::from(&first.of)?, known.iter().map(|it| it.asked.apart()).sum());
        let all = card.room(len, DType::BF16)?.tensor(len);
        let mut begin = 0;
        let own = |Known { asked, .. }: &Known| {
            let own = all.narrow(0, begin, asked.len())?;
            begin += asked.apart();
            Ok((*asked, own))
        };
        let at_hand: Vec<_> = known.iter().map(own).collect::<Result<_>>()?;
        for form in [Form::Rows, Form::Filters] {
            form.round(card, &at_hand)?;
        }
        Ok(at_hand)
    }
}

impl Asked {
    fn len(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Elements from where it begins to where the next does.
    fn apart(&self) -> usize {
        self.len().next_multiple_of(APART)
    }
}

/// What of `asked` is of variables; what is computed from them is not.
fn known(mut asked: Vec<Asked>, vars: &[(String, Var)]) -> Result<Vec<Known>> {
    asked.retain(|asked| asked.at.is_even());
    asked.sort_by_key(|asked| (asked.at.address(), asked.size, asked.form == Form::Filters));
    asked.dedup();
    let mut known: Vec<Known> = Vec::new();
    for (_, var) in vars.iter().filter(|(_, var)| var.device().is_cuda()) {
        let of = var.as_detached_tensor();
        let begin = on([&of], |[it]| Ok(it.at().address()))?;
        let end = begin + (of.elem_count() * DType::F32.size_in_bytes()) as i64;
        let first = asked.partition_point(|asked| asked.at.address() < begin);
        let own = asked[first..].iter().take_while(|asked| asked.at.address() < end);
        known.extend(own.map(|asked| Known { asked: *asked, of: of.clone() }));
    }
    known.sort_by_key(|known| known.asked.at.address());
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
            let address = asked.at.address();
            let first = step.at_hand.partition_point(|(known, _)| known.at.address() < address);
            let there = step.at_hand[first..].iter();
            let found = there
                .take_while(|(known, _)| known.at == asked.at)
                .find(|(known, _)| *known == asked);
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
