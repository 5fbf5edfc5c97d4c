//! A random part of the image, enlarged to its whole size.

use super::{Augment, ChannelStats, Crop, Image, Stroke};
use crate::catalog::{ImageShape, Interval, Misfit, Picture, Side};
use crate::component;
use crate::seed::Stream;

component! {
    /// A random part of the image, enlarged to its whole size.
    ///
    /// Area and aspect ratio are drawn, the ratio on a logarithmic scale; after ten draws that do
    /// not fit the image, the largest centred crop of a permitted ratio is taken. The crop is
    /// enlarged bilinearly (Szegedy et al., 2015; torchvision's `RandomResizedCrop`, in floating
    /// point). The first step of the views of SimCLR (Chen et al., 2020).
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment crops {
    ///   data = digits(labels=coarse)
    ///   augment { crop = resized_crop(scale=0.5..=1.0) }
    ///   encoder = mlp()
    ///   views = 2
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1, picture picture;
    resized_crop => ResizedCrop {
        /// Side of the square that the crop becomes; `input` leaves height and width as they are.
        size: Side = Side::Input,
        /// Area of the crop as a share of the image's.
        scale: Interval = Interval { low: 0.2, high: 1.0 },
        /// Width over height of the crop.
        ratio: Interval = Interval { low: 0.75, high: 4.0 / 3.0 },
    }
}

fn picture(crop: &ResizedCrop, before: Picture) -> Result<Picture, Misfit> {
    let misfit = |param, message: &str, label, help: &str| {
        let (message, help) = (message.to_owned(), help.to_owned());
        Err(Misfit { param: Some(param), message, label, help })
    };
    if crop.scale.low > 1.0 {
        let label = format!("begins at {} times the image", crop.scale.low);
        return misfit("scale", "no crop is larger than the image", label, "`0.2..=1.0` is usual");
    }
    if crop.scale.high <= 0.0 {
        let label = "ends at 0".to_owned();
        return misfit("scale", "a crop needs an area", label, "`0.2..=1.0` is usual");
    }
    if crop.ratio.low <= 0.0 {
        let label = "begins at 0".to_owned();
        return misfit("ratio", "a crop needs a width", label, "`0.75..=1.3333` is usual");
    }
    let (height, width) = crop.output(before.shape);
    Ok(before.sized(height, width))
}

impl Augment for ResizedCrop {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, stream: Stream) {
        self.of(image.shape, stream).make(image);
    }

    fn stroke(&self, shape: ImageShape, _: &ChannelStats, stream: Stream) -> Option<Stroke> {
        Some(self.of(shape, stream))
    }
}

impl ResizedCrop {
    fn of(&self, shape: ImageShape, mut stream: Stream) -> Stroke {
        let (height, width) = self.output(shape);
        Stroke::Crop { crop: self.drawn(shape, &mut stream), height, width }
    }

    fn output(&self, shape: ImageShape) -> (usize, usize) {
        match self.size {
            Side::Input => (shape.height, shape.width),
            Side::Pixels(side) => (side, side),
        }
    }

    fn drawn(&self, shape: ImageShape, stream: &mut Stream) -> Crop {
        let drawn = (0..10).find_map(|_| self.draw(shape, stream));
        drawn.unwrap_or_else(|| self.centred(shape))
    }

    fn draw(&self, shape: ImageShape, stream: &mut Stream) -> Option<Crop> {
        let area = stream.between(self.scale.low, self.scale.high);
        let area = area * (shape.height * shape.width) as f64;
        let ratio = stream.between(self.ratio.low.ln(), self.ratio.high.ln()).exp();
        let width = (area * ratio).sqrt().round_ties_even() as usize;
        let height = (area / ratio).sqrt().round_ties_even() as usize;
        let fits = (1..=shape.width).contains(&width) && (1..=shape.height).contains(&height);
        fits.then(|| Crop {
            top: stream.below(shape.height - height + 1),
            left: stream.below(shape.width - width + 1),
            height,
            width,
        })
    }

    /// The largest crop in the middle whose ratio is permitted.
    fn centred(&self, shape: ImageShape) -> Crop {
        let (height, width) = (shape.height as f64, shape.width as f64);
        let side = |length: f64, limit: usize| (length.round_ties_even() as usize).clamp(1, limit);
        let (height, width) = if width / height < self.ratio.low {
            (side(width / self.ratio.low, shape.height), shape.width)
        } else if width / height > self.ratio.high {
            (shape.height, side(height * self.ratio.high, shape.width))
        } else {
            (shape.height, shape.width)
        };
        let (top, left) = ((shape.height - height) / 2, (shape.width - width) / 2);
        Crop { top, left, height, width }
    }
}

#[cfg(test)]
mod tests {
    use super::super::quantiles::{assert_distributed, draws};
    use super::*;
    use crate::catalog::Bound;

    #[test]
    fn without_a_fitting_draw_the_largest_centred_crop_is_taken() {
        let mut crop = ResizedCrop::from_bound(&Bound::defaults(&ENTRY.spec));
        crop.scale = Interval { low: 4.0, high: 5.0 };
        let wide = ImageShape { height: 6, width: 12, channels: 1 };
        assert_eq!(crop.draw(wide, &mut Stream::new(0)), None);
        assert_eq!(crop.centred(wide), Crop { top: 0, left: 2, height: 6, width: 8 });
        let tall = ImageShape { height: 9, width: 6, channels: 1 };
        assert_eq!(crop.centred(tall), Crop { top: 0, left: 0, height: 8, width: 6 });
    }

    #[track_caller]
    fn check(sampler: &str, shape: ImageShape, scale: Interval) {
        let mut crop = ResizedCrop::from_bound(&Bound::defaults(&ENTRY.spec));
        crop.scale = scale;
        let mut stream = Stream::new(1);
        let draws = draws(|| {
            let Crop { top, left, height, width } = crop.drawn(shape, &mut stream);
            assert!(top + height <= shape.height && left + width <= shape.width);
            [top, left, height, width].map(|it| it as f64)
        });
        assert_distributed(sampler, draws);
    }

    #[test]
    fn crops_are_distributed_as_torchvisions() {
        let square = ImageShape { height: 64, width: 64, channels: 3 };
        check("resized_crop_square", square, Interval { low: 0.2, high: 1.0 });
        let wide = ImageShape { height: 40, width: 100, channels: 3 };
        check("resized_crop_wide", wide, Interval { low: 0.6, high: 1.0 });
    }
}
