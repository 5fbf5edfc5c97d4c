//! Convolutions: by cuDNN where it is there, and elsewhere as products of windows laid out in rows.

use std::sync::OnceLock;

use candle_core::{DType, Result, Tensor, bail};

use super::columns::{Columns, product_of_columns};
use super::cudnn::{self, Direction, Plan};
use super::rounded::Form;
use super::{Arg, Card, Factor, Grid, Made, Operand, Product, Room, Source, on};
use crate::kernel::conv::Geometry;

/// The weight as products and as cuDNN read it, for the way back.
#[derive(Default)]
pub(crate) struct Kept {
    /// [window, F], rows of zeros behind it.
    rows: OnceLock<Tensor>,
    /// [F, window]
    filters: OnceLock<Tensor>,
}

/// A convolution of activations of one type.
#[derive(Clone, Copy)]
pub(crate) struct Convolution<'a> {
    pub(crate) card: Card<'a>,
    pub(crate) dtype: DType,
    pub(crate) geometry: Geometry,
    pub(crate) kept: &'a Kept,
}

/// Channels that cuDNN's kernels for bf16 take at a time.
const EVEN: usize = 8;

/// The filters of a convolution, and how many more would let cuDNN compute it, if some would.
pub(crate) fn missing(x: &Tensor, weight: &Tensor) -> Option<(usize, usize)> {
    let (height, width, channels, filters) = weight.dims4().ok()?;
    let is_half = x.device().is_cuda() && x.dtype() == DType::BF16;
    let more = filters.next_multiple_of(EVEN) - filters;
    let would_do = is_half && height * width > 1 && channels % EVEN == 0;
    (would_do && more > 0 && cudnn::is_used()).then_some((filters, more))
}

/// The convolution of `x` with `weight`.
pub(crate) fn forward(
    x: Operand,
    weight: Operand,
    geometry: Geometry,
    kept: &Kept,
) -> Result<Made> {
    if weight.dtype() != DType::F32 {
        bail!("weights on a card are f32, not {:?}", weight.dtype());
    }
    let convolution = Convolution { card: x.card(), dtype: x.dtype(), geometry, kept };
    Ok(convolution.forward(x.at(), weight)?.made(geometry.output_shape()))
}

/// The gradients of input and weight, each if it is wanted.
pub(crate) fn backward(
    [x, weight, dy]: [&Tensor; 3],
    geometry: Geometry,
    kept: &Kept,
) -> Result<(Option<Tensor>, Option<Tensor>)> {
    on([x, weight, dy], |[of_x, of_weight, of_dy]| {
        let (card, dtype) = (of_x.card(), of_x.dtype());
        if of_dy.dtype() != dtype {
            bail!("a gradient in {:?} of activations in {dtype:?}", of_dy.dtype());
        }
        let convolution = Convolution { card, dtype, geometry, kept };
        let dx = || -> Result<Tensor> {
            Ok(convolution.input_gradient(of_weight, of_dy.at())?.tensor(x.shape()))
        };
        let dw = || convolution.weight_gradient(of_x.at(), of_dy.at());
        let dx = x.track_op().then(dx).transpose()?;
        let dw = weight.track_op().then(dw).transpose()?;
        Ok((dx, dw.map(|dw| dw.reshape(weight.shape())).transpose()?))
    })
}

impl Convolution<'_> {
    /// [N,OH,OW,F] of images at `x`.
    pub(crate) fn forward(&self, x: Arg, weight: Operand) -> Result<Room> {
        let y = self.card.room(self.geometry.windows() * self.geometry.filters, self.dtype)?;
        if let Some(plan) = self.plan(Direction::Forward)?
            && plan.run(self.card, [x, self.filters(weight)?, y.at()])?
        {
            return Ok(y);
        }
        let (columns, rows) = (self.columns(), self.rows(weight)?);
        let filters = self.geometry.filters;
        for chunk in columns.chunks() {
            let laid = columns.laid(self.card, x, &chunk)?;
            self.card.multiply(&Product::new(
                Factor::new(laid.at(), self.dtype, columns.inner),
                Factor::new(rows, self.dtype, filters),
                Factor::new(y.from(chunk.first_window * filters), self.dtype, filters),
                [chunk.windows, filters, columns.inner],
            ))?;
        }
        Ok(y)
    }

    /// [N,H,W,C] of the gradient at `dy`.
    pub(crate) fn input_gradient(&self, weight: Operand, dy: Arg) -> Result<Room> {
        let Geometry { batch, filters, .. } = self.geometry;
        let dx = self.card.room(batch * self.geometry.image_len(), self.dtype)?;
        if let Some(plan) = self.plan(Direction::Data)?
            && plan.run(self.card, [dx.at(), self.filters(weight)?, dy])?
        {
            return Ok(dx);
        }
        let (columns, rows) = (self.columns(), self.rows(weight)?);
        for chunk in columns.chunks() {
            let to = columns.room_for(self.card, &dx, &chunk)?;
            let dy = dy.further(chunk.first_window * filters, self.dtype);
            self.card.multiply(&Product::new(
                Factor::new(dy, self.dtype, filters),
                Factor::new(rows, self.dtype, filters).t(),
                Factor::new(to.at(), self.dtype, columns.inner),
                [chunk.windows, columns.inner, filters],
            ))?;
            columns.gather(self.card, &to, &dx, &chunk)?;
        }
        Ok(dx)
    }

    /// [window, F] in f32.
    pub(crate) fn weight_gradient(&self, x: Arg, dy: Arg) -> Result<Tensor> {
        let (window, filters) = (self.geometry.window_len(), self.geometry.filters);
        if let Some(plan) = self.plan(Direction::Filter)? {
            let found = self.card.room(window * filters, self.dtype)?;
            if plan.run(self.card, [x, found.at(), dy])? {
                let to = self.card.room(window * filters, DType::F32)?;
                self.turn("filters_back", [found.at(), to.at()], [filters, window])?;
                return Ok(to.tensor((window, filters)));
            }
        }
        product_of_columns(self.card, &self.columns(), [x, dy])?.narrow(0, 0, window)
    }

    /// What cuDNN does, where it is better than products.
    fn plan(&self, direction: Direction) -> Result<Option<Plan>> {
        let Geometry { channels, filters, batch, .. } = self.geometry;
        // One pixel needs no windows.
        let is_uneven = channels % EVEN != 0 || filters % EVEN != 0;
        if batch == 0 || self.geometry.is_pointwise() || (is_uneven && self.dtype != DType::F32) {
            return Ok(None);
        }
        cudnn::plan(self.card, direction, self.geometry, self.dtype)
    }

    fn columns(&self) -> Columns {
        Columns::new(self.geometry, self.dtype)
    }

    /// The weight as the right factor of products.
    fn rows(&self, weight: Operand) -> Result<Arg> {
        let (len, all) = (weight.len(), self.columns().inner * self.geometry.filters);
        if self.dtype == DType::F32 && len == all {
            return Ok(weight.at());
        }
        if self.kept.rows.get().is_none() {
            let to = self.card.room(all, self.dtype)?;
            let args = [weight.at(), to.at(), Arg::size(len), Arg::size(all)];
            let grid = Grid::over(all);
            self.card.launch((Source::CONV, "padded"), self.dtype, grid, &args)?;
            self.kept.rows.get_or_init(|| to.tensor(all));
        }
        place(&self.kept.rows)
    }

    /// The weight as cuDNN takes it.
    fn filters(&self, weight: Operand) -> Result<Arg> {
        let (window, filters) = (self.geometry.window_len(), self.geometry.filters);
        if self.kept.filters.get().is_none() {
            let size = [window, filters];
            let found = Form::Filters.of(weight, (size, self.dtype), || {
                let to = self.card.room(window * filters, self.dtype)?;
                self.turn("filters", [weight.at(), to.at()], size)?;
                Ok(to)
            })?;
            self.kept.filters.get_or_init(|| found);
        }
        place(&self.kept.filters)
    }

    /// Queues a kernel that transposes [rows, columns].
    fn turn(&self, name: &'static str, arrays: [Arg; 2], size: [usize; 2]) -> Result<()> {
        let [rows, columns] = size;
        let blocks = [rows.div_ceil(32), columns.div_ceil(32), 1];
        let args = [&arrays[..], &size.map(Arg::size)].concat();
        let grid = Grid { blocks, threads: 256, shared: 0 };
        self.card.launch((Source::CONV, name), self.dtype, grid, &args)
    }
}

/// Where a tensor that is kept begins.
fn place(kept: &OnceLock<Tensor>) -> Result<Arg> {
    on([kept.get().expect("it was kept")], |[operand]| Ok(operand.at()))
}
