//! Images of a pool as tensors: augmented views for training, untouched ones for evaluation.
//!
//! They are made on the CPU, and a card is given what they have become; except where all that was
//! drawn for a batch is within a [`Pass`], and no images are mixed: then the card makes them itself,
//! to the same numbers but for rounding.

#[cfg(feature = "cuda")]
mod painted;
mod prepared;

use candle_core::{Device, Error, Result, Tensor};
use rayon::prelude::*;

use super::order::Drawing;
use super::pool::Pool;
use crate::catalog::{ImageShape, Port};
use crate::graph::{Batch, stage_stream};
use crate::library::augment::{Augment, Image, Mix, Pass, before};
use crate::library::eval::Change;
use crate::library::loss::Mixed;
use crate::library::{self, Library};
use crate::plan::Stage;
use crate::seed::Stream;

use prepared::Images;
pub use prepared::Prepared;

/// The transforms of a stage, ready to be applied.
pub struct Transforms {
    steps: Vec<Step>,
    /// What they make of an image.
    shape: ImageShape,
    views: usize,
    /// The address of augmentation: seed and stage.
    stream: Stream,
    clean: bool,
}

struct Step {
    name: String,
    fixed: bool,
    /// Whether it mixes the images of a batch, and leaves single ones alone.
    mixes: bool,
    augment: Box<dyn Augment>,
}

/// Images per parallel piece; fixed, though every image has its own stream anyway.
const PIECE: usize = 8;

impl Transforms {
    /// The transforms of `stage`; `clean` asks for the images without random ones as well.
    pub fn new(stage: &Stage, library: &Library, clean: bool) -> Self {
        let steps = stage.augment.iter().map(|named| Step {
            name: named.name.clone(),
            fixed: named.call.spec.fixed,
            mixes: named.call.needs(Port::Batch),
            augment: library::build(&library.augments, &named.call),
        });
        Self {
            steps: steps.collect(),
            shape: stage.image(),
            views: stage.views,
            stream: stage_stream(stage, "augment"),
            clean,
        }
    }

    /// The batch of what was drawn for a step.
    pub fn batch(&self, pool: &Pool, drawing: &Drawing, device: &Device) -> Result<Batch> {
        self.prepared(pool, drawing, device)?.held()
    }

    /// The same as far as it is made ahead of the step.
    pub fn prepared(&self, pool: &Pool, drawing: &Drawing, device: &Device) -> Result<Prepared> {
        let Drawing { step, epoch, items, again, groups } = drawing;
        let mix = self.mix(*step);
        let images =
            self.drafted((pool, device), items, self.views, mix.as_ref(), |at, view| {
                let stream = self.address(*epoch, items[at], view);
                Some(if again[at] == 0 { stream } else { stream.at(u64::from(again[at])) })
            })?;
        let clean = match self.clean {
            true => Some(self.drafted((pool, device), items, 1, mix.as_ref(), |_, _| None)?),
            false => None,
        };
        let fine: Vec<u32> = items.iter().map(|item| pool.observed[*item as usize]).collect();
        Ok(Prepared {
            images,
            clean,
            mixed: mix.map(|mix| Mixed { own: mix.own, others: before(&fine) }),
            fine,
            groups: groups.clone(),
            views: self.views,
        })
    }

    /// How the images of the batch of a step are mixed, if they are.
    pub fn mix(&self, step: usize) -> Option<Mix> {
        let mixer = self.steps.iter().find(|step| step.mixes)?;
        mixer.augment.mix(self.shape, self.stream.named(&mixer.name).at(step as u64))
    }

    /// The images of `items` with the fixed transforms only.
    pub fn untouched(&self, pool: &Pool, items: &[u32], device: &Device) -> Result<Tensor> {
        self.drafted((pool, device), items, 1, None, |_, _| None)?.held()
    }

    /// The images of `items` with the fixed transforms only, each changed before them.
    pub fn changed(
        &self,
        pool: &Pool,
        items: &[u32],
        change: &Change,
        device: &Device,
    ) -> Result<Tensor> {
        let size = self.shape.size();
        let mut values = vec![0f32; items.len() * size];
        values.par_chunks_mut(size).zip(items).try_for_each(|(row, item)| {
            let mut image = raw(pool, *item)?;
            change(&mut image, *item);
            row.copy_from_slice(&self.transformed(image, pool, None).values);
            Ok::<_, Error>(())
        })?;
        self.tensor(values, device)
    }

    /// One augmented view of `items`, drawn from `stream` (addressed by epoch) and each item.
    pub fn augmented(
        &self,
        pool: &Pool,
        items: &[u32],
        stream: &Stream,
        device: &Device,
    ) -> Result<Tensor> {
        let stream = |at: usize, _| Some(stream.at(u64::from(items[at])));
        self.drafted((pool, device), items, 1, None, stream)?.held()
    }

    /// The rows of [`Transforms::render`] on a device, each view mixed if it is to be; or what it is to
    /// paint for them.
    fn drafted(
        &self,
        (pool, device): (&Pool, &Device),
        items: &[u32],
        views: usize,
        mix: Option<&Mix>,
        stream: impl Fn(usize, usize) -> Option<Stream> + Sync,
    ) -> Result<Images> {
        #[cfg(feature = "cuda")]
        if mix.is_none()
            && let Some(drawn) = self.to_paint((pool, device), items, views, &stream)?
        {
            return Ok(Images::Drawn(drawn));
        }
        let mut images = self.render(pool, items, views, stream)?;
        if let Some(mix) = mix {
            let size = items.len() * self.shape.size();
            images.chunks_exact_mut(size).for_each(|view| mix.all(view, self.shape));
        }
        self.tensor(images, device).map(Images::Made)
    }

    /// Rows `view * items + item`, each from the stream of its place in `items` and its view; an
    /// image without one gets the fixed transforms only.
    fn render(
        &self,
        pool: &Pool,
        items: &[u32],
        views: usize,
        stream: impl Fn(usize, usize) -> Option<Stream> + Sync,
    ) -> Result<Vec<f32>> {
        let size = self.shape.size();
        let mut values = vec![0f32; views * items.len() * size];
        let mut rows: Vec<_> = values
            .chunks_mut(items.len() * size)
            .map(|view| view.chunks_mut(PIECE * size))
            .collect();
        let pieces: Vec<Vec<&mut [f32]>> = (0..items.len().div_ceil(PIECE))
            .map(|_| rows.iter_mut().filter_map(Iterator::next).collect())
            .collect();
        pieces.into_par_iter().enumerate().try_for_each_init(Pass::default, |pass, piece| {
            let (piece, mut views) = piece;
            for (row, item) in items[piece * PIECE..].iter().take(PIECE).enumerate() {
                pass.read(&pool.image(*item)?, pool.shape);
                for (view, rows) in views.iter_mut().enumerate() {
                    let out = &mut rows[row * size..][..size];
                    self.paint(pass, pool, stream(piece * PIECE + row, view).as_ref(), out);
                }
            }
            Ok::<_, Error>(())
        })?;
        Ok(values)
    }

    /// A view of the image that `pass` has read: the first transforms in that pass, and from the
    /// first on that it cannot do, one after the other.
    fn paint(&self, pass: &mut Pass, pool: &Pool, stream: Option<&Stream>, out: &mut [f32]) {
        pass.begin();
        let together = self.steps.iter().take_while(|step| {
            let Some(stream) = self.drawing(step, stream) else { return true };
            pass.takes(&*step.augment, &pool.stats, stream)
        });
        let rest = &self.steps[together.count()..];
        if rest.is_empty() {
            return pass.paint(out);
        }
        let mut image = pass.image();
        self.apply(rest, &mut image, pool, stream);
        out.copy_from_slice(&image.values);
    }

    fn tensor(&self, images: Vec<f32>, device: &Device) -> Result<Tensor> {
        let ImageShape { height, width, channels } = self.shape;
        let rows = images.len() / self.shape.size();
        Tensor::from_vec(images, (rows, height, width, channels), device)
    }

    /// Where the random numbers of one view are.
    fn address(&self, epoch: usize, item: u32, view: usize) -> Stream {
        self.stream.at(epoch as u64).at(u64::from(item)).at(view as u64)
    }

    /// One image, as training sees that view of it in the first epoch or as evaluations do; values
    /// are brought back to 0..=1. In training it may be mixed with that view of another image.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn shown(
        &self,
        pool: &Pool,
        (item, view): (u32, Option<usize>),
        mixed: Option<(Mix, u32)>,
    ) -> Result<Image> {
        let seen = |item| self.image(pool, item, view.map(|view| self.address(0, item, view)));
        let mut image = seen(item)?;
        if let Some((mix, before)) = mixed.filter(|_| view.is_some()) {
            mix.one(&mut image.values, &seen(before)?.values, self.shape);
        }
        for step in self.steps.iter().rev().filter(|step| view.is_some() || step.fixed) {
            step.augment.undo(&mut image, &pool.stats);
        }
        Ok(image)
    }

    fn image(&self, pool: &Pool, item: u32, stream: Option<Stream>) -> Result<Image> {
        Ok(self.transformed(raw(pool, item)?, pool, stream))
    }

    fn transformed(&self, mut image: Image, pool: &Pool, stream: Option<Stream>) -> Image {
        self.apply(&self.steps, &mut image, pool, stream.as_ref());
        image
    }

    /// Applies `steps` one after the other.
    fn apply(&self, steps: &[Step], image: &mut Image, pool: &Pool, stream: Option<&Stream>) {
        for step in steps {
            if let Some(stream) = self.drawing(step, stream) {
                step.augment.apply(image, &pool.stats, stream);
            }
        }
    }

    /// What `step` draws from for an image, if it applies to it.
    fn drawing(&self, step: &Step, stream: Option<&Stream>) -> Option<Stream> {
        match stream {
            Some(stream) => Some(stream.named(&step.name)),
            None => step.fixed.then(|| self.stream.clone()),
        }
    }
}

/// An image as it is stored.
fn raw(pool: &Pool, item: u32) -> Result<Image> {
    let bytes = pool.image(item)?;
    let values = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
    Ok(Image { shape: pool.shape, values })
}
