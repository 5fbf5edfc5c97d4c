//! Spectral norms: power iteration, and weights divided by what it finds.

use candle_core::{DType, Result, Tensor};

use super::conv::{Convolution, Kept};
use super::{Arg, Card, Factor, Grid, Made, Operand, Product, Room, Source, on};
use crate::kernel::conv::Geometry;
use crate::kernel::{Effort, Singular};

/// Most shares of a dot product.
const SHARES: usize = 128;
/// Values up to this are those of a weight of zeros.
const TINY: f64 = 1e-12;

fn launch(card: Card, name: &'static str, grid: Grid, args: &[Arg]) -> Result<()> {
    card.launch((Source::SPECTRAL, name), DType::F32, grid, args)
}

/// Shares of dot products of vectors of one length.
struct Dots {
    parts: Room,
    shares: usize,
}

fn dots(card: Card, pairs: &[[Arg; 2]], len: usize) -> Result<Dots> {
    let shares = len.div_ceil(1024).clamp(1, SHARES);
    let parts = card.room(pairs.len() * shares, DType::F32)?;
    let [first, second] = [pairs[0], pairs[pairs.len() - 1]];
    let args = [&first[..], &second, &[parts.at(), Arg::size(len)]].concat();
    let grid = Grid { blocks: [shares, pairs.len(), 1], threads: 256, shared: 0 };
    launch(card, "dots", grid, &args)?;
    Ok(Dots { parts, shares })
}

/// A layer as a linear map of vectors in f32.
#[derive(Clone, Copy)]
pub(crate) enum Linear {
    /// The product with a matrix [outputs, inputs].
    Matrix(usize, usize),
    Convolution(Geometry),
}

/// A linear map with its weight.
struct Layer<'a> {
    linear: Linear,
    weight: Operand<'a>,
    kept: Kept,
}

impl Layer<'_> {
    fn card(&self) -> Card<'_> {
        self.weight.card()
    }

    fn convolution(&self, geometry: Geometry) -> Convolution<'_> {
        Convolution { card: self.card(), dtype: DType::F32, geometry, kept: &self.kept }
    }

    /// The image of the vector at `x`.
    fn apply(&self, x: Arg) -> Result<Room> {
        match self.linear {
            Linear::Matrix(outputs, inputs) => {
                let weight = factor(self.weight.at(), inputs).t();
                self.product([factor(x, inputs), weight], [1, outputs, inputs])
            }
            Linear::Convolution(geometry) => self.convolution(geometry).forward(x, self.weight),
        }
    }

    /// What the transpose makes of the vector at `y`.
    fn transposed(&self, y: Arg) -> Result<Room> {
        match self.linear {
            Linear::Matrix(outputs, inputs) => {
                let weight = factor(self.weight.at(), inputs);
                self.product([factor(y, outputs), weight], [1, inputs, outputs])
            }
            Linear::Convolution(geometry) => {
                self.convolution(geometry).input_gradient(self.weight, y)
            }
        }
    }

    /// The derivative by the weight of the product of `left` and the image of `right`.
    fn slope(&self, right: Arg, left: Arg) -> Result<Tensor> {
        match self.linear {
            Linear::Matrix(outputs, inputs) => {
                let factors = [factor(left, outputs).t(), factor(right, inputs)];
                Ok(self.product(factors, [outputs, inputs, 1])?.tensor((outputs, inputs)))
            }
            Linear::Convolution(geometry) => {
                let slope = self.convolution(geometry).weight_gradient(right, left)?;
                slope.reshape(self.weight.shape())
            }
        }
    }

    fn product(&self, [left, right]: [Factor; 2], size: [usize; 3]) -> Result<Room> {
        let to = self.card().room(size[0] * size[1], DType::F32)?;
        self.card().multiply(&Product::new(left, right, factor(to.at(), size[1]), size))?;
        Ok(to)
    }
}

fn factor(at: Arg, row: usize) -> Factor {
    Factor::new(at, DType::F32, row)
}

/// A vector brought to length 1, with the length it had; `other` where it is zero.
fn unit(card: Card, x: (Arg, usize), other: Arg) -> Result<[Room; 2]> {
    let (x, len) = x;
    let Dots { parts, shares } = dots(card, &[[x, x]], len)?;
    let (to, length) = (card.room(len, DType::F32)?, card.room(1, DType::F32)?);
    let sizes = [Arg::size(len), Arg::size(shares)];
    let args = [&[x, other, parts.at(), to.at(), length.at()][..], &sizes].concat();
    launch(card, "unit", Grid::over(len), &args)?;
    Ok([to, length])
}

/// The largest singular value by power iteration. Its value is read back only to see whether it
/// stands still: where iterations are counted it stays on the card, and what is given is no number.
pub(crate) fn singular(
    weight: &Tensor,
    linear: Linear,
    right: &Tensor,
    effort: Effort,
) -> Result<Singular> {
    on([weight, right], |[of_weight, of_right]| {
        let card = of_weight.card();
        let layer = Layer { linear, weight: of_weight, kept: Kept::default() };
        let [mut vector, _] = unit(card, (of_right.at(), of_right.len()), Arg::NONE)?;
        let (mut left, mut value) = (None, f64::NAN);
        let (most, is_settling) = match effort {
            Effort::Times(times) => (times, false),
            Effort::Settled(most) => (most, true),
        };
        for _ in 0..most.max(1) {
            let image = layer.apply(vector.at())?;
            let [found, _] = unit(card, (image.at(), image.len()), Arg::NONE)?;
            let back = layer.transposed(found.at())?;
            left = Some(found);
            let [next, length] = unit(card, (back.at(), back.len()), vector.at())?;
            vector = next;
            if is_settling && has_settled(length, &mut value)? {
                break;
            }
        }
        let left = left.expect("there is one iteration at least");
        let slope = layer.slope(vector.at(), left.at())?;
        Ok(Singular { value, right: vector.tensor(right.shape()), slope })
    })
}

/// Whether the value found last is not larger than the largest before, which it takes the place of; or
/// is no number, which no iteration mends.
fn has_settled(length: Room, value: &mut f64) -> Result<bool> {
    let found = f64::from(length.tensor(1).to_vec1::<f32>()?[0]);
    if !found.is_finite() {
        *value = found;
        return Ok(true);
    }
    let before = if value.is_nan() { 0.0 } else { *value };
    *value = if found <= TINY { found } else { found.max(before) };
    Ok(found <= TINY || found <= before * (1.0 + f64::from(f32::EPSILON)))
}

/// `weight` scaled so that the value whose derivative is `slope` becomes `bound`.
pub(crate) fn bounded(weight: Operand, slope: &Tensor, bound: f64) -> Result<Made> {
    on([slope], |[slope]| {
        let (card, len) = (weight.card(), weight.len());
        let Dots { parts, shares } = dots(card, &[[weight.at(), slope.at()]], len)?;
        let to = card.room(len, DType::F32)?;
        let sizes = [Arg::Float(bound as f32), Arg::size(len), Arg::size(shares)];
        let args = [&[weight.at(), parts.at(), to.at()][..], &sizes].concat();
        launch(card, "bounded", Grid::over(len), &args)?;
        Ok(to.made(weight.shape()))
    })
}

/// The gradient of [`bounded`].
pub(crate) fn bounded_back([weight, slope, dy]: [&Tensor; 3], bound: f64) -> Result<Tensor> {
    on([weight, slope, dy], |[of_weight, of_slope, of_dy]| {
        let (card, len) = (of_weight.card(), of_weight.len());
        let pairs = [[of_weight.at(), of_slope.at()], [of_weight.at(), of_dy.at()]];
        let Dots { parts, shares } = dots(card, &pairs, len)?;
        let to = card.room(len, DType::F32)?;
        let sizes = [Arg::Float(bound as f32), Arg::size(len), Arg::size(shares)];
        let arrays = [of_dy.at(), of_slope.at(), parts.at(), to.at()];
        launch(card, "bounded_back", Grid::over(len), &[&arrays[..], &sizes].concat())?;
        Ok(to.tensor(weight.shape()))
    })
}
