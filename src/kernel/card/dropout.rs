//! Constant factors on elements, given or drawn on the card.

use std::sync::OnceLock;

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, DType, Device, Layout, Result, Shape,
    Tensor, bail,
};

use super::linear::{room_for_columns, totals_of_columns};
use super::{Arg, Card, Grid, Made, Operand, Room, Source, leaf, on};
use crate::kernel::sum;
use crate::kernel::tape::{apply1, apply2, apply3};

/// Which elements were kept on the way there, a byte for each 16 bytes of them, for the way back.
pub(super) type Kept = OnceLock<Tensor>;

/// Factors that are 0 with a probability and what keeps the mean otherwise: drawn by the stream of
/// a state, in pieces that have streams of their own.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    state: u64,
    /// Numbers of 32 bits below it are left out.
    limit: u64,
    kept: f32,
}

impl Draws {
    /// Those of which nothing is 0.
    pub(super) const NONE: Self = Self { state: 0, limit: 0, kept: 1.0 };

    /// Draws by the stream that is at `state`, 0 where a number of 32 bits is below `limit`, and `kept`
    /// elsewhere.
    pub fn new(state: u64, limit: u64, kept: f32) -> Self {
        Self { state, limit, kept }
    }

    /// Whether any are 0.
    pub(super) fn thins(self) -> bool {
        self.limit > 0
    }

    /// Where kernels write down which of `len` elements of a type they keep; nowhere if all.
    pub(super) fn room_for_kept(
        self,
        card: Card,
        (len, dtype): (usize, DType),
        kept: &Kept,
    ) -> Result<Arg> {
        if !self.thins() {
            return Ok(Arg::NONE);
        }
        let room = card.room(len.div_ceil(16 / dtype.size_in_bytes()), DType::U8)?;
        let len = room.len();
        kept.get_or_init(|| room.tensor(len));
        kept_at(kept)
    }

    pub(super) fn args(self) -> [Arg; 3] {
        [Arg::Long(self.state as i64), Arg::Long(self.limit as i64), Arg::Float(self.kept)]
    }

    /// The factors themselves, in f32 or bf16.
    ///
    /// # Errors
    /// When `device` is not a card, or of another type.
    pub fn factors(self, shape: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
        let card = Card::on(device)?;
        let shape = Shape::from(shape);
        let len = shape.elem_count();
        let to = card.room(len, dtype)?;
        let [state, limit, kept] = self.args();
        let args = [to.at(), Arg::Long(len as i64), state, limit, kept];
        card.launch((Source::DROPOUT, "draw"), dtype, Grid::chunks(len, dtype), &args)?;
        Ok(to.tensor(shape))
    }

    /// Factors of rows, each of which has a stream of its own.
    ///
    /// # Errors
    /// As [`Draws::factors`].
    pub(super) fn factors_of_rows(
        self,
        [rows, columns]: [usize; 2],
        dtype: DType,
        card: Card,
    ) -> Result<Tensor> {
        let to = card.room(rows * columns, dtype)?;
        let [state, limit, kept] = self.args();
        let (n, columns) = (Arg::Long(to.len() as i64), Arg::size(columns));
        let args = [to.at(), n, columns, state, limit, kept];
        card.launch((Source::DROPOUT, "draw_rows"), dtype, Grid::over(to.len()), &args)?;
        let len = to.len();
        Ok(to.tensor(len))
    }

    /// `x` on a card times the factors, one for each of the first axes of `x` of a shape: drawn as
    /// they are used, and again on the way back.
    ///
    /// # Errors
    /// When the shape is not that of the first axes.
    pub fn applied(self, x: &Tensor, shape: &[usize]) -> Result<Tensor> {
        if !x.dims().starts_with(shape) {
            bail!("factors of shape {shape:?} do not fit {:?}", x.dims());
        }
        let run = x.dims()[shape.len()..].iter().product();
        apply1(&x.contiguous()?, Dropped { draws: self, run })
    }
}

/// `x` plus `branch` times factors, one for each element and one for each of the first axis; all 1
/// where none are drawn. A `bias` [columns], if there is one, is added to the rows of the branch
/// before. The factors are drawn as they are used; which are 0 is kept for the way back.
///
/// # Errors
/// When the shapes differ.
pub fn residual(
    x: &Tensor,
    branch: &Tensor,
    bias: Option<&Tensor>,
    draws: [Option<Draws>; 2],
) -> Result<Tensor> {
    if x.dims() != branch.dims() {
        bail!("a branch of shape {:?} beside {:?}", branch.dims(), x.dims());
    }
    if bias.is_none() && draws.iter().all(Option::is_none) {
        return sum(x, branch);
    }
    let run = branch.dims().iter().skip(1).product();
    let draws = draws.map(|draws| draws.unwrap_or(Draws::NONE));
    let residual = Residual { draws, run, kept: Kept::new() };
    let (x, branch) = (x.contiguous()?, branch.contiguous()?);
    let Some(bias) = bias else { return apply2(&x, &branch, residual) };
    if bias.rank() != 1 || branch.dims().last() != bias.dims().first() || bias.dtype() != DType::F32
    {
        bail!("a bias {:?} of {:?} for rows of {:?}", bias.dtype(), bias.dims(), branch.dims());
    }
    apply3(&x, &branch, &bias.contiguous()?, residual)
}

/// Where those that were kept on the way there are written down; nowhere if all were.
pub(super) fn kept_at(kept: &Kept) -> Result<Arg> {
    kept.get().map_or(Ok(Arg::NONE), |kept| on([kept], |[kept]| Ok(kept.at())))
}

struct Residual {
    draws: [Draws; 2],
    /// Elements of one of the first axis.
    run: usize,
    kept: Kept,
}

impl Residual {
    fn launch(&self, name: &'static str, places: &[Arg], like: Operand) -> Result<()> {
        let columns = Arg::size(columns_of(like));
        let sizes = [Arg::Long(like.len() as i64), columns, Arg::size(self.run)];
        let [of_elements, of_runs] = self.draws.map(Draws::args);
        let args = [places, &sizes, &of_elements, &of_runs].concat();
        let grid = Grid::spans(like.len(), like.dtype());
        like.card().launch((Source::DROPOUT, name), like.dtype(), grid, &args)
    }

    fn forward(&self, x: Operand, branch: Operand, bias: Option<Operand>) -> Result<Made> {
        if x.dtype() != branch.dtype() {
            bail!("a branch in {:?} beside {:?}", branch.dtype(), x.dtype());
        }
        let (card, dtype, len) = (branch.card(), branch.dtype(), branch.len());
        let y = card.room(len, dtype)?;
        let kept = self.draws[0].room_for_kept(card, (len, dtype), &self.kept)?;
        let bias = bias.map_or(Arg::NONE, |bias| bias.at());
        self.launch("residual", &[x.at(), branch.at(), bias, y.at(), kept], branch)?;
        Ok(y.made(branch.shape()))
    }

    /// The gradient of the branch, and the sums of its columns if they are wanted.
    fn backward(
        &self,
        dy: &Tensor,
        branch: &Tensor,
        wants_sums: bool,
    ) -> Result<(Tensor, Option<Tensor>)> {
        if dy.dtype() != branch.dtype() {
            bail!("a gradient in {:?} of a branch in {:?}", dy.dtype(), branch.dtype());
        }
        let (dbranch, parts) = on([dy], |[it]| {
            let (card, form) = (it.card(), (it.len(), it.dtype()));
            let dbranch = card.room(it.len(), it.dtype())?;
            let is_even = it.at().is_even() && dbranch.at().is_even();
            let parts = match wants_sums && is_even && self.has_whole_chunks(it.dtype()) {
                true => room_for_columns(card, form, columns_of(it))?,
                false => None,
            };
            let to = parts.as_ref().map_or(Arg::NONE, Room::at);
            let places = [it.at(), dbranch.at(), kept_at(&self.kept)?, to];
            self.launch("residual_back", &places, it)?;
            Ok((dbranch.tensor(dy.shape()), parts))
        })?;
        let sums = wants_sums.then(|| totals_of_columns(&dbranch, parts)).transpose()?;
        Ok((dbranch, sums))
    }

    /// Whether runs begin at chunks of 16 bytes, or are no shorter than a block of [`Grid::spans`], or
    /// all have one factor.
    fn has_whole_chunks(&self, dtype: DType) -> bool {
        let chunk = 16 / dtype.size_in_bytes();
        !self.draws[1].thins() || self.run >= Grid::span(dtype) || self.run.is_multiple_of(chunk)
    }
}

/// The elements of a row.
fn columns_of(rows: Operand) -> usize {
    rows.shape().dims().last().copied().unwrap_or(1).max(1)
}

impl CustomOp2 for Residual {
    fn name(&self) -> &'static str {
        "residual"
    }

    fn cpu_fwd(
        &self,
        _x: &CpuStorage,
        _x_layout: &Layout,
        _branch: &CpuStorage,
        _branch_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("these factors are drawn on a card alone")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        branch: &CudaStorage,
        branch_layout: &Layout,
    ) -> Result<Made> {
        self.forward(Operand::new(x, x_layout)?, Operand::new(branch, branch_layout)?, None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        branch: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_branch = branch.track_op().then(|| self.backward(dy, branch, false)).transpose()?;
        Ok((x.track_op().then(|| dy.clone()), of_branch.map(|(of_branch, _)| of_branch)))
    }
}

impl CustomOp3 for Residual {
    fn name(&self) -> &'static str {
        "residual-of-sums"
    }

    fn cpu_fwd(
        &self,
        _x: &CpuStorage,
        _x_layout: &Layout,
        _branch: &CpuStorage,
        _branch_layout: &Layout,
        _bias: &CpuStorage,
        _bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("these factors are drawn on a card alone")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        branch: &CudaStorage,
        branch_layout: &Layout,
        bias: &CudaStorage,
        bias_layout: &Layout,
    ) -> Result<Made> {
        let bias = Operand::new(bias, bias_layout)?;
        self.forward(Operand::new(x, x_layout)?, Operand::new(branch, branch_layout)?, Some(bias))
    }

    fn bwd(
        &self,
        x: &Tensor,
        branch: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (of_branch, of_bias) = self.backward(dy, branch, bias.track_op())?;
        Ok((x.track_op().then(|| dy.clone()), Some(of_branch), of_bias))
    }
}

struct Dropped {
    draws: Draws,
    /// Elements in a row with one factor.
    run: usize,
}

impl Dropped {
    fn apply(&self, x: Operand) -> Result<Made> {
        let (card, dtype, len) = (x.card(), x.dtype(), x.len());
        let y = card.room(len, dtype)?;
        let [state, limit, kept] = self.draws.args();
        let (n, run) = (Arg::Long(len as i64), Arg::size(self.run));
        let args = [x.at(), y.at(), n, run, state, limit, kept];
        card.launch((Source::DROPOUT, "drop"), dtype, Grid::chunks(len, dtype), &args)?;
        Ok(y.made(x.shape()))
    }
}

impl CustomOp1 for Dropped {
    fn name(&self) -> &'static str {
        "dropped"
    }

    fn cpu_fwd(&self, _x: &CpuStorage, _layout: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("these factors are drawn on a card alone")
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<Made> {
        self.apply(Operand::new(x, layout)?)
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        on([dy], |[of_dy]| self.apply(of_dy)).map(|made| Some(leaf(made)))
    }
}

/// `x` times `factors` in f32, each for an equal number of elements in a row.
pub(crate) fn scaled(x: Operand, factors: Operand) -> Result<Made> {
    let (card, dtype, len) = (x.card(), x.dtype(), x.len());
    let y = card.room(len, dtype)?;
    let run = Arg::size(len / factors.len().max(1));
    let args = [x.at(), factors.at(), y.at(), Arg::Long(len as i64), run];
    card.launch((Source::DROPOUT, "scaled"), dtype, Grid::over(len), &args)?;
    Ok(y.made(x.shape()))
}
