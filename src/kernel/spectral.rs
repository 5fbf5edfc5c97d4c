//! Spectral normalisation: the largest singular value of a layer by power iteration, and a weight
//! divided by it.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

#[cfg(feature = "cuda")]
use super::card::{Made, Operand, spectral as on_card};
use super::conv::{Conv2d, Operator};
use super::matrix::{Matrix, Product};
use super::pieces::room;
use super::real::{Real, with_real};
use super::tape::apply1;
use super::values::{Values, output, slice, tensor};

/// Singular values below this are those of a weight of zeros, which no factor makes larger.
const TINY: f64 = 1e-12;

/// What a layer makes of one image, as a linear map of vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map {
    /// The product with a matrix `[O,I]`.
    Matrix,
    /// The convolution with `[KH,KW,C,F]` of an image, its zero padding included.
    Convolution {
        conv: Conv2d,
        /// Height and width of the image.
        size: [usize; 2],
    },
}

/// How long power iteration goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// A number of iterations.
    Times(usize),
    /// Until the value stands still, at most so many.
    Settled(usize),
}

/// The largest singular value of a map, as far as it was found, which is from below.
#[derive(Debug, Clone)]
pub struct Singular {
    /// On a card only where iteration went on until it stood still, and no number elsewhere: there
    /// it is not waited for.
    pub value: f64,
    /// The right singular vector, of unit length, to go on from.
    pub right: Tensor,
    /// The derivative of the value by the weight.
    pub slope: Tensor,
}

/// The largest singular value of `map` with `weight`, by power iteration from the vector `right`,
/// which must not be zero.
///
/// The order is that of PyTorch's `parametrizations.spectral_norm`: first the left vector, then the
/// right one.
///
/// # Errors
/// When the shapes do not fit.
pub fn singular(weight: &Tensor, map: Map, right: &Tensor, effort: Effort) -> Result<Singular> {
    let (weight, right) = (weight.detach().contiguous()?, right.detach().contiguous()?);
    let linear = Linear::new(map, weight.shape())?;
    if right.elem_count() != linear.inputs(weight.shape(), map)? {
        bail!("a vector of {} elements does not fit the layer", right.elem_count());
    }
    #[cfg(feature = "cuda")]
    if weight.device().is_cuda() {
        return on_card::singular(&weight, linear.on_card(), &right, effort);
    }
    with_real!(weight.dtype(), T => {
        let weight_values = Values::<T>::of(&weight)?;
        let start = Values::<T>::of(&right)?.to_vec();
        let found = iterate(&linear, &weight_values, start, effort);
        let slope = linear.slope(&found.right, &found.left);
        Ok(Singular {
            value: found.value,
            right: tensor(found.right, right.shape())?,
            slope: tensor(slope, weight.shape())?,
        })
    })
}

/// Vectors of unit length, and how long the image of the right one is.
struct Vectors<T> {
    left: Vec<T>,
    right: Vec<T>,
    value: f64,
}

fn iterate<T: Real>(linear: &Linear, weight: &[T], start: Vec<T>, effort: Effort) -> Vectors<T> {
    let (most, is_settling) = match effort {
        Effort::Times(times) => (times, false),
        Effort::Settled(most) => (most, true),
    };
    let mut pair = Vectors { left: Vec::new(), right: start, value: 0.0 };
    unit(&mut pair.right);
    for _ in 0..most.max(1) {
        pair.left = linear.apply(weight, &pair.right);
        unit(&mut pair.left);
        let mut right = linear.transposed(weight, &pair.left);
        let value = unit(&mut right);
        // The image of a weight of zeros has no direction, and of one that is not finite none that
        // is: the vector stays.
        if value <= TINY || !value.is_finite() {
            pair.value = value;
            return pair;
        }
        let has_settled = value <= pair.value * (1.0 + T::EPSILON);
        (pair.right, pair.value) = (right, value.max(pair.value));
        if is_settling && has_settled {
            break;
        }
    }
    pair
}

/// Brings a vector to length 1, unless it is zero, and gives the length it had.
fn unit<T: Real>(x: &mut [T]) -> f64 {
    let length = dot(x, x).sqrt();
    if length > TINY {
        let factor = T::of(1.0 / length);
        x.iter_mut().for_each(|x| *x *= factor);
    }
    length
}

fn dot<T: Real>(a: &[T], b: &[T]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a.to_f64() * b.to_f64()).sum()
}

/// A [`Map`] with its sizes.
enum Linear {
    Matrix(usize, usize),
    Convolution(Operator),
}

impl Linear {
    fn new(map: Map, weight: &Shape) -> Result<Self> {
        Ok(match map {
            Map::Matrix => {
                let (outputs, inputs) = weight.dims2()?;
                Self::Matrix(outputs, inputs)
            }
            Map::Convolution { conv, size } => {
                Self::Convolution(Operator::new(weight, conv, size)?)
            }
        })
    }

    #[cfg(feature = "cuda")]
    fn on_card(&self) -> on_card::Linear {
        match self {
            Self::Matrix(outputs, inputs) => on_card::Linear::Matrix(*outputs, *inputs),
            Self::Convolution(operator) => on_card::Linear::Convolution(operator.geometry()),
        }
    }

    /// The number of elements the map takes.
    fn inputs(&self, weight: &Shape, map: Map) -> Result<usize> {
        Ok(match (self, map) {
            (Self::Matrix(_, inputs), _) => *inputs,
            (_, Map::Convolution { size: [height, width], .. }) => {
                height * width * weight.dims4()?.2
            }
            (_, Map::Matrix) => unreachable!("a matrix is no convolution"),
        })
    }

    fn apply<T: Real>(&self, weight: &[T], x: &[T]) -> Vec<T> {
        match self {
            Self::Matrix(outputs, inputs) => {
                let mut y = room(*outputs);
                let weight = Matrix::new(weight, *outputs, *inputs);
                Product::into(&mut y, 1).of(weight, Matrix::new(x, *inputs, 1));
                y
            }
            Self::Convolution(operator) => operator.apply(weight, x),
        }
    }

    fn transposed<T: Real>(&self, weight: &[T], y: &[T]) -> Vec<T> {
        match self {
            Self::Matrix(outputs, inputs) => {
                let mut x = room(*inputs);
                let weight = Matrix::new(weight, *outputs, *inputs);
                Product::into(&mut x, 1).of(weight.t(), Matrix::new(y, *outputs, 1));
                x
            }
            Self::Convolution(operator) => operator.transposed(weight, y),
        }
    }

    /// The derivative by the weight of the product of `left` and the image of `right`.
    fn slope<T: Real>(&self, right: &[T], left: &[T]) -> Vec<T> {
        match self {
            Self::Matrix(outputs, inputs) => {
                let mut slope = room(outputs * inputs);
                let left = Matrix::new(left, *outputs, 1);
                Product::into(&mut slope, *inputs).of(left, Matrix::new(right, 1, *inputs));
                slope
            }
            Self::Convolution(operator) => operator.slope(right, left),
        }
    }
}

/// `weight` scaled so that the singular value whose derivative is `slope` becomes `bound`; the
/// singular vectors are held constant for the gradient, as in Miyato et al., 2018, equation 9.
///
/// # Errors
/// When the shapes differ.
pub fn bounded(weight: &Tensor, slope: &Tensor, bound: f64) -> Result<Tensor> {
    if weight.dims() != slope.dims() {
        bail!("a slope of shape {:?} does not fit {:?}", slope.dims(), weight.dims());
    }
    let slope = slope.to_dtype(weight.dtype())?.contiguous()?.detach();
    apply1(&weight.contiguous()?, Bounded { slope, bound })
}

struct Bounded {
    slope: Tensor,
    bound: f64,
}

impl Bounded {
    /// What the weight is divided by.
    fn divisor<T: Real>(&self, weight: &[T], slope: &[T]) -> f64 {
        let value = dot(weight, slope);
        if value > TINY { value } else { 1.0 }
    }

    fn forward<T: Real>(&self, weight: &[T]) -> Result<Vec<T>> {
        let slope = Values::<T>::of(&self.slope)?;
        let factor = T::of(self.bound / self.divisor(weight, &slope));
        Ok(weight.iter().map(|weight| *weight * factor).collect())
    }

    fn backward<T: Real>(&self, weight: &[T], dy: &[T]) -> Result<Vec<T>> {
        let slope = Values::<T>::of(&self.slope)?;
        let divisor = self.divisor(weight, &slope);
        let factor = T::of(self.bound / divisor);
        let along = match dot(weight, &slope) > TINY {
            true => T::of(dot(dy, weight) / divisor),
            false => T::ZERO,
        };
        let gradient = |(dy, slope): (&T, &T)| (*dy - along * *slope) * factor;
        Ok(dy.iter().zip(slope.iter()).map(gradient).collect())
    }
}

impl CustomOp1 for Bounded {
    fn name(&self) -> &'static str {
        "spectral-norm"
    }

    fn cpu_fwd(&self, weight: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        with_real!(weight.dtype(), T => {
            output(self.forward(slice::<T>(weight, layout)?)?, layout.shape())
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, weight: &CudaStorage, layout: &Layout) -> Result<Made> {
        on_card::bounded(Operand::new(weight, layout)?, &self.slope, self.bound)
    }

    fn bwd(&self, weight: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        #[cfg(feature = "cuda")]
        if weight.device().is_cuda() {
            return on_card::bounded_back([weight, &self.slope, &dy], self.bound).map(Some);
        }
        with_real!(weight.dtype(), T => {
            let (values, dy) = (Values::<T>::of(weight)?, Values::<T>::of(&dy)?);
            tensor(self.backward(&values, &dy)?, weight.shape()).map(Some)
        })
    }
}
