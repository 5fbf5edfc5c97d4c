//! What a training will see, to look at: images as evaluations see them, beside their views.

use candle_core::Result;

use super::batch::Transforms;
use super::order::Order;
use super::pool::Pool;
use crate::catalog::ImageShape;
use crate::library::Library;
use crate::library::augment::Image;
use crate::plan::Stage;

/// The first images of a training, with their views of the first epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    pub shape: ImageShape,
    pub rows: Vec<Previewed>,
}

/// One image of a [`Preview`].
#[derive(Debug, Clone, PartialEq)]
pub struct Previewed {
    /// Its place in the dataset.
    pub item: u32,
    /// Its fine class.
    pub fine: u32,
    /// As evaluations see it, and then each view; bytes, normalisation undone.
    pub images: Vec<Vec<u8>>,
}

impl Preview {
    /// The first `rows` images that `stage` trains on, with `views` of each. The first views are
    /// those that training computes with.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn of(
        stage: &Stage,
        library: &Library,
        pool: &Pool,
        (rows, views): (usize, usize),
    ) -> Result<Self> {
        let transforms = Transforms::new(stage, library, false);
        let mut order = Order::new(stage, library, pool);
        let items = (0..stage.steps_per_epoch).flat_map(|step| order.step(step).items).take(rows);
        let shown = |item: u32| -> Result<Previewed> {
            let untouched = transforms.shown(pool, item, None);
            let views = (0..views).map(|view| transforms.shown(pool, item, Some(view)));
            let images = std::iter::once(untouched).chain(views);
            let fine = pool.fine[item as usize];
            let images = images.map(|image| Ok(bytes(&image?))).collect::<Result<_>>()?;
            Ok(Previewed { item, fine, images })
        };
        Ok(Self { shape: stage.image(), rows: items.map(shown).collect::<Result<_>>()? })
    }
}

fn bytes(image: &Image) -> Vec<u8> {
    image.values.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect()
}
