//! Multi-head self-attention (Vaswani et al. 2017, arXiv:1706.03762) on packed queries, keys and
//! values; the backward pass computes the probabilities anew instead of keeping them.

mod heads;
mod sample;

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Layout, Result, Shape, Tensor, bail};

#[cfg(feature = "cuda")]
use super::card::{Made, Operand, attention as card};
use super::real::{Real, with_real};
use super::tape::{apply1, apply2};
use super::values::{Values, output, slice, tensor};
use heads::Problem;
use sample::Samples;

/// How tokens attend to each other.
#[derive(Debug, Clone)]
pub struct Attention {
    /// The number of heads H.
    pub heads: usize,
    /// What logits are multiplied by, usually the inverse root of the width of a head.
    pub scale: f64,
    /// A factor on all logits of a query [B,M], the same for all heads; constant.
    pub query_factors: Option<Tensor>,
    /// A factor on each probability [B,H,M,N], for dropout; constant.
    pub probability_factors: Option<PairFactors>,
}

/// Constant factors on the probabilities [B,H,M,N] that queries attend to tokens with.
#[derive(Debug, Clone)]
pub enum PairFactors {
    /// As they are, [B,H,M,N].
    Given(Tensor),
    /// Drawn on a card as they are used, each row of N from a stream of its own.
    #[cfg(feature = "cuda")]
    Drawn(super::Draws),
}

/// Attention with factors as kernels read them.
struct Fitted {
    heads: usize,
    scale: f64,
    query_factors: Option<Tensor>,
    probability_factors: Option<PairFactors>,
    /// What a card knows on the way back.
    #[cfg(feature = "cuda")]
    known: card::Known,
}

/// `softmax(Q Kᵀ · scale) V` for each head: `qkv` [B,N,3·H·W] holds queries, keys and values one
/// after the other, each with its heads side by side; gives [B,N,H·W].
///
/// # Errors
/// When the width does not divide among the heads or a factor has another shape.
pub fn attention(qkv: &Tensor, attention: &Attention) -> Result<Tensor> {
    let (batch, tokens, width) = qkv.dims3()?;
    let heads = attention.heads;
    if heads == 0 || !width.is_multiple_of(3 * heads) {
        bail!("a width of {width} does not hold queries, keys and values of {heads} heads");
    }
    apply1(&qkv.contiguous()?, attention.fitted([batch, tokens, tokens], qkv)?)
}

/// The same for M queries `q` [B,M,H·W] of their own, to the keys and values `kv` [B,N,2·H·W];
/// gives [B,M,H·W].
///
/// # Errors
/// When the shapes do not fit, the width does not divide among the heads, or a factor has another
/// shape.
pub fn attention_from(q: &Tensor, kv: &Tensor, attention: &Attention) -> Result<Tensor> {
    let ((batch, queries, width), (samples, tokens, packed)) = (q.dims3()?, kv.dims3()?);
    let heads = attention.heads;
    if heads == 0 || !width.is_multiple_of(heads) {
        bail!("a width of {width} does not hold queries of {heads} heads");
    }
    if (samples, packed) != (batch, 2 * width) {
        let found = kv.dims();
        bail!("expected keys and values of shape [{batch}, N, {}], found {found:?}", 2 * width);
    }
    apply2(&q.contiguous()?, &kv.contiguous()?, attention.fitted([batch, queries, tokens], q)?)
}

impl Attention {
    fn fitted(&self, [batch, queries, tokens]: [usize; 3], like: &Tensor) -> Result<Fitted> {
        let fitted = |factors: &Tensor, expected: &[usize], dtype| {
            if factors.dims() != expected {
                bail!("expected factors of shape {expected:?}, found {:?}", factors.dims())
            }
            factors.to_dtype(dtype)?.contiguous()?.flatten_all()
        };
        // A card multiplies logits in f32, whatever activations are.
        let of_logits = if like.device().is_cuda() { DType::F32 } else { like.dtype() };
        let of_query = |it: &Tensor| fitted(it, &[batch, queries], of_logits);
        let of_pair = |factors: &PairFactors| match factors {
            PairFactors::Given(factors) => {
                let shape = [batch, self.heads, queries, tokens];
                fitted(factors, &shape, like.dtype()).map(PairFactors::Given)
            }
            #[cfg(feature = "cuda")]
            drawn @ PairFactors::Drawn(_) => Ok(drawn.clone()),
        };
        Ok(Fitted {
            heads: self.heads,
            scale: self.scale,
            query_factors: self.query_factors.as_ref().map(of_query).transpose()?,
            probability_factors: self.probability_factors.as_ref().map(of_pair).transpose()?,
            #[cfg(feature = "cuda")]
            known: card::Known::default(),
        })
    }
}

impl Fitted {
    /// The sizes of the problem, and its factors, as a card has them.
    #[cfg(feature = "cuda")]
    fn on_card(
        &self,
        [batch, queries, tokens, width]: [usize; 4],
        is_packed: bool,
    ) -> (card::Sizes, card::Factors<'_>) {
        let (heads, scale) = (self.heads, self.scale);
        let width = width / heads;
        let sizes = card::Sizes { batch, queries, tokens, heads, width, scale, is_packed };
        let of_queries = self.query_factors.as_ref();
        let of_pairs = self.probability_factors.as_ref();
        (sizes, card::Factors { of_queries, of_pairs, known: &self.known })
    }

    /// Runs `work` on the problem in slices, for queries of `width` in all heads.
    fn with_problem<T: Real, R>(
        &self,
        [queries, tokens, width]: [usize; 3],
        work: impl FnOnce(Problem<T>) -> Result<R>,
    ) -> Result<R> {
        let of_queries = self.query_factors.as_ref().map(Values::<T>::of).transpose()?;
        let probabilities = match &self.probability_factors {
            None => None,
            Some(PairFactors::Given(factors)) => Some(Values::<T>::of(factors)?),
            #[cfg(feature = "cuda")]
            Some(PairFactors::Drawn(_)) => bail!("these factors are drawn on a card alone"),
        };
        work(Problem {
            queries,
            tokens,
            heads: self.heads,
            width: width / self.heads,
            scale: T::of(self.scale),
            query_factors: of_queries.as_deref(),
            probability_factors: probabilities.as_deref(),
        })
    }
}

impl CustomOp1 for Fitted {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, tokens, packed) = layout.shape().dims3()?;
        let width = packed / 3;
        with_real!(qkv.dtype(), T => {
            let inputs = Samples::Packed(slice::<T>(qkv, layout)?);
            let y = self.with_problem([tokens, tokens, width], |it| Ok(it.forward(&inputs, batch)))?;
            output(y, (batch, tokens, width))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, qkv: &CudaStorage, layout: &Layout) -> Result<Made> {
        let (batch, tokens, packed) = layout.shape().dims3()?;
        let (sizes, factors) = self.on_card([batch, tokens, tokens, packed / 3], true);
        card::forward(Operand::new(qkv, layout)?, None, sizes, &factors)
    }

    fn bwd(&self, qkv: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if qkv.device().is_cuda() {
            let (batch, tokens, packed) = qkv.dims3()?;
            let (sizes, factors) = self.on_card([batch, tokens, tokens, packed / 3], true);
            return card::backward([qkv, y, dy], sizes, &factors).map(Some);
        }
        let ((_, tokens, packed), dy) = (qkv.dims3()?, dy.contiguous()?);
        with_real!(qkv.dtype(), T => {
            let (values, y, dy) = (Values::<T>::of(qkv)?, Values::of(y)?, Values::of(&dy)?);
            let inputs = Samples::Packed(&values[..]);
            let sizes = [tokens, tokens, packed / 3];
            let gradient = self.with_problem(sizes, |it| Ok(it.backward(&inputs, (&y, &dy))))?;
            let Samples::Packed(dqkv) = gradient else { unreachable!("as the input was") };
            tensor(dqkv, qkv.shape()).map(Some)
        })
    }
}

impl CustomOp2 for Fitted {
    fn name(&self) -> &'static str {
        "attention-from"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        kv: &CpuStorage,
        kv_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, queries, width) = q_layout.shape().dims3()?;
        let sizes = [queries, kv_layout.shape().dims3()?.1, width];
        with_real!(q.dtype(), T => {
            let inputs = Samples::Apart(slice::<T>(q, q_layout)?, slice(kv, kv_layout)?);
            let y = self.with_problem(sizes, |it| Ok(it.forward(&inputs, batch)))?;
            output(y, q_layout.shape())
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        q: &CudaStorage,
        q_layout: &Layout,
        kv: &CudaStorage,
        kv_layout: &Layout,
    ) -> Result<Made> {
        let (batch, queries, width) = q_layout.shape().dims3()?;
        let tokens = kv_layout.shape().dims3()?.1;
        let (sizes, factors) = self.on_card([batch, queries, tokens, width], false);
        let (q, kv) = (Operand::new(q, q_layout)?, Operand::new(kv, kv_layout)?);
        card::forward(q, Some(kv), sizes, &factors)
    }

    fn bwd(
        &self,
        q: &Tensor,
        kv: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if q.device().is_cuda() {
            let (batch, queries, width) = q.dims3()?;
            let (sizes, factors) = self.on_card([batch, queries, kv.dim(1)?, width], false);
            let [dq, dkv] = card::backward_from([q, kv, y, dy], sizes, &factors)?;
            return Ok((Some(dq), Some(dkv)));
        }
        let ((_, queries, width), dy) = (q.dims3()?, dy.contiguous()?);
        let sizes = [queries, kv.dim(1)?, width];
        with_real!(q.dtype(), T => {
            let (q_values, kv_values) = (Values::<T>::of(q)?, Values::of(kv)?);
            let (y, dy) = (Values::of(y)?, Values::of(&dy)?);
            let inputs = Samples::Apart(&q_values[..], &kv_values[..]);
            let gradient = self.with_problem(sizes, |it| Ok(it.backward(&inputs, (&y, &dy))))?;
            let Samples::Apart(dq, dkv) = gradient else { unreachable!("as the input was") };
            Ok((Some(tensor(dq, q.shape())?), Some(tensor(dkv, kv.shape())?)))
        })
    }
}
