//! The sizes of one convolution.

use candle_core::{Result, Shape, bail};

use super::Conv2d;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Geometry {
    pub(in crate::kernel) batch: usize,
    pub(in crate::kernel) height: usize,
    pub(in crate::kernel) width: usize,
    pub(in crate::kernel) channels: usize,
    pub(in crate::kernel) kernel_height: usize,
    pub(in crate::kernel) kernel_width: usize,
    pub(in crate::kernel) filters: usize,
    pub(in crate::kernel) out_height: usize,
    pub(in crate::kernel) out_width: usize,
    pub(in crate::kernel) stride: usize,
    pub(in crate::kernel) padding: usize,
}

impl Geometry {
    pub(in crate::kernel) fn new(x: &Shape, weight: &Shape, conv: Conv2d) -> Result<Self> {
        let (batch, height, width, channels) = x.dims4()?;
        let (kernel_height, kernel_width, expected, filters) = weight.dims4()?;
        if channels != expected {
            bail!("expected {expected} channels to convolve, found {channels}");
        }
        Ok(Self {
            batch,
            height,
            width,
            channels,
            kernel_height,
            kernel_width,
            filters,
            out_height: windows(height, kernel_height, conv)?,
            out_width: windows(width, kernel_width, conv)?,
            stride: conv.stride,
            padding: conv.padding,
        })
    }

    pub(in crate::kernel) fn output_shape(&self) -> (usize, usize, usize, usize) {
        (self.batch, self.out_height, self.out_width, self.filters)
    }

    /// The number of windows of all images.
    pub(in crate::kernel) fn windows(&self) -> usize {
        self.batch * self.out_height * self.out_width
    }

    /// The number of elements of one window.
    pub(in crate::kernel) fn window_len(&self) -> usize {
        self.kernel_height * self.kernel_width * self.channels
    }

    /// The number of elements of one input image.
    pub(in crate::kernel) fn image_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    pub(in crate::kernel) fn is_pointwise(&self) -> bool {
        self.kernel_height == 1 && self.kernel_width == 1 && self.stride == 1 && self.padding == 0
    }
}

/// How many windows fit into `size` pixels and the padding around them.
fn windows(size: usize, kernel: usize, Conv2d { stride, padding }: Conv2d) -> Result<usize> {
    if stride == 0 || kernel == 0 || size + 2 * padding < kernel {
        bail!(
            "a kernel of {kernel} at stride {stride} does not fit {size} pixels padded by {padding}"
        );
    }
    Ok((size + 2 * padding - kernel) / stride + 1)
}
