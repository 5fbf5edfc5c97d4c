//! Tokens of a transformer: patches of images; embedded ones with one more before them, and positions
//! added; and the first alone.

use candle_core::{CpuStorage, CudaStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};

use super::linear::column_sums;
use super::{Arg, Grid, Made, Operand, Room, Source, on};
use crate::kernel::tape::apply3;

/// `patches` [B,P,D] on a card with `before` [1,D] before them, and `positions` [P+1,D] added: what
/// is added up over samples for the gradients of parameters is added up in f32.
///
/// # Errors
/// When the shapes do not fit.
pub fn tokens_on_card(patches: &Tensor, before: &Tensor, positions: &Tensor) -> Result<Tensor> {
    let (_, tokens, width) = patches.dims3()?;
    if before.dims() != [1, width] || positions.dims() != [tokens + 1, width] {
        let found = (before.dims(), positions.dims());
        bail!("a token and positions {found:?} do not fit {:?}", patches.dims());
    }
    apply3(&patches.contiguous()?, &before.contiguous()?, &positions.contiguous()?, Tokens)
}

/// Each patch of `images` [B,H,W,C] on a card as one vector in the order row, column, channel: [B, P,
/// side·side·C]. It has no gradient.
///
/// # Errors
/// When the images are not on a card.
pub fn patches_on_card(images: &Tensor, side: usize) -> Result<Tensor> {
    let (batch, height, width, channels) = images.dims4()?;
    let (down, across) = (height / side, width / side);
    on([images], |[of_images]| {
        let (card, dtype, size) = (of_images.card(), of_images.dtype(), side * side * channels);
        let to = card.room(batch * down * across * size, dtype)?;
        let sizes = [height, width, channels, side].map(Arg::size);
        let args = [&[of_images.at(), to.at(), Arg::Long(to.len() as i64)][..], &sizes].concat();
        card.launch((Source::TOKENS, "patches"), dtype, Grid::over(to.len()), &args)?;
        Ok(to.tensor((batch, down * across, size)))
    })
}

/// The first token of each sample of `x` [B,N,D].
pub(crate) fn first(x: Operand) -> Result<Made> {
    let (batch, tokens, width) = x.shape().dims3()?;
    let y = x.card().room(batch * width, x.dtype())?;
    let args = [x.at(), y.at(), Arg::Long(y.len() as i64), Arg::size(tokens), Arg::size(width)];
    x.card().launch((Source::TOKENS, "first"), x.dtype(), Grid::over(y.len()), &args)?;
    Ok(y.made((batch, 1, width)))
}

/// The gradient of all tokens from that of the first.
pub(crate) fn first_back(dy: &Tensor, tokens: usize) -> Result<Tensor> {
    let (batch, _, width) = dy.dims3()?;
    on([dy], |[of_dy]| {
        let dx = of_dy.card().room(batch * tokens * width, of_dy.dtype())?;
        back("first_back", of_dy, &dx, [tokens, width])?;
        Ok(dx.tensor((batch, tokens, width)))
    })
}

/// Queues a kernel that makes the gradient `dx` of that of the outcome.
fn back(name: &'static str, dy: Operand, dx: &Room, [tokens, width]: [usize; 2]) -> Result<()> {
    let (dtype, places) = (dy.dtype(), [dy.at(), dx.at()]);
    let sizes = [tokens, width].map(Arg::size);
    let rest = [Arg::Long(dx.len() as i64), sizes[0], sizes[1], is_wide(width, dtype, places)];
    let args = [&places[..], &rest].concat();
    dy.card().launch((Source::TOKENS, name), dtype, Grid::chunks(dx.len(), dtype), &args)
}

struct Tokens;

/// Whether threads take 16 bytes of one token at a time.
fn is_wide(width: usize, dtype: DType, places: [Arg; 2]) -> Arg {
    let fits = width.is_multiple_of(16 / dtype.size_in_bytes());
    Arg::Int(i32::from(fits && places.iter().all(|it| it.is_even())))
}

impl CustomOp3 for Tokens {
    fn name(&self) -> &'static str {
        "tokens"
    }

    fn cpu_fwd(
        &self,
        _patches: &CpuStorage,
        _: &Layout,
        _before: &CpuStorage,
        _: &Layout,
        _positions: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("these tokens are put together on a card alone")
    }

    fn cuda_fwd(
        &self,
        patches: &CudaStorage,
        patches_layout: &Layout,
        before: &CudaStorage,
        before_layout: &Layout,
        positions: &CudaStorage,
        positions_layout: &Layout,
    ) -> Result<Made> {
        let (x, before) =
            (Operand::new(patches, patches_layout)?, Operand::new(before, before_layout)?);
        let positions = Operand::new(positions, positions_layout)?;
        let (batch, patches, width) = x.shape().dims3()?;
        let (card, dtype, tokens) = (x.card(), x.dtype(), patches + 1);
        let y = card.room(batch * tokens * width, dtype)?;
        let args = [
            x.at(),
            before.at(),
            positions.at(),
            y.at(),
            Arg::Long(y.len() as i64),
            Arg::size(tokens),
            Arg::size(width),
            is_wide(width, dtype, [x.at(), y.at()]),
        ];
        card.launch((Source::TOKENS, "tokens"), dtype, Grid::chunks(y.len(), dtype), &args)?;
        Ok(y.made((batch, tokens, width)))
    }

    fn bwd(
        &self,
        patches: &Tensor,
        _before: &Tensor,
        positions: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (batch, tokens, width) = dy.dims3()?;
        on([dy], |[of_dy]| {
            let (card, dtype) = (of_dy.card(), of_dy.dtype());
            let dx = card.room(patches.elem_count(), dtype)?;
            back("tokens_back", of_dy, &dx, [tokens, width])?;
            let sums = column_sums(card, of_dy.at(), dtype, [batch, tokens * width])?;
            let of_positions = sums.tensor(positions.shape());
            let of_before = of_positions.narrow(0, 0, 1)?;
            Ok((Some(dx.tensor(patches.shape())), Some(of_before), Some(of_positions)))
        })
    }
}
