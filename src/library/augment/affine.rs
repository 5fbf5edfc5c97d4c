//! Turning, moving, scaling and shearing at once.

use super::image::Affine as Change;
use super::{Augment, ChannelStats, Image};
use crate::catalog::{Fraction, ImageShape, Interval, Misfit, NonNegative, Picture};
use crate::component;
use crate::seed::Stream;

component! {
    /// Turns, moves, scales and shears the image by random amounts, all at once.
    ///
    /// The angle is drawn from `-degrees` to `degrees`, the distances along each side from `-translate`
    /// to `translate` of it in whole pixels, the shear along x from `-shear` to `shear` degrees.
    /// Bilinear, zeros outside the image (torchvision's `RandomAffine` with bilinear interpolation).
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment changed {
    ///   data = digits(labels=coarse)
    ///   augment { change = affine(degrees=10, translate=10%, scale=0.9..=1.1) }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1, picture picture;
    affine => Affine {
        /// The largest angle, in either direction.
        degrees: NonNegative = 10.0,
        /// The largest distance, as a share of the image's side.
        translate: Fraction = 0.1,
        /// By how much it is enlarged.
        scale: Interval = Interval { low: 0.9, high: 1.1 },
        /// The largest angle of shear along x, below 90 degrees.
        shear: NonNegative = 0.0,
    }
}

fn picture(affine: &Affine, before: Picture) -> Result<Picture, Misfit> {
    let misfit = |param, message: &str, label: String, help: &str| {
        let (message, help) = (message.to_owned(), help.to_owned());
        Err(Misfit { param: Some(param), message, label, help })
    };
    if affine.scale.low <= 0.0 {
        let label = "begins at 0".to_owned();
        return misfit("scale", "an image cannot shrink to nothing", label, "`0.9..=1.1` is usual");
    }
    let shear = affine.shear.get();
    if shear >= 90.0 {
        let label = format!("{shear} degrees");
        return misfit("shear", "a shear has less than 90 degrees", label, "`shear=10` is much");
    }
    Ok(before)
}

impl Augment for Affine {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, mut stream: Stream) {
        let change = self.draw(image.shape, &mut stream);
        let nothing = Change { degrees: 0.0, translate: [0.0; 2], scale: 1.0, shear: [0.0; 2] };
        if change != nothing {
            image.transform(&change);
        }
    }
}

impl Affine {
    fn draw(&self, shape: ImageShape, stream: &mut Stream) -> Change {
        let mut within = |limit: f64| if limit > 0.0 { stream.between(-limit, limit) } else { 0.0 };
        let degrees = within(self.degrees.get());
        let far = |side: usize| self.translate.get() * side as f64;
        let translate = [shape.width, shape.height].map(|side| within(far(side)).round_ties_even());
        let shear = [within(self.shear.get()), 0.0];
        Change { degrees, translate, scale: stream.between(self.scale.low, self.scale.high), shear }
    }
}

#[cfg(test)]
mod tests {
    use super::super::quantiles::{assert_distributed, draws};
    use super::*;

    #[test]
    fn changes_are_distributed_as_torchvisions() {
        let affine = Affine {
            degrees: 30.0.into(),
            translate: 0.2.into(),
            scale: Interval { low: 0.8, high: 1.3 },
            shear: 9.0.into(),
        };
        let shape = ImageShape { height: 40, width: 100, channels: 3 };
        let mut stream = Stream::new(1);
        let draws = draws(|| {
            let Change { degrees, translate: [x, y], scale, shear } =
                affine.draw(shape, &mut stream);
            [degrees, x, y, scale, shear[0], shear[1]]
        });
        assert_distributed("affine", draws);
    }
}
