//! Images of a pool as tensors: augmented views for training, untouched ones for evaluation.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use super::pool::Pool;
use crate::catalog::ImageShape;
use crate::graph::{Batch, stage_stream};
use crate::library::augment::{Augment, Image};
use crate::library::{self, Library};
use crate::plan::Stage;
use crate::seed::Stream;

/// The transforms of a stage, ready to be applied.
pub struct Transforms {
    steps: Vec<(String, Box<dyn Augment>)>,
    views: usize,
    /// The address of augmentation: seed and stage.
    stream: Stream,
    clean: bool,
}

/// Images per parallel piece; fixed, though every image has its own stream anyway.
const PIECE: usize = 8;

impl Transforms {
    /// The transforms of `stage`; `clean` asks for the images without random ones as well.
    pub fn new(stage: &Stage, library: &Library, clean: bool) -> Self {
        let steps = stage
            .augment
            .iter()
            .map(|named| (named.name.clone(), library::build(&library.augments, &named.call)));
        let stream = stage_stream(stage, "augment");
        Self { steps: steps.collect(), views: stage.views, stream, clean }
    }

    /// The batch of `items` (indices into the pool) in `epoch`, each drawn `again` so many times
    /// before.
    pub fn batch(
        &self,
        pool: &Pool,
        (items, again): (&[u32], &[u32]),
        epoch: usize,
        device: &Device,
    ) -> Result<Batch> {
        let images = self.render(pool, items, self.views, device, |at, view| {
            let stream = self.stream.at(epoch as u64).at(u64::from(items[at])).at(view as u64);
            Some(if again[at] == 0 { stream } else { stream.at(u64::from(again[at])) })
        })?;
        let clean = match self.clean {
            true => Some(self.untouched(pool, items, device)?),
            false => None,
        };
        let fine = items.iter().map(|item| pool.fine[*item as usize]).collect();
        Ok(Batch { images, clean, fine, views: self.views })
    }

    /// The images of `items` with the fixed transforms only.
    pub fn untouched(&self, pool: &Pool, items: &[u32], device: &Device) -> Result<Tensor> {
        self.render(pool, items, 1, device, |_, _| None)
    }

    /// One augmented view of `items`, drawn from `stream` (addressed by epoch) and each item.
    pub fn augmented(
        &self,
        pool: &Pool,
        items: &[u32],
        stream: &Stream,
        device: &Device,
    ) -> Result<Tensor> {
        self.render(pool, items, 1, device, |at, _| Some(stream.at(u64::from(items[at]))))
    }

    /// Rows `view * items + item`, each from the stream of its place in `items` and its view; an
    /// image without one gets the fixed transforms only.
    fn render(
        &self,
        pool: &Pool,
        items: &[u32],
        views: usize,
        device: &Device,
        stream: impl Fn(usize, usize) -> Option<Stream> + Sync,
    ) -> Result<Tensor> {
        let shape = self.steps.iter().fold(pool.shape, |shape, (_, step)| step.output(shape));
        let mut values = vec![0f32; views * items.len() * shape.size()];
        values.par_chunks_mut(PIECE * shape.size()).enumerate().for_each(|(piece, rows)| {
            for (row_at, row) in rows.chunks_exact_mut(shape.size()).enumerate() {
                let row_index = piece * PIECE + row_at;
                let (view, at) = (row_index / items.len(), row_index % items.len());
                row.copy_from_slice(&self.image(pool, items[at], stream(at, view)).values);
            }
        });
        let ImageShape { height, width, channels } = shape;
        Tensor::from_vec(values, (views * items.len(), height, width, channels), device)
    }

    fn image(&self, pool: &Pool, item: u32, stream: Option<Stream>) -> Image {
        let values = pool.image(item).iter().map(|byte| f32::from(*byte) / 255.0).collect();
        let mut image = Image { shape: pool.shape, values };
        for (name, step) in &self.steps {
            match &stream {
                Some(stream) => step.apply(&mut image, &pool.stats, stream.named(name)),
                None if !step.is_random() => {
                    step.apply(&mut image, &pool.stats, self.stream.clone());
                }
                None => {}
            }
        }
        image
    }
}
