//! What a training will see, to look at: images as evaluations see them, beside their views.

use candle_core::Result;

use super::batch::Transforms;
use super::groups::Groups;
use super::order::Order;
use super::pool::Pool;
use crate::catalog::ImageShape;
use crate::library::Library;
use crate::library::augment::{Image, Mix, before};
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
    /// What its views are mixed with, if they are: the other image, its fine class, and the share
    /// that is this image's own.
    pub mixed: Option<(u32, u32, f64)>,
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
        let groups = Groups::unknown(stage, pool);
        let mut order = Order::new(stage, library, pool, &groups.train);
        let items = (0..stage.steps_per_epoch).flat_map(|step| {
            let (items, mix) = (order.step(step).items, transforms.mix(step));
            let others = before(&items).into_iter().map(move |other| Some((mix?, other)));
            items.into_iter().zip(others).collect::<Vec<_>>()
        });
        let shown = |(item, mixed): (u32, Option<(Mix, u32)>)| -> Result<Previewed> {
            let untouched = transforms.shown(pool, (item, None), None);
            let views = (0..views).map(|view| transforms.shown(pool, (item, Some(view)), mixed));
            let images = std::iter::once(untouched).chain(views);
            let fine = |item: u32| pool.fine[item as usize];
            let images = images.map(|image| Ok(bytes(&image?))).collect::<Result<_>>()?;
            let mixed = mixed.map(|(mix, other)| (other, fine(other), mix.own));
            Ok(Previewed { item, fine: fine(item), mixed, images })
        };
        let rows = items.take(rows).map(shown).collect::<Result<_>>()?;
        Ok(Self { shape: stage.image(), rows })
    }
}

fn bytes(image: &Image) -> Vec<u8> {
    image.values.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect()
}
