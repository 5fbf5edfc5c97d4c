//! What a network costs, from the list of its layers: shapes, parameters, multiplications and what
//! is kept for the way back. A component declares its layers once; all of these follow.

use super::{Bound, ImageShape, Misfit};

/// What a component is given when it declares its layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    pub image: ImageShape,
    /// Width of the embedding; an encoder decides it.
    pub dim: usize,
    /// Classes of the labels it reads, or none.
    pub classes: usize,
    /// Images it may learn from.
    pub train: usize,
}

impl Place {
    /// Where an encoder stands.
    pub fn of_encoder(image: ImageShape) -> Self {
        Self { image, dim: 0, classes: 0, train: 0 }
    }
}

/// From a component's arguments to its layers.
pub type NetworkFn = fn(&Bound, &Place) -> Result<Network, Misfit>;

/// The layers of a network, for one image; the first value is what it is given.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The shape of each value.
    pub values: Vec<Vec<usize>>,
    pub layers: Vec<Layer>,
    /// Tokens that attend to each other, where there are any.
    pub tokens: Option<usize>,
    pub(super) at: usize,
}

/// A value of a network, to go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At(pub(super) usize);

/// One operation of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    pub op: Op,
    /// The values it reads, the main one first.
    pub reads: Vec<usize>,
    /// The value it computes.
    pub writes: usize,
    /// Trained numbers.
    pub parameters: u64,
    /// Numbers that are kept but not trained.
    pub buffers: u64,
    /// Multiplications that are added up, for one image.
    pub multiply_adds: u64,
    /// Numbers besides its result that are kept of one image for the way back.
    pub constants: u64,
    /// Numbers made of its weights for each step, whatever the number of images.
    pub made: u64,
    /// The most by which it makes the distance of two inputs longer, where there is a bound.
    pub stretch: Option<f64>,
    /// Whether it is passed forwards alone, and keeps nothing for a way back.
    pub is_cut: bool,
}

/// What an operation is, as far as its memory depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Linear,
    /// With the side of its window and its stride.
    Conv {
        side: usize,
        stride: usize,
    },
    /// Batch normalisation; a value read besides is added before the rectifier.
    BatchNorm,
    /// The same over groups of the channels of each image.
    GroupNorm,
    /// A kernel that needs nothing but its input and output for its way back.
    Kernel,
    /// A share of the numbers set to zero, in training alone.
    Drop,
    /// The same numbers in another order, before anything is learned.
    Rearrange,
    /// The sum of two values.
    Add,
    /// Values side by side.
    Beside,
    /// Learned rows set before the others, and learned numbers added to all.
    Join,
    /// Some of the rows.
    Narrow,
    /// The mean over rows.
    Mean,
    /// Every embedding of a batch with every other.
    Pairs(Pairing),
    /// The mean of squared differences to an image.
    SquaredError,
}

/// Which embeddings are compared; comparisons of one kind are computed once for all terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pairing {
    pub normalize: bool,
    /// Those of different views alone.
    pub cross: bool,
}

/// The product of sizes, at most the largest number there is.
pub fn product(sizes: &[usize]) -> u64 {
    sizes.iter().fold(1u64, |product, size| product.saturating_mul(*size as u64))
}

impl Network {
    /// A network that is given values of `shape`, without a layer.
    pub fn new(shape: &[usize]) -> Self {
        Self { values: vec![shape.to_vec()], layers: Vec::new(), tokens: None, at: 0 }
    }

    /// A network that is given images.
    pub fn of_images(image: ImageShape) -> Self {
        Self::new(&[image.height, image.width, image.channels])
    }

    /// The value that was computed last.
    pub fn here(&self) -> At {
        At(self.at)
    }

    /// Goes on from `value`.
    pub fn from(mut self, value: At) -> Self {
        self.at = value.0;
        self
    }

    /// The shape of what it computes.
    pub fn shape(&self) -> &[usize] {
        &self.values[self.at]
    }

    /// The width of what it computes.
    pub fn width(&self) -> usize {
        self.shape().last().copied().unwrap_or(1)
    }

    /// Notes that `tokens` attend to each other.
    pub fn with_tokens(self, tokens: usize) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    pub(super) fn layer(mut self, op: Op, shape: Vec<usize>) -> Self {
        let (reads, writes) = (vec![self.at], self.values.len());
        self.values.push(shape);
        self.layers.push(Layer {
            op,
            reads,
            writes,
            parameters: 0,
            buffers: 0,
            multiply_adds: 0,
            constants: 0,
            made: 0,
            stretch: None,
            is_cut: false,
        });
        self.at = writes;
        self
    }

    pub(super) fn noting(mut self, note: impl FnOnce(&mut Layer)) -> Self {
        note(self.layers.last_mut().expect("a layer was added just before"));
        self
    }

    fn kernel(self) -> Self {
        let shape = self.shape().to_vec();
        self.layer(Op::Kernel, shape)
    }

    /// A fully connected layer, on each row.
    pub fn linear(self, outputs: usize, has_bias: bool) -> Self {
        let (mut shape, inputs) = (self.shape().to_vec(), self.width());
        let rows = product(&shape[..shape.len() - 1]);
        shape.pop();
        shape.push(outputs);
        let weights = product(&[inputs, outputs]);
        let bias = if has_bias { outputs as u64 } else { 0 };
        self.layer(Op::Linear, shape).noting(|layer| {
            layer.parameters = weights.saturating_add(bias);
            layer.multiply_adds = rows.saturating_mul(weights);
        })
    }

    /// Every number of an image in one row.
    pub fn flat(mut self) -> Self {
        let size = product(self.shape()).min(usize::MAX as u64) as usize;
        self.values[self.at] = vec![size];
        self
    }

    /// A convolution without bias, padded so that stride 1 keeps the size.
    pub fn conv(self, filters: usize, side: usize, stride: usize) -> Self {
        self.windowed(filters, side, stride, side / 2)
    }

    /// A convolution without bias of windows side by side, without padding.
    pub fn patches(self, filters: usize, side: usize) -> Self {
        self.windowed(filters, side, side, 0)
    }

    fn windowed(self, filters: usize, side: usize, stride: usize, padding: usize) -> Self {
        let channels = self.width();
        let [height, width] = self.windows(side, stride, padding);
        let weights = product(&[side, side, channels, filters]);
        self.layer(Op::Conv { side, stride }, vec![height, width, filters]).noting(|layer| {
            layer.parameters = weights;
            layer.multiply_adds = product(&[height, width]).saturating_mul(weights);
        })
    }

    /// How many windows there are down and across.
    fn windows(&self, side: usize, stride: usize, padding: usize) -> [usize; 2] {
        let [height, width, _] = self.shape()[..] else {
            unreachable!("windows are those of an image")
        };
        [height, width].map(|size| (size + 2 * padding).saturating_sub(side) / stride + 1)
    }

    /// Batch normalisation, with what is added to it.
    pub fn batch_norm(self, residual: Option<At>) -> Self {
        let (shape, channels) = (self.shape().to_vec(), self.width() as u64);
        self.layer(Op::BatchNorm, shape).noting(|layer| {
            layer.parameters = 2 * channels;
            layer.buffers = 2 * channels;
            layer.reads.extend(residual.map(|At(value)| value));
        })
    }

    /// Normalisation of groups of channels, with what is added to it.
    pub fn group_norm(self, residual: Option<At>) -> Self {
        self.batch_norm(residual).noting(|layer| {
            layer.op = Op::GroupNorm;
            layer.buffers = 0;
        })
    }

    /// A number added to each channel.
    pub fn channel_bias(self) -> Self {
        let channels = self.width() as u64;
        self.kernel().stretching(1.0).noting(|layer| layer.parameters = channels)
    }

    /// The largest of each window, `padding` pixels around the image left out.
    pub fn max_pool(self, side: usize, stride: usize, padding: usize) -> Self {
        let [height, width] = self.windows(side, stride, padding);
        let shape = vec![height, width, self.width()];
        // A pixel may be the largest of every window it is in.
        self.layer(Op::Kernel, shape).stretching(side.div_ceil(stride) as f64)
    }

    /// Layer normalisation of each row.
    pub fn layer_norm(self) -> Self {
        let channels = self.width() as u64;
        self.kernel().noting(|layer| layer.parameters = 2 * channels)
    }

    /// An activation function, where it is not part of the layer before.
    pub fn activation(self) -> Self {
        self.kernel()
    }

    /// A share of the numbers set to zero; nothing where the share is 0.
    pub fn dropout(self, share: f64) -> Self {
        let factors = product(self.shape());
        self.dropping(share, factors)
    }

    /// A share of the images for which this branch is skipped; nothing where the share is 0.
    pub fn drop_path(self, share: f64) -> Self {
        self.dropping(share, 1)
    }

    fn dropping(self, share: f64, factors: u64) -> Self {
        if share == 0.0 {
            return self;
        }
        let shape = self.shape().to_vec();
        self.layer(Op::Drop, shape).noting(|layer| layer.constants = factors)
    }

    /// The same numbers in another order.
    pub fn rearranged(self, shape: &[usize]) -> Self {
        self.layer(Op::Rearrange, shape.to_vec())
    }

    /// The same numbers in the same order, in another shape.
    pub fn reshaped(mut self, shape: &[usize]) -> Self {
        self.values[self.at] = shape.to_vec();
        self
    }

    /// `tokens` rows of `parameters` learned numbers set before the others and added to all.
    pub fn joined(self, tokens: usize, parameters: u64) -> Self {
        let shape = vec![tokens, self.width()];
        let joined = product(&shape);
        self.layer(Op::Join, shape).noting(|layer| {
            layer.parameters = parameters;
            layer.constants = joined;
        })
    }

    /// The sum with `other`.
    pub fn plus(self, At(other): At) -> Self {
        let shape = self.shape().to_vec();
        self.layer(Op::Add, shape).noting(|layer| layer.reads.push(other))
    }

    /// The first row alone.
    pub fn first_row(self) -> Self {
        let shape = vec![1, self.width()];
        self.layer(Op::Narrow, shape)
    }

    /// Some of the numbers of each row.
    pub fn columns(self, width: usize) -> Self {
        self.layer(Op::Narrow, vec![width])
    }

    /// The mean over rows, as one row.
    pub fn mean_row(self) -> Self {
        let shape = vec![self.width()];
        self.layer(Op::Mean, shape)
    }

    /// The mean over the pixels of an image.
    pub fn average_pool(self) -> Self {
        let shape = vec![self.width()];
        let pixels = product(&self.shape()[..self.shape().len() - 1]);
        // The mean of n numbers is their product with a vector of length 1 / √n.
        self.layer(Op::Kernel, shape).stretching(1.0 / (pixels as f64).sqrt())
    }

    /// An image resized by its nearest pixels.
    pub fn resized(self, height: usize, width: usize) -> Self {
        let shape = vec![height, width, self.width()];
        self.layer(Op::Kernel, shape)
    }

    /// One number from scores.
    pub fn cross_entropy(self) -> Self {
        self.layer(Op::Kernel, vec![0])
    }

    /// One number from every pair of embeddings; the gradient is computed with it and kept.
    pub fn pairs(self, pairing: Pairing) -> Self {
        let width = self.width() as u64;
        self.layer(Op::Pairs(pairing), vec![0]).noting(|layer| layer.constants = width)
    }

    /// One number from a restored image.
    pub fn squared_error(self) -> Self {
        let differences = product(self.shape()).saturating_mul(2);
        self.layer(Op::SquaredError, vec![0]).noting(|layer| layer.constants = differences)
    }

    /// The products of an embedding with `rows` others.
    pub fn compared_with(self, rows: usize) -> Self {
        let multiply_adds = product(&[rows, self.width()]);
        self.layer(Op::Kernel, vec![rows]).noting(|layer| layer.multiply_adds = multiply_adds)
    }
}
