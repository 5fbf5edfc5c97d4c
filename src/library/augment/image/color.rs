//! Colours: brightness, contrast, saturation, hue, and none.

use super::Image;

/// A change of all colours of an image, as torchvision makes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// Times a factor.
    Brightness(f32),
    /// Away from the mean luminance, or towards it, by a factor.
    Contrast(f32),
    /// Away from each pixel's own luminance, or towards it, by a factor; of three channels alone.
    Saturation(f32),
    /// Around the colour circle by a share of it; of three channels alone.
    Hue(f32),
}

impl Image {
    /// Makes `changes` one after the other; values are cut to [0, 1] after each.
    pub fn recolor(&mut self, changes: &[Change]) {
        recolored(&mut self.values, self.shape.channels, changes, &mut Vec::new());
    }

    /// Replaces colours by their luminance, in `channels` equal channels. What is not red, green
    /// and blue keeps its values, and a single channel is repeated.
    pub fn gray(&mut self, channels: usize) {
        let from = self.shape.channels;
        if self.is_color() && channels == from {
            gray_pixels(&mut self.values);
        } else if self.is_color() || (from == 1 && channels != 1) {
            let gray = |pixel: &[f32]| if from == 3 { luminance(pixel) } else { pixel[0] };
            let pixels = self.values.chunks_exact(from);
            self.values = pixels.flat_map(|it| std::iter::repeat_n(gray(it), channels)).collect();
            self.shape.channels = channels;
        }
    }

    /// Inverts every value of `threshold` or more.
    pub fn solarize(&mut self, threshold: f32) {
        for value in &mut self.values {
            *value = if *value >= threshold { 1.0 - *value } else { *value };
        }
    }
}

/// Makes `changes` of an image with channels last; `planes` is room for it channel by channel.
#[inline(always)]
pub fn recolored(values: &mut [f32], channels: usize, changes: &[Change], planes: &mut Vec<f32>) {
    if channels != 3 {
        return Planes { values, is_color: false }.change(changes);
    }
    planes.resize(values.len(), 0.0);
    let mut planes = Planes { values: planes, is_color: true };
    planes.take(values);
    planes.change(changes);
    planes.give(values);
}

/// Replaces red, green and blue by their luminance.
#[inline(always)]
pub fn gray_pixels(values: &mut [f32]) {
    for pixel in values.as_chunks_mut::<3>().0 {
        *pixel = [luminance(pixel); 3];
    }
}

/// The luminance of a red, green and blue pixel (ITU-R 601-2, as torchvision rounds it).
#[inline(always)]
fn luminance(pixel: &[f32]) -> f32 {
    0.2989 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]
}

/// An image channel by channel, so that one loop handles many pixels at once.
struct Planes<'a> {
    values: &'a mut [f32],
    is_color: bool,
}

impl Planes<'_> {
    #[inline(always)]
    fn take(&mut self, pixels: &[f32]) {
        let [red, green, blue] = self.colors();
        let out = red.iter_mut().zip(green).zip(blue);
        for (((red, green), blue), pixel) in out.zip(pixels.as_chunks::<3>().0) {
            [*red, *green, *blue] = *pixel;
        }
    }

    #[inline(always)]
    fn give(&mut self, pixels: &mut [f32]) {
        let [red, green, blue] = self.colors();
        let from = red.iter().zip(green).zip(blue);
        for (((red, green), blue), pixel) in from.zip(pixels.as_chunks_mut::<3>().0) {
            *pixel = [*red, *green, *blue];
        }
    }

    #[inline(always)]
    fn colors(&mut self) -> [&mut [f32]; 3] {
        let pixels = self.values.len() / 3;
        let (red, rest) = self.values.split_at_mut(pixels);
        let (green, blue) = rest.split_at_mut(pixels);
        [red, green, blue]
    }

    #[inline(always)]
    fn change(&mut self, changes: &[Change]) {
        for change in changes {
            match *change {
                Change::Brightness(factor) => self.brighten(factor),
                Change::Contrast(factor) => self.contrast(factor),
                Change::Saturation(factor) => self.saturate(factor),
                Change::Hue(turn) => self.turn_hue(turn),
            }
        }
    }

    #[inline(always)]
    fn brighten(&mut self, factor: f32) {
        for value in &mut *self.values {
            *value = (*value * factor).clamp(0.0, 1.0);
        }
    }

    /// Away from the mean luminance, or towards it.
    #[inline(always)]
    fn contrast(&mut self, factor: f32) {
        if factor == 1.0 {
            return;
        }
        let mean = self.mean_luminance();
        for value in &mut *self.values {
            *value = (*value * factor + (1.0 - factor) * mean).clamp(0.0, 1.0);
        }
    }

    #[inline(always)]
    fn mean_luminance(&mut self) -> f32 {
        if !self.is_color {
            return self.values.iter().sum::<f32>() / self.values.len() as f32;
        }
        let [red, green, blue] = self.colors();
        // Each sum is in the order of the pixels; three at a time do not wait for each other.
        let mut sums = [-0.0; 3];
        for ((red, green), blue) in red.iter().zip(green).zip(blue) {
            sums[0] += *red;
            sums[1] += *green;
            sums[2] += *blue;
        }
        luminance(&sums.map(|sum| sum / red.len() as f32))
    }

    /// Away from each pixel's own luminance, or towards it.
    #[inline(always)]
    fn saturate(&mut self, factor: f32) {
        if factor == 1.0 || !self.is_color {
            return;
        }
        let [red, green, blue] = self.colors();
        for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
            let gray = (1.0 - factor) * luminance(&[*red, *green, *blue]);
            for value in [red, green, blue] {
                *value = (*value * factor + gray).clamp(0.0, 1.0);
            }
        }
    }

    /// Around the colour circle by `turn` of it.
    #[inline(always)]
    fn turn_hue(&mut self, turn: f32) {
        if turn == 0.0 || !self.is_color {
            return;
        }
        let [red, green, blue] = self.colors();
        for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
            let (hue, chroma, value) = hue_chroma_value([*red, *green, *blue]);
            let hue = once_around(hue + 6.0 * turn);
            for (out, offset) in [red, green, blue].into_iter().zip([5.0, 3.0, 1.0]) {
                let place = once_around(hue + offset);
                *out = value - chroma * place.min(4.0 - place).clamp(0.0, 1.0);
            }
        }
    }
}

/// A place on a circle of length 6, given one that is off by at most one turn.
#[inline(always)]
fn once_around(place: f32) -> f32 {
    let place = if place < 0.0 { place + 6.0 } else { place };
    if place >= 6.0 { place - 6.0 } else { place }
}

/// Hue in 0..6, chroma, and value of a colour.
#[inline(always)]
fn hue_chroma_value([red, green, blue]: [f32; 3]) -> (f32, f32, f32) {
    let value = red.max(green).max(blue);
    let chroma = value - red.min(green).min(blue);
    let scale = if chroma > 0.0 { 1.0 / chroma } else { 0.0 };
    let (from_red, from_green) = ((green - blue) * scale, 2.0 + (blue - red) * scale);
    let hue = if value == green { from_green } else { 4.0 + (red - green) * scale };
    let hue = if value == red { from_red } else { hue };
    (once_around(hue), chroma, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::ImageShape;

    const COLORS: [f32; 18] = [
        0.1, 0.5, 0.9, 0.8, 0.2, 0.3, 0.4, 0.4, 0.4, 0.2, 0.9, 0.6, 0.0, 0.0, 1.0, 0.55, 0.45, 0.5,
    ];

    #[track_caller]
    fn check(change: Change, expected: [f32; 18]) {
        let shape = ImageShape { height: 2, width: 3, channels: 3 };
        let mut image = Image { shape, values: COLORS.to_vec() };
        image.recolor(&[change]);
        for (found, expected) in image.values.iter().zip(expected) {
            assert!((found - expected).abs() < 2e-6, "{:?}", image.values);
        }
    }

    #[test]
    fn every_change_is_torchvisions() {
        let brighter = [
            0.13, 0.65, 1.0, 1.0, 0.26, 0.39, 0.52, 0.52, 0.52, 0.26, 1.0, 0.78, 0.0, 0.0, 1.0,
            0.715, 0.585, 0.65,
        ];
        check(Change::Brightness(1.3), brighter);
        let flatter = [
            0.193635, 0.473635, 0.753635, 0.683635, 0.263635, 0.333635, 0.403635, 0.403635,
            0.403635, 0.263635, 0.753635, 0.543635, 0.123635, 0.123635, 0.823635, 0.508635,
            0.438635, 0.473635,
        ];
        check(Change::Contrast(0.7), flatter);
        let stronger = [
            0.0, 0.525904, 1.0, 0.943248, 0.133248, 0.268248, 0.400014, 0.400014, 0.400014,
            0.040232, 0.985232, 0.580232, 0.0, 0.0, 1.0, 0.572559, 0.437559, 0.505059,
        ];
        check(Change::Saturation(1.35), stronger);
        let turned = [
            0.1, 0.116, 0.9, 0.8, 0.388, 0.2, 0.4, 0.4, 0.4, 0.2, 0.864, 0.9, 0.48, 0.0, 1.0, 0.55,
            0.45, 0.452,
        ];
        check(Change::Hue(0.08), turned);
        let turned_back = [
            0.34, 0.9, 0.1, 0.22, 0.2, 0.8, 0.4, 0.4, 0.4, 0.9, 0.74, 0.2, 0.0, 1.0, 0.2, 0.45,
            0.48, 0.55,
        ];
        check(Change::Hue(-0.3), turned_back);
    }
}
