//! Images of a batch mixed: what comes after every image has had its own transforms.

use super::Crop;
use crate::catalog::ImageShape;

/// How the images of a batch are mixed, each with the one before it and the first with the last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// How much of an image is its own; the rest is of the one before it.
    pub own: f64,
    /// The pixels that are of the one before it; without an area all are means of both.
    pub area: Option<Crop>,
}

impl Mix {
    /// Means of the two, pixel by pixel.
    pub fn blended(own: f64) -> Self {
        Self { own, area: None }
    }

    /// A box of the one before it, of the form of images of `shape`, round the pixel in this column
    /// and row; it leaves the share `own`, or more where it is cut off.
    pub fn pasted(own: f64, (column, row): (usize, usize), shape: ImageShape) -> Self {
        let half = 0.5 * (1.0 - own).sqrt();
        let span = |centre: usize, length: usize| {
            let half = (half * length as f64) as usize;
            (centre.saturating_sub(half), (centre + half).min(length))
        };
        let (left, right) = span(column, shape.width);
        let (top, bottom) = span(row, shape.height);
        let area = Crop { top, left, height: bottom - top, width: right - left };
        let share = (area.height * area.width) as f64 / (shape.height * shape.width) as f64;
        Self { own: 1.0 - share, area: Some(area) }
    }

    /// Mixes `before` into one image of `shape`.
    pub fn one(&self, image: &mut [f32], before: &[f32], shape: ImageShape) {
        let Some(area) = self.area else {
            // Each factor is rounded before it multiplies, as PyTorch does.
            let (own, other) = (self.own as f32, (1.0 - self.own) as f32);
            for (value, before) in image.iter_mut().zip(before) {
                *value = before * other + *value * own;
            }
            return;
        };
        for row in area.top..area.top + area.height {
            let start = (row * shape.width + area.left) * shape.channels;
            let pixels = start..start + area.width * shape.channels;
            image[pixels.clone()].copy_from_slice(&before[pixels]);
        }
    }

    /// Mixes images of `shape` that follow each other.
    pub fn all(&self, images: &mut [f32], shape: ImageShape) {
        let size = shape.size();
        let Some(last) = images.len().checked_sub(size) else { return };
        let last = images[last..].to_vec();
        // From the end, so that the one before is still as it was.
        for at in (1..images.len() / size).rev() {
            let (before, own) = images.split_at_mut(at * size);
            self.one(&mut own[..size], &before[(at - 1) * size..], shape);
        }
        self.one(&mut images[..size], &last, shape);
    }
}

/// What stands before each of `items`, the last before the first.
pub fn before<T: Copy>(items: &[T]) -> Vec<T> {
    let mut items = items.to_vec();
    let by = items.len().min(1);
    items.rotate_right(by);
    items
}
