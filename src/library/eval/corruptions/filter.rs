//! Blurs, and fewer pixels.

use crate::catalog::ImageShape;

/// Standard deviations at which a Gaussian is cut off, as in scikit-image.
const TRUNCATE: f64 = 4.0;

/// A Gaussian blur; the border goes on as it is at its end.
pub(super) fn gaussian(values: &mut [f64], shape: ImageShape, sigma: f64) {
    let reach = (TRUNCATE * sigma + 0.5) as usize;
    let kernel = bell(reach, sigma);
    let nearest = |at: isize, length: usize| at.clamp(0, length as isize - 1) as usize;
    let ImageShape { height, width, .. } = shape;
    let across = |y: usize, x: usize, tap: usize| {
        (y, nearest(x as isize + tap as isize - reach as isize, width))
    };
    let down = |y: usize, x: usize, tap: usize| {
        (nearest(y as isize + tap as isize - reach as isize, height), x)
    };
    filter(values, shape, &kernel, down);
    filter(values, shape, &kernel, across);
}

/// The blur of a disk whose edge is smoothed; the image is mirrored at its border, which is not
/// repeated.
pub(super) fn defocused(values: &mut [f64], shape: ImageShape, (radius, smooth): (f64, f64)) {
    // The disk, and one pixel more on each side for its smooth edge.
    let reach = radius.floor() as isize + 1;
    let side = (2 * reach + 1) as usize;
    let place = |at: usize| (at / side) as isize - reach;
    let across = |at: usize| (at % side) as isize - reach;
    let is_inside = |y: isize, x: isize| ((y * y + x * x) as f64) <= radius * radius;
    let disk = |y: isize, x: isize| if is_inside(y, x) { 1.0 } else { 0.0 };
    let edge = bell(1, smooth);
    let smoothed = |at: usize| -> f64 {
        let taps = (0..9).map(|tap| {
            let (dy, dx) = (tap / 3, tap % 3);
            let (y, x) = (place(at) + dy as isize - 1, across(at) + dx as isize - 1);
            edge[dy] * edge[dx] * disk(y, x)
        });
        taps.sum()
    };
    let mut kernel: Vec<f64> = (0..side * side).map(smoothed).collect();
    let sum: f64 = kernel.iter().sum();
    kernel.iter_mut().for_each(|it| *it /= sum);
    let ImageShape { height, width, .. } = shape;
    filter(values, shape, &kernel, |y, x, tap| {
        let (y, x) = (y as isize + place(tap), x as isize + across(tap));
        (mirrored(y, height), mirrored(x, width))
    });
}

/// Fewer pixels, a share of them along each side, as Pillow's `resize` with `BOX` there and back.
pub(super) fn boxed(values: &mut [f64], shape: ImageShape, share: f64) {
    let ImageShape { height, width, channels } = shape;
    let fewer = |side: usize| ((side as f64 * share) as usize).max(1);
    let bytes: Vec<f64> = values.iter().map(|x| (x * 255.0).round()).collect();
    let small = resized(&bytes, shape, (fewer(height), fewer(width)));
    let shape = ImageShape { height: fewer(height), width: fewer(width), channels };
    let large = resized(&small, shape, (height, width));
    values.iter_mut().zip(large).for_each(|(to, byte)| *to = (byte + 0.25) / 255.0);
}

/// Bytes of another size: first each row, then each column, rounded both times.
fn resized(bytes: &[f64], shape: ImageShape, (height, width): (usize, usize)) -> Vec<f64> {
    let ImageShape { height: rows, width: columns, channels } = shape;
    let mut wide = Vec::with_capacity(rows * width * channels);
    let (across, down) = (parts(columns, width), parts(rows, height));
    for y in 0..rows {
        for part in &across {
            for channel in 0..channels {
                wide.push(mean(
                    part.clone().map(|x| bytes[(y * columns + x) * channels + channel]),
                ));
            }
        }
    }
    let row = width * channels;
    let column = |part: &std::ops::Range<usize>| {
        let part = part.clone();
        (0..row).map(|at| mean(part.clone().map(|y| wide[y * row + at]))).collect::<Vec<_>>()
    };
    down.iter().flat_map(column).collect()
}

/// The pixels of `from` that each of `to` covers with its box.
fn parts(from: usize, to: usize) -> Vec<std::ops::Range<usize>> {
    let scale = from as f64 / to as f64;
    let wide = scale.max(1.0);
    let part = |at: usize| {
        let centre = (at as f64 + 0.5) * scale;
        let first = ((centre - 0.5 * wide + 0.5) as usize).min(from - 1);
        let end = ((centre + 0.5 * wide + 0.5) as usize).min(from);
        // A pixel counts whose middle lies in the box, the upper end included.
        let is_inside = |x: &usize| {
            let offset = (*x as f64 + 0.5 - centre) / wide;
            offset > -0.5 && offset <= 0.5
        };
        let inside: Vec<usize> = (first..end).filter(is_inside).collect();
        match (inside.first(), inside.last()) {
            (Some(first), Some(last)) => *first..last + 1,
            _ => first..first + 1,
        }
    };
    (0..to).map(part).collect()
}

/// The mean of bytes, as a byte.
fn mean(bytes: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = bytes.fold((0.0, 0.0), |(sum, count), it| (sum + it, count + 1.0));
    (sum / count + 0.5f64).floor()
}

/// Each pixel becomes the sum of those that `place` names for it, one for each weight.
fn filter(
    values: &mut [f64],
    shape: ImageShape,
    weights: &[f64],
    place: impl Fn(usize, usize, usize) -> (usize, usize),
) {
    let ImageShape { height, width, channels } = shape;
    let before = values.to_vec();
    for y in 0..height {
        for x in 0..width {
            let pixel = &mut values[(y * width + x) * channels..][..channels];
            pixel.fill(0.0);
            for (tap, weight) in weights.iter().enumerate() {
                let (y, x) = place(y, x, tap);
                let from = &before[(y * width + x) * channels..][..channels];
                pixel.iter_mut().zip(from).for_each(|(sum, it)| *sum += weight * it);
            }
        }
    }
}

/// A place inside, mirrored at the borders as often as needed.
fn mirrored(at: isize, length: usize) -> usize {
    let period = (2 * length as isize - 2).max(1);
    let inside = at.rem_euclid(period) as usize;
    if inside < length { inside } else { period as usize - inside }
}

/// Weights of a Gaussian that sum to one.
fn bell(reach: usize, sigma: f64) -> Vec<f64> {
    let weight = |at: usize| (-0.5 * ((at as f64 - reach as f64) / sigma).powi(2)).exp();
    let sum: f64 = (0..=2 * reach).map(weight).sum();
    (0..=2 * reach).map(|at| weight(at) / sum).collect()
}
