//! The gradient of a batch larger than memory, exactly (Gao et al., 2021, "GradCache").
//!
//! The embeddings of the whole batch are computed in chunks and nothing else of them is kept; the
//! loss of all and its gradient at each embedding follow; then each chunk is passed through again,
//! with the same random numbers, and takes the gradient of its embeddings back. What is held at once
//! is one chunk and the embeddings.

use std::ops::Range;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

use super::gradient::{add, add_values};
use super::pieces::rows;
use super::{Batch, Loss, Model, Values, Which, counted, plus, shares};
use crate::kernel::{gradients, without_gradients};
use crate::nn::Mode;
use crate::seed::Stream;

impl Model {
    /// The loss of `batch` and its gradients, no more than `chunk` items passed through at once;
    /// what is random comes from `stream`, an address for each chunk.
    ///
    /// # Errors
    /// Those of [`Model::gradients`].
    pub fn gradients_by_chunks(
        &self,
        batch: &Batch,
        chunk: usize,
        stream: &Stream,
    ) -> Result<(Loss, GradStore)> {
        let chunks = shares(batch.items(), batch.items().div_ceil(chunk.max(1)));
        let kept = self.buffers()?;
        let mode = |at: usize| -> Result<Mode> {
            kept.rewind()?;
            Ok(Mode::Train(stream.named("chunk").at(at as u64)))
        };
        let embedding = Var::from_tensor(&self.embedded(batch, &chunks, &mode)?)?;
        let mut terms = Vec::new();
        let (others, mut grads) = self.others(&embedding, batch, stream, &mut terms)?;
        let at_embedding = grads.remove(&embedding);
        let mut means = Values::new();
        for (at, items) in chunks.iter().enumerate() {
            let share = items.len() as f64 / batch.items() as f64;
            let slope = at_embedding.as_ref();
            let slope =
                slope.map(|it| rows(it, (batch.items(), batch.views), items)).transpose()?;
            let mut found = Vec::new();
            let (_, more) = gradients(|| {
                let piece = batch.piece(items)?;
                let (sum, values) = self.chunk(piece, &mode(at)?, slope.as_ref(), share)?;
                found = values;
                Ok(sum)
            })?;
            add_values(&mut means, found, share)?;
            add(&self.params, &mut grads, &more)?;
        }
        let mut total = counted(&others)?;
        if let Some(means) = self.weighted_means(&means)? {
            total = (total + means)?;
        }
        terms.extend(means);
        let terms = self.in_order(terms);
        Ok((Loss { total, terms }, grads))
    }

    /// The sum of terms that are means, each times its weight.
    fn weighted_means(&self, means: &Values) -> Result<Option<Tensor>> {
        let mut sum = None;
        for (name, value) in means {
            let Some(single) = self.singles.iter().find(|it| it.name == *name) else { continue };
            sum = Some(plus(sum, value.affine(single.weight.now(), 0.0)?)?);
        }
        Ok(sum)
    }

    /// The embeddings of the whole batch, row `view * items + item`.
    fn embedded(
        &self,
        batch: &Batch,
        chunks: &[Range<usize>],
        mode: &dyn Fn(usize) -> Result<Mode>,
    ) -> Result<Tensor> {
        let mut found = Vec::new();
        for (at, items) in chunks.iter().enumerate() {
            let images = batch.piece(items)?.images;
            let mode = mode(at)?;
            let rows = without_gradients(|| self.encoded(&images, &mode))?.detach();
            found.push((rows, items.len()));
        }
        let of_view = |view: usize| {
            found.iter().map(move |(rows, items)| rows.narrow(0, view * items, *items))
        };
        let all: Vec<Tensor> = (0..batch.views).flat_map(of_view).collect::<Result<_>>()?;
        Tensor::cat(&all, 0)
    }

    /// The terms that need all of a batch: their sum, and its gradients at the embeddings and at
    /// what they train of their own.
    fn others(
        &self,
        embedding: &Var,
        batch: &Batch,
        stream: &Stream,
        terms: &mut Values,
    ) -> Result<(Tensor, GradStore)> {
        gradients(|| {
            let (images, clean) = (batch.images.clone(), batch.clean.clone());
            let (fine, mixed) = (batch.fine.clone(), batch.mixed.clone());
            let groups = batch.groups.clone();
            let whole = Batch { images, clean, fine, groups, views: batch.views, mixed };
            let embedding = embedding.as_tensor().clone();
            let mode = Mode::Train(stream.clone());
            let zero = embedding.zeros_like()?.sum_all()?;
            let (sum, values) = self.terms(embedding, whole, &mode, Which::Others)?;
            *terms = values;
            Ok(sum.unwrap_or(zero))
        })
    }

    /// A number whose gradients are those that a chunk adds to the whole: of its embeddings along
    /// `slope`, and of the terms that are means, of which it has a `share`; with these terms' values.
    fn chunk(
        &self,
        piece: Batch,
        mode: &Mode,
        slope: Option<&Tensor>,
        share: f64,
    ) -> Result<(Tensor, Values)> {
        let embedding = self.encoded(&piece.images, mode)?;
        let along = slope.map(|slope| (&embedding * slope)?.sum_all()).transpose()?;
        let (means, values) = self.terms(embedding, piece, mode, Which::Means)?;
        let means = means.map(|means| means.affine(share, 0.0)).transpose()?;
        let sum = match (along, means) {
            (Some(along), Some(means)) => (along + means)?,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => unreachable!("the check made sure of a term"),
        };
        Ok((sum, values))
    }

    /// What the layers of the encoder keep besides their variables, as it is now. A projector sees
    /// the batch once, and whole.
    fn buffers(&self) -> Result<Kept> {
        let copy = |(_, var): (String, Var)| {
            let value = var.as_detached_tensor().copy()?;
            Ok((var, value))
        };
        let buffers = self.params.buffers().into_iter();
        let of_encoder = buffers.filter(|(name, _)| name.starts_with("encoder."));
        of_encoder.map(copy).collect::<Result<_>>().map(Kept)
    }

    /// Values in the order of [`Model::term_names`].
    fn in_order(&self, mut values: Values) -> Values {
        let names = self.term_names();
        values.sort_by_key(|(name, _)| names.iter().position(|it| it == name));
        values
    }
}

/// What layers kept before a step: each chunk begins with it, as the whole batch would, and leaves
/// what a step leaves.
struct Kept(Vec<(Var, Tensor)>);

impl Kept {
    fn rewind(&self) -> Result<()> {
        self.0.iter().try_for_each(|(var, value)| var.set(value))
    }
}
