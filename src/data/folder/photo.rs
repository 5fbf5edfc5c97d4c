//! One image file to pixels: JPEG and PNG, whatever they hold, as eight bits of grey or of red,
//! green and blue.

use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Longest side of an image that is read.
const LONGEST: usize = 1 << 14;

/// What an image is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// One value a pixel; colours by their luma (ITU-R BT.601), as Pillow does.
    Grey,
    /// Red, green, blue.
    Rgb,
}

impl Color {
    /// Values in a pixel.
    pub fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// A decoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Values in a pixel.
    pub channels: usize,
    /// Height × width × channels values, channels last.
    pub pixels: Vec<u8>,
}

impl Photo {
    /// The image in a file's `bytes`.
    ///
    /// # Errors
    /// When they are no JPEG or PNG, or a damaged one; says which, in words after the file's name.
    pub fn decode(bytes: &[u8], color: Color) -> Result<Self, String> {
        let photo = match bytes {
            [0xff, 0xd8, ..] => jpeg(bytes)?,
            [0x89, b'P', b'N', b'G', ..] => png(bytes)?,
            [] => return Err("is empty".to_owned()),
            _ => return Err("is neither JPEG nor PNG".to_owned()),
        };
        Ok(photo.colored(color))
    }

    fn colored(self, color: Color) -> Self {
        let pixels = match (self.channels, color) {
            (1, Color::Grey) | (3, Color::Rgb) => return self,
            (1, Color::Rgb) => self.pixels.iter().flat_map(|value| [*value; 3]).collect(),
            (2, Color::Grey) => self.pixels.chunks_exact(2).map(|pixel| pixel[0]).collect(),
            (2, Color::Rgb) => self.pixels.chunks_exact(2).flat_map(|it| [it[0]; 3]).collect(),
            (channels, Color::Grey) => self.pixels.chunks_exact(channels).map(luma).collect(),
            (channels, Color::Rgb) => {
                self.pixels.chunks_exact(channels).flat_map(|it| [it[0], it[1], it[2]]).collect()
            }
        };
        Self { channels: color.channels(), pixels, ..self }
    }
}

/// Height and width of the image in a file's `bytes`, read from its header.
///
/// # Errors
/// As [`Photo::decode`], as far as the header tells.
pub fn dimensions(bytes: &[u8]) -> Result<(usize, usize), String> {
    match bytes {
        [0xff, 0xd8, ..] => {
            let decoder = jpeg_header(bytes)?;
            let info = decoder.info().ok_or_else(|| "has no size".to_owned())?;
            Ok((usize::from(info.height), usize::from(info.width)))
        }
        [0x89, b'P', b'N', b'G', ..] => {
            let reader = png::Decoder::new(Cursor::new(bytes)).read_info().map_err(damaged)?;
            Ok((reader.info().height as usize, reader.info().width as usize))
        }
        _ => Photo::decode(bytes, Color::Rgb).map(|photo| (photo.height, photo.width)),
    }
}

fn jpeg_header(bytes: &[u8]) -> Result<JpegDecoder<Cursor<&[u8]>>, String> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(LONGEST)
        .set_max_height(LONGEST);
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    Ok(decoder)
}

fn jpeg(bytes: &[u8]) -> Result<Photo, String> {
    let mut decoder = jpeg_header(bytes)?;
    let found = decoder.input_colorspace();
    let (wanted, channels) = match found {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        Some(ColorSpace::CMYK | ColorSpace::YCCK) => {
            return Err("is a JPEG of four inks (CMYK): save it as RGB".to_owned());
        }
        _ => (ColorSpace::RGB, 3),
    };
    if !ends(bytes) {
        return Err("is damaged: it ends too early".to_owned());
    }
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(wanted);
    decoder.set_options(options);
    let info = decoder.info().ok_or_else(|| "has no size".to_owned())?;
    let pixels = decoder.decode().map_err(damaged)?;
    let (height, width) = (usize::from(info.height), usize::from(info.width));
    match pixels.len() == height * width * channels {
        true => Ok(Photo { height, width, channels, pixels }),
        false => Err("is damaged: it has other pixels than its header says".to_owned()),
    }
}

/// Whether a JPEG has its end marker; one that was cut off would be filled up with grey.
fn ends(bytes: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(1 << 12)..];
    tail.windows(2).any(|pair| pair == [0xff, 0xd9])
}

fn png(bytes: &[u8]) -> Result<Photo, String> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (height, width) = (reader.info().height as usize, reader.info().width as usize);
    if height.max(width) > LONGEST {
        return Err(format!("is {width} pixels wide and {height} high, which is too large"));
    }
    let size = reader.output_buffer_size().ok_or_else(|| "is too large".to_owned())?;
    let mut pixels = vec![0; size];
    let info = reader.next_frame(&mut pixels).map_err(damaged)?;
    pixels.truncate(info.buffer_size());
    Ok(Photo { height, width, channels: info.color_type.samples(), pixels })
}

fn damaged(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default().trim();
    format!("is damaged: {}", line.strip_suffix('.').unwrap_or(line))
}

/// As Pillow computes it, in sixteen fractional bits.
fn luma(pixel: &[u8]) -> u8 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
}
