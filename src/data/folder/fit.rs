//! Images of any size to squares of one: the shorter side scaled, the middle cut out.

use super::photo::Photo;

impl Photo {
    /// The middle square of the image, its side scaled to `side`: as torchvision's `Resize(side)`
    /// (bilinear, antialiased) and `CenterCrop(side)`.
    pub fn fit(self, side: usize) -> Self {
        let (height, width) = (self.height, self.width);
        let longer = |long: usize, short: usize| side * long / short.max(1);
        let (new_height, new_width) = match height < width {
            true => (side, longer(width, height)),
            false => (longer(height, width), side),
        };
        self.scaled(new_height, new_width).middle(side)
    }

    fn scaled(self, height: usize, width: usize) -> Self {
        if (self.height, self.width) == (height, width) {
            return self;
        }
        let Self { channels, .. } = self;
        let wide = across(&self.pixels, (self.height, self.width, channels), width);
        let turned = transposed(&wide, (self.height, width, channels));
        let tall = across(&turned, (width, self.height, channels), height);
        let pixels = transposed(&tall, (width, height, channels));
        Self { height, width, channels, pixels }
    }

    fn middle(self, side: usize) -> Self {
        if (self.height, self.width) == (side, side) {
            return self;
        }
        // Python rounds halves to the even number.
        let start = |whole: usize| ((whole - side) as f64 / 2.0).round_ties_even() as usize;
        let (top, left) = (start(self.height), start(self.width));
        let row = |y: usize| {
            let from = ((top + y) * self.width + left) * self.channels;
            &self.pixels[from..][..side * self.channels]
        };
        let pixels = (0..side).flat_map(row).copied().collect();
        Self { height: side, width: side, channels: self.channels, pixels }
    }
}

/// The pixels that one new pixel is made of, and their shares.
struct Window {
    start: usize,
    shares: Vec<f64>,
}

/// A triangle as wide as two old pixels, or two new ones where those are larger (Pillow).
fn windows(old: usize, new: usize) -> Vec<Window> {
    let scale = old as f64 / new as f64;
    let reach = scale.max(1.0);
    let window = |at: usize| {
        let center = (at as f64 + 0.5) * scale;
        let start = (center - reach + 0.5).max(0.0) as usize;
        let end = ((center + reach + 0.5) as usize).min(old);
        let share = |pixel: usize| {
            let distance = (pixel as f64 - center + 0.5) / reach;
            (1.0 - distance.abs()).max(0.0)
        };
        let shares: Vec<f64> = (start..end).map(share).collect();
        let sum: f64 = shares.iter().sum();
        Window { start, shares: shares.into_iter().map(|share| share / sum).collect() }
    };
    (0..new).map(window).collect()
}

/// Each row of an image scaled to `new` pixels.
fn across(pixels: &[u8], (height, width, channels): (usize, usize, usize), new: usize) -> Vec<u8> {
    if width == new {
        return pixels.to_vec();
    }
    let windows = windows(width, new);
    let mut scaled = Vec::with_capacity(height * new * channels);
    for row in pixels.chunks_exact(width * channels) {
        for window in &windows {
            let own = &row[window.start * channels..];
            for channel in 0..channels {
                let values = own.iter().skip(channel).step_by(channels);
                let sum: f64 =
                    values.zip(&window.shares).map(|(v, share)| f64::from(*v) * share).sum();
                scaled.push((sum + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
    }
    scaled
}

fn transposed(pixels: &[u8], (height, width, channels): (usize, usize, usize)) -> Vec<u8> {
    let mut turned = Vec::with_capacity(pixels.len());
    for x in 0..width {
        for y in 0..height {
            turned.extend_from_slice(&pixels[(y * width + x) * channels..][..channels]);
        }
    }
    turned
}
