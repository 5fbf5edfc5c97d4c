//! A contact sheet: the first images of each class, one class a row, as a PNG.

use super::images::Images;

/// What a contact sheet shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SheetOptions {
    /// Images in a row.
    pub columns: usize,
    /// Side of a pixel of the images on the sheet; without it small images are enlarged until
    /// their longer side has 48 pixels or more.
    pub scale: Option<usize>,
}

impl Default for SheetOptions {
    fn default() -> Self {
        Self { columns: 16, scale: None }
    }
}

const PAPER: u8 = 255;
const GAP: usize = 3;
const SEEN_WELL: usize = 48;

/// Draws the first images of each class of the label column `column`, classes in id order from the
/// top, and returns the bytes of a PNG file. A class without enough images leaves blank places.
///
/// # Errors
/// Only when the sheet is empty or too large for PNG; [`png::EncodingError`] says which.
pub fn sheet(
    images: &Images,
    column: &str,
    options: SheetOptions,
) -> Result<Vec<u8>, png::EncodingError> {
    let rows = first_of_each_class(images, column, options.columns);
    let scale = options.scale.unwrap_or_else(|| fitting_scale(images)).max(1);
    let step = (images.height * scale + GAP, images.width * scale + GAP);
    let (width, height) = (GAP + options.columns * step.1, GAP + rows.len() * step.0);
    let mut canvas = Canvas::blank(width, height, images.channels);
    for (row, indices) in rows.iter().enumerate() {
        for (place, &index) in indices.iter().enumerate() {
            canvas.draw(images, index, scale, (GAP + row * step.0, GAP + place * step.1));
        }
    }
    canvas.png()
}

/// Draws rows of images of one shape (height, width, channels), enlarged `scale` times, and returns
/// the bytes of a PNG file. Of images that are neither grey nor coloured the first channel is drawn.
///
/// # Errors
/// Only when the sheet is empty or too large for PNG; [`png::EncodingError`] says which.
pub fn grid(
    rows: &[&[Vec<u8>]],
    (height, width, channels): (usize, usize, usize),
    scale: Option<usize>,
) -> Result<Vec<u8>, png::EncodingError> {
    let kept = if channels == 3 { 3 } else { 1 };
    let cells = rows.iter().flat_map(|row| row.iter());
    let pixels = cells.flat_map(|cell| cell.chunks(channels.max(1))).flat_map(|it| &it[..kept]);
    let pixels = pixels.copied().collect();
    let images = Images { height, width, channels: kept, pixels, labels: Vec::new() };
    let scale = scale.unwrap_or_else(|| fitting_scale(&images)).max(1);
    let step = (height * scale + GAP, width * scale + GAP);
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let mut canvas = Canvas::blank(GAP + columns * step.1, GAP + rows.len() * step.0, kept);
    let mut index = 0;
    for (row, cells) in rows.iter().enumerate() {
        for place in 0..cells.len() {
            canvas.draw(&images, index, scale, (GAP + row * step.0, GAP + place * step.1));
            index += 1;
        }
    }
    canvas.png()
}

fn fitting_scale(images: &Images) -> usize {
    SEEN_WELL.div_ceil(images.height.max(images.width).max(1))
}

fn first_of_each_class(images: &Images, column: &str, limit: usize) -> Vec<Vec<usize>> {
    let ids = images.column(column).unwrap_or_default();
    let classes = ids.iter().max().map_or(0, |&id| id as usize + 1);
    let mut rows = vec![Vec::new(); classes];
    for (index, &id) in ids.iter().enumerate() {
        let row: &mut Vec<usize> = &mut rows[id as usize];
        if row.len() < limit {
            row.push(index);
        }
    }
    rows
}

struct Canvas {
    width: usize,
    height: usize,
    channels: usize,
    values: Vec<u8>,
}

impl Canvas {
    fn blank(width: usize, height: usize, channels: usize) -> Self {
        Self { width, height, channels, values: vec![PAPER; width * height * channels] }
    }

    /// Draws image `index` enlarged `scale` times with its upper left corner at (row, column).
    fn draw(&mut self, images: &Images, index: usize, scale: usize, corner: (usize, usize)) {
        let image = images.image(index);
        let channels = self.channels;
        for y in 0..images.height * scale {
            let start = ((corner.0 + y) * self.width + corner.1) * channels;
            let line = &mut self.values[start..start + images.width * scale * channels];
            let source = &image[y / scale * images.width * channels..][..images.width * channels];
            for (x, pixel) in line.chunks_exact_mut(channels).enumerate() {
                pixel.copy_from_slice(&source[x / scale * channels..][..channels]);
            }
        }
    }

    fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(match self.channels {
            1 => png::ColorType::Grayscale,
            _ => png::ColorType::Rgb,
        });
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.values)?;
        writer.finish()?;
        Ok(bytes)
    }
}
