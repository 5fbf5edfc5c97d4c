//! Work on many tensors of f32 in one launch: steps of optimizers, and lengths of gradients.

use candle_core::{DType, Result, Tensor, bail};

use super::{Arg, Card, Grid, Room, Source, on};

/// Elements of a tensor that a block takes.
const SHARE: usize = 4096;

/// Numbers of a tensor in a table.
const PLACES: usize = 6;

/// How many elements some tensors have, and how blocks share them; on a card.
pub(crate) struct List {
    lens: Vec<usize>,
    /// Of each block, which tensor and which share of it.
    blocks: Tensor,
    /// The first block of each tensor, and how many there are.
    firsts: Tensor,
    count: usize,
}

/// What a kernel reads and writes of one tensor.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    /// None where a kernel has no use of it.
    pub(crate) value: Option<&'a Tensor>,
    pub(crate) grad: &'a Tensor,
    pub(crate) moments: [Option<&'a Tensor>; 2],
    /// Whether its rate is its own.
    pub(crate) adapts: bool,
}

/// How an optimizer steps.
pub(crate) struct Step {
    /// The kernel's name.
    pub(crate) rule: &'static str,
    pub(crate) numbers: Vec<f32>,
    /// Whether the kernel asks how long values and gradients are.
    pub(crate) by_length: bool,
}

impl List {
    pub(crate) fn new(card: Card, lens: Vec<usize>) -> Result<Self> {
        let (mut blocks, mut firsts) = (Vec::new(), vec![0]);
        for (tensor, len) in lens.iter().enumerate() {
            let shares = len.div_ceil(SHARE);
            blocks.extend((0..shares).flat_map(|share| [tensor as u32, share as u32]));
            firsts.push((blocks.len() / 2) as u32);
        }
        let count = blocks.len() / 2;
        let as_tensor =
            |values: &[u32]| -> Result<Tensor> { Ok(card.upload(values)?.tensor(values.len())) };
        Ok(Self { lens, blocks: as_tensor(&blocks)?, firsts: as_tensor(&firsts)?, count })
    }

    /// Where everything of the items is, as kernels read it.
    fn places(&self, card: Card, items: &[Item]) -> Result<Room> {
        let mut places = Vec::with_capacity(PLACES * items.len());
        for (item, len) in items.iter().zip(&self.lens) {
            let [first, second] = item.moments;
            for tensor in [item.value, Some(item.grad), first, second] {
                places.push(tensor.map_or(Ok(0), |tensor| place(tensor, *len))?);
            }
            places.extend([*len as i64, i64::from(item.adapts)]);
        }
        card.upload(&places)
    }

    fn launch(&self, card: Card, name: &'static str, places: &Room, rest: &[Arg]) -> Result<()> {
        on([&self.blocks], |[blocks]| {
            let args = [&[places.at(), blocks.at()], rest].concat();
            card.launch((Source::LIST, name), DType::F32, Grid::of(self.count, 256), &args)
        })
    }

    /// Sums of squares of values and gradients: those of blocks.
    fn squares(&self, card: Card, places: &Room) -> Result<Room> {
        let sums = card.room(2 * self.count, DType::F32)?;
        self.launch(card, "squares_of", places, &[sums.at()])?;
        Ok(sums)
    }

    /// Moves values and moments in place; they must not be read as they were afterwards.
    pub(crate) fn step(&self, card: Card, items: &[Item], step: &Step) -> Result<()> {
        let places = self.places(card, items)?;
        let squares = card.room(2 * self.lens.len(), DType::F32)?;
        if step.by_length {
            let sums = self.squares(card, &places)?;
            on([&self.firsts], |[firsts]| {
                let args = [sums.at(), firsts.at(), squares.at()];
                let grid = Grid::of(self.lens.len(), 256);
                card.launch((Source::LIST, "squares_of_tensors"), DType::F32, grid, &args)
            })?;
        }
        let numbers = step.numbers.iter().map(|number| Arg::Float(*number));
        let rest: Vec<Arg> = std::iter::once(squares.at()).chain(numbers).collect();
        self.launch(card, step.rule, &places, &rest)
    }

    /// The gradients scaled down to the length `most` of all together, if they are longer, and the
    /// length they have.
    fn bounded(&self, card: Card, grads: &[Tensor], most: f64) -> Result<(Vec<Tensor>, Tensor)> {
        let room =
            card.room(self.lens.iter().map(|len| len.next_multiple_of(4)).sum(), DType::F32)?;
        let room = {
            let len = room.len();
            room.tensor(len)
        };
        let mut first = 0;
        let mut bounded = Vec::with_capacity(grads.len());
        for (grad, len) in grads.iter().zip(&self.lens) {
            bounded.push(room.narrow(0, first, *len)?.reshape(grad.shape())?);
            first += len.next_multiple_of(4);
        }
        let item =
            |(grad, to)| Item { value: None, grad, moments: [Some(to), None], adapts: false };
        let items: Vec<Item> = grads.iter().zip(&bounded).map(item).collect();
        let places = self.places(card, &items)?;
        let (sums, length) = (self.squares(card, &places)?, card.room(1, DType::F32)?);
        let args = [sums.at(), Arg::size(self.count), length.at()];
        card.launch((Source::LIST, "length_of_all"), DType::F32, Grid::of(1, 256), &args)?;
        self.launch(card, "bounded", &places, &[length.at(), Arg::Float(most as f32)])?;
        Ok((bounded, length.tensor(())))
    }
}

/// Where a tensor of f32 begins.
fn place(tensor: &Tensor, len: usize) -> Result<i64> {
    if tensor.dtype() != DType::F32 || tensor.elem_count() != len || !tensor.is_contiguous() {
        bail!("expected {len} contiguous numbers of f32, found {tensor:?}");
    }
    on([tensor], |[tensor]| Ok(tensor.at().address()))
}

/// The gradients scaled down to the length `most` of all together, if they are longer, and the
/// length they had; nothing is read back from their card.
///
/// # Errors
/// When they are not on one card.
pub fn bounded_on_card(grads: &[Tensor], most: f64) -> Result<(Vec<Tensor>, Tensor)> {
    let Some(first) = grads.first() else { bail!("there are no gradients") };
    let as_read = |grad: &Tensor| grad.to_dtype(DType::F32)?.contiguous();
    let grads: Vec<Tensor> = grads.iter().map(as_read).collect::<Result<_>>()?;
    let card = Card::from(first)?;
    List::new(card, grads.iter().map(Tensor::elem_count).collect())?.bounded(card, &grads, most)
}
