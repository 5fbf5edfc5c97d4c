//! Constant factors on elements, given or drawn on the card.

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, DType, Device, Layout, Result, Shape, Tensor,
    bail,
};

use super::{Arg, Card, Grid, Made, Operand, Source, leaf, on};
use crate::kernel::sum;
use crate::kernel::tape::{apply1, apply2};

/// Factors that are 0 with a probability and what keeps the mean otherwise: drawn by the stream of
/// a state, in pieces that have streams of their own.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    state: u64,
    /// Numbers of 53 bits below it are left out.
    limit: u64,
    kept: f32,
}

impl Draws {
    /// Those of which nothing is 0.
    pub(super) const NONE: Self = Self { state: 0, limit: 0, kept: 1.0 };

    /// Draws by the stream that is at `state`, 0 with `probability` and `kept` otherwise.
    pub fn new(state: u64, probability: f64, kept: f32) -> Self {
        // A number is `bits / 2^53`, and is compared to the probability exactly.
        let limit = (probability * (1u64 << 53) as f64).ceil() as u64;
        Self { state, limit, kept }
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
/// where none are drawn. The factors are drawn as they are used, and again on the way back.
///
/// # Errors
/// When the shapes differ.
pub fn residual(x: &Tensor, branch: &Tensor, draws: [Option<Draws>; 2]) -> Result<Tensor> {
    if x.dims() != branch.dims() {
        bail!("a branch of shape {:?} beside {:?}", branch.dims(), x.dims());
    }
    if draws.iter().all(Option::is_none) {
        return sum(x, branch);
    }
    let run = branch.dims().iter().skip(1).product();
    let draws = draws.map(|draws| draws.unwrap_or(Draws::NONE));
    apply2(&x.contiguous()?, &branch.contiguous()?, Residual { draws, run })
}

struct Residual {
    draws: [Draws; 2],
    /// Elements of one of the first axis.
    run: usize,
}

impl Residual {
    fn apply(&self, x: Option<Operand>, branch: Operand) -> Result<Made> {
        let (card, dtype, len) = (branch.card(), branch.dtype(), branch.len());
        let y = card.room(len, dtype)?;
        let at = x.map_or(Arg::NONE, |x| x.at());
        let arrays = [at, branch.at(), y.at(), Arg::Long(len as i64), Arg::size(self.run)];
        let [of_elements, of_runs] = self.draws.map(Draws::args);
        let args = [&arrays[..], &of_elements, &of_runs].concat();
        card.launch((Source::DROPOUT, "residual"), dtype, Grid::chunks(len, dtype), &args)?;
        Ok(y.made(branch.shape()))
    }
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
        let (x, branch) = (Operand::new(x, x_layout)?, Operand::new(branch, branch_layout)?);
        if x.dtype() != branch.dtype() {
            bail!("a branch in {:?} beside {:?}", branch.dtype(), x.dtype());
        }
        self.apply(Some(x), branch)
    }

    fn bwd(
        &self,
        x: &Tensor,
        branch: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_branch = || on([dy], |[dy]| self.apply(None, dy)).map(leaf);
        let of_branch = branch.track_op().then(of_branch).transpose()?;
        Ok((x.track_op().then(|| dy.clone()), of_branch))
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
