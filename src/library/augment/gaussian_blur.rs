//! Blurring.

use super::{Augment, ChannelStats, Image};
use crate::catalog::{Count, Fraction, Interval, Misfit, Picture};
use crate::component;
use crate::seed::Stream;

component! {
    /// Blurs the image with a Gaussian whose width is drawn.
    ///
    /// The kernel is cut off at `kernel` pixels and the image mirrored at its border (torchvision's
    /// `GaussianBlur` within `RandomApply`). SimCLR takes a kernel of a tenth of the image's side
    /// (Chen et al., 2020, appendix A): 3 pixels for images of 32, 23 for images of 224.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment blurred {
    ///   data = digits(labels=coarse)
    ///   augment { blur = gaussian_blur(kernel=3, p=50%) }
    ///   encoder = mlp()
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Augment as dyn Augment, version 1, picture picture;
    gaussian_blur => GaussianBlur {
        /// Pixels of the kernel's side; an odd number.
        kernel: Count = 3,
        /// Standard deviation of the Gaussian, in pixels.
        sigma: Interval = Interval { low: 0.1, high: 2.0 },
        /// How often it happens.
        p: Fraction = 0.5,
    }
}

fn picture(blur: &GaussianBlur, before: Picture) -> Result<Picture, Misfit> {
    let (kernel, shape) = (blur.kernel.get(), before.shape);
    let shorter = shape.height.min(shape.width);
    let misfit = |param, message: &str, label, help| {
        Err(Misfit { param: Some(param), message: message.to_owned(), label, help })
    };
    if kernel % 2 == 0 {
        let odd = format!("write {} or {}", kernel - 1, kernel + 1);
        return misfit("kernel", "a kernel needs a middle", format!("{kernel} is even"), odd);
    }
    if kernel / 2 >= shorter {
        let largest = format!("the largest kernel here is {}", 2 * shorter - 1);
        let label = format!("reaches {} pixels beyond the border", kernel / 2);
        return misfit("kernel", "an image is too small to be mirrored so far", label, largest);
    }
    if blur.sigma.low <= 0.0 {
        let help = "`0.1..=2.0` is usual".to_owned();
        return misfit("sigma", "a Gaussian needs a width", "begins at 0".to_owned(), help);
    }
    Ok(before)
}

impl Augment for GaussianBlur {
    fn apply(&self, image: &mut Image, _stats: &ChannelStats, mut stream: Stream) {
        if stream.uniform() < self.p.get() {
            image.blur(self.kernel.get(), self.draw(&mut stream));
        }
    }
}

impl GaussianBlur {
    fn draw(&self, stream: &mut Stream) -> f64 {
        stream.between(self.sigma.low, self.sigma.high)
    }
}

#[cfg(test)]
mod tests {
    use super::super::quantiles::{assert_distributed, draws};
    use super::*;

    #[test]
    fn widths_are_distributed_as_torchvisions() {
        let sigma = Interval { low: 0.1, high: 2.0 };
        let blur = GaussianBlur { kernel: 3.into(), sigma, p: 1.0.into() };
        let mut stream = Stream::new(1);
        assert_distributed("gaussian_blur", draws(|| [blur.draw(&mut stream)]));
    }
}
