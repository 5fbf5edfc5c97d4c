//! Batches of noise for a planned training: shared by the tests that count what a step takes.

use balance::graph::Batch;
use balance::plan::Stage;
use balance::seed::Stream;
use candle_core::{Device, Tensor};

/// A full batch with every class in it; `is_clean` asks for the images without random changes too.
pub fn batch(stage: &Stage, is_clean: bool) -> Batch {
    let classes = stage.data.classes.of_fine.len();
    Batch {
        images: images(stage, stage.views * stage.batch),
        clean: is_clean.then(|| images(stage, stage.batch)),
        fine: (0..stage.batch).map(|item| (item % classes) as u32).collect(),
        groups: Vec::new(),
        views: stage.views,
        mixed: None,
    }
}

/// `rows` images in the shape of the stage's, [rows, height, width, channels].
pub fn images(stage: &Stage, rows: usize) -> Tensor {
    let image = stage.data.image;
    let mut stream = Stream::new(1);
    let values: Vec<f32> = (0..rows * image.size()).map(|_| stream.normal() as f32).collect();
    let shape = (rows, image.height, image.width, image.channels);
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}
