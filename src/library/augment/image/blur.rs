//! Blurring.

use super::Image;
use crate::catalog::ImageShape;

impl Image {
    /// Blurs it with a Gaussian of standard deviation `sigma`, cut off at `kernel` pixels; the image
    /// is mirrored at its border.
    ///
    /// # Panics
    /// When half of the kernel is as long as a side of the image.
    pub fn blur(&mut self, kernel: usize, sigma: f64) {
        let weights = gaussian(kernel, sigma);
        let across = self.blurred_rows(&weights);
        let row = self.shape.width * self.shape.channels;
        let reach = kernel / 2;
        for (y, out) in self.values.chunks_exact_mut(row).enumerate() {
            out.fill(0.0);
            for (at, weight) in weights.iter().enumerate() {
                let y = mirrored(y + at, reach, self.shape.height);
                add(out, *weight, &across[y * row..][..row]);
            }
        }
    }

    fn blurred_rows(&self, weights: &[f32]) -> Vec<f32> {
        let ImageShape { width, channels, .. } = self.shape;
        let (row, reach) = (width * channels, weights.len() / 2);
        let mut padded = vec![0.0; (width + 2 * reach) * channels];
        let mut values = vec![0.0; self.values.len()];
        for (from, out) in self.values.chunks_exact(row).zip(values.chunks_exact_mut(row)) {
            for (x, pixel) in padded.chunks_exact_mut(channels).enumerate() {
                let x = mirrored(x, reach, width);
                pixel.copy_from_slice(&from[x * channels..][..channels]);
            }
            for (at, weight) in weights.iter().enumerate() {
                add(out, *weight, &padded[at * channels..][..row]);
            }
        }
        values
    }
}

fn add(sums: &mut [f32], weight: f32, values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += weight * value;
    }
}

/// The position that `at`, counted from `reach` before the first, mirrors; the border itself is not
/// repeated.
fn mirrored(at: usize, reach: usize, length: usize) -> usize {
    let inside = at.abs_diff(reach);
    if at >= reach && inside >= length { 2 * (length - 1) - inside } else { inside }
}

/// Weights that sum to one.
fn gaussian(kernel: usize, sigma: f64) -> Vec<f32> {
    let middle = (kernel as f64 - 1.0) / 2.0;
    let weight = |at: usize| (-0.5 * ((at as f64 - middle) / sigma).powi(2)).exp();
    let sum: f64 = (0..kernel).map(weight).sum();
    (0..kernel).map(|at| (weight(at) / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_are_mirrored_without_their_pixel() {
        let places: Vec<usize> = (0..9).map(|at| mirrored(at, 2, 5)).collect();
        assert_eq!(places, [2, 1, 0, 1, 2, 3, 4, 3, 2]);
    }

    #[test]
    fn a_flat_image_stays_flat() {
        let shape = ImageShape { height: 4, width: 5, channels: 2 };
        let mut image = Image { shape, values: vec![0.25; shape.size()] };
        image.blur(5, 1.3);
        assert!(image.values.iter().all(|it| (it - 0.25).abs() < 1e-6));
    }

    #[test]
    fn an_extremely_small_sigma_leaves_the_image_alone() {
        let shape = ImageShape { height: 3, width: 3, channels: 1 };
        let values: Vec<f32> = (0..9).map(|it| it as f32).collect();
        let mut image = Image { shape, values: values.clone() };
        image.blur(3, 1e-3);
        assert_eq!(image.values, values);
    }
}
