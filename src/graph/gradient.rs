//! The gradient of a step: of the whole batch at once or in pieces, and bounded where that is asked.

#[cfg(feature = "cuda")]
use candle_core::Var;
use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor};

use super::{Batch, Loss, Model, Values, counted, plus, shares};
use crate::kernel::{in_halves, squared_norm};
use crate::nn::Mode;
use crate::plan::{Method, Precision};
use crate::seed::Stream;
use crate::tensor::Params;

/// The loss of `batch` and its gradient, by the way that `method` names; what is random in the
/// model comes from `stream`.
pub fn gradient(
    model: &Model,
    method: &Method,
    batch: Batch,
    stream: Stream,
) -> Result<(Loss, GradStore)> {
    in_halves(method.precision == Some(Precision::Bf16), || {
        match (method.accumulate, method.chunk) {
            (Some(pieces), _) => accumulated(model, pieces, &batch, &stream),
            (None, Some(chunk)) => model.gradients_by_chunks(&batch, chunk, &stream),
            (None, None) => model.gradients(batch, &Mode::Train(stream)),
        }
    })
}

/// The mean over the items of what each of `pieces` pieces comes to by itself.
fn accumulated(
    model: &Model,
    pieces: usize,
    batch: &Batch,
    stream: &Stream,
) -> Result<(Loss, GradStore)> {
    let (mut terms, mut total) = (Values::new(), None);
    let mut sum: Option<GradStore> = None;
    for (at, items) in shares(batch.items(), pieces).into_iter().enumerate() {
        let mode = Mode::Train(stream.named("piece").at(at as u64));
        let (loss, grads) = model.gradients(batch.piece(&items)?, &mode)?;
        let share = items.len() as f64 / batch.items() as f64;
        total = Some(plus(total, counted(&loss.total)?.affine(share, 0.0)?)?);
        add_values(&mut terms, loss.terms, share)?;
        let grads = scaled(model.params(), grads, share)?;
        match &mut sum {
            None => sum = Some(grads),
            Some(sum) => add(model.params(), sum, &grads)?,
        }
    }
    let (total, sum) = total.zip(sum).expect("a batch has an item");
    Ok((Loss { total, terms }, sum))
}

/// Adds a `share` of values to their sums.
pub(super) fn add_values(sums: &mut Values, found: Values, share: f64) -> Result<()> {
    let is_first = sums.is_empty();
    for (at, (name, value)) in found.into_iter().enumerate() {
        let value = value.affine(share, 0.0)?;
        match is_first {
            true => sums.push((name, value)),
            false => sums[at].1 = (&sums[at].1 + value)?,
        }
    }
    Ok(())
}

/// The gradients of the variables, multiplied by `factor`.
fn scaled(params: &Params, mut grads: GradStore, factor: f64) -> Result<GradStore> {
    for (_, var) in params.vars() {
        if let Some(grad) = grads.remove(&var) {
            grads.insert(&var, grad.affine(factor, 0.0)?);
        }
    }
    Ok(grads)
}

/// Adds the gradients of the variables to those that are there.
pub(super) fn add(params: &Params, sum: &mut GradStore, more: &GradStore) -> Result<()> {
    for (_, var) in params.vars() {
        let Some(more) = more.get(&var) else { continue };
        let both = match sum.remove(&var) {
            Some(own) => (own + more)?,
            None => more.clone(),
        };
        sum.insert(&var, both);
    }
    Ok(())
}

/// Scales the gradients of all variables down to the norm `most` if theirs together is larger, as
/// PyTorch's `clip_grad_norm_` does; gives the norm they had. On a card nothing is read back.
pub fn clip(params: &Params, grads: GradStore, most: f64) -> Result<(GradStore, Tensor)> {
    let vars = params.vars();
    #[cfg(feature = "cuda")]
    if vars.first().is_some_and(|(_, var)| var.device().is_cuda()) {
        return clip_on_card(&vars, grads, most);
    }
    let squares = vars.iter().filter_map(|(_, var)| grads.get(var)).map(squared_norm);
    let norm = squares.sum::<Result<f64>>()?.sqrt();
    let factor = most / (norm + 1e-6);
    let grads = if factor < 1.0 { scaled(params, grads, factor)? } else { grads };
    Ok((grads, Tensor::new(norm, &Device::Cpu)?))
}

#[cfg(feature = "cuda")]
fn clip_on_card(
    vars: &[(String, Var)],
    mut grads: GradStore,
    most: f64,
) -> Result<(GradStore, Tensor)> {
    let with_gradient: Vec<_> = vars.iter().filter(|(_, var)| grads.get(var).is_some()).collect();
    let own: Vec<Tensor> = with_gradient.iter().filter_map(|(_, var)| grads.remove(var)).collect();
    let (bounded, norm) = crate::kernel::bounded_on_card(&own, most)?;
    for ((_, var), grad) in with_gradient.into_iter().zip(bounded) {
        grads.insert(var, grad);
    }
    Ok((grads, norm))
}
