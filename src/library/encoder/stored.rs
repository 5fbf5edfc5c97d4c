//! Where files of PyTorch's keep the weights of encoders: under which names, and in which order.

use candle_core::{DType, Device, Result, Tensor};

use super::Encoder;
use crate::catalog::{ImageShape, Tensors};
use crate::tensor::Params;

/// Where a file keeps a variable.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub name: String,
    pub order: Order,
}

/// The order of a tensor's axes in a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    /// That of the variable.
    Same,
    /// That of PyTorch's convolutions, filters before channels before pixels.
    FiltersFirst,
    /// Columns that read an image channel by channel.
    ChannelsFirst(ImageShape),
}

impl Stored {
    /// A variable of shape `dims` under its own name, as a layer of PyTorch's keeps it.
    pub fn new(name: &str, dims: &[usize]) -> Self {
        let order = if dims.len() == 4 { Order::FiltersFirst } else { Order::Same };
        Self { name: name.to_owned(), order }
    }

    /// The shape in the file of a variable of shape `dims`.
    fn dims(&self, dims: &[usize]) -> Vec<usize> {
        match (self.order, dims) {
            (Order::FiltersFirst, &[height, width, channels, filters]) => {
                vec![filters, channels, height, width]
            }
            _ => dims.to_vec(),
        }
    }

    /// What the file keeps, as the variable has it.
    ///
    /// # Errors
    /// When the tensor has another shape than the variable's in the file.
    pub fn read(&self, tensor: &Tensor) -> Result<Tensor> {
        let tensor = match self.order {
            Order::Same => tensor.clone(),
            Order::FiltersFirst => tensor.permute((2, 3, 1, 0))?,
            Order::ChannelsFirst(ImageShape { height, width, channels }) => {
                let rows = tensor.dim(0)?;
                let images = tensor.reshape((rows, channels, height, width))?;
                images.permute((0, 2, 3, 1))?.reshape((rows, height * width * channels))?
            }
        };
        tensor.contiguous()
    }
}

/// What a file of the weights of `encoder` holds, for images of a shape it fits.
pub(super) fn stored<E: Encoder>(encoder: &E, image: ImageShape) -> Tensors {
    let params = Params::blank(DType::F32, Device::Cpu);
    let built = encoder.build(image, &params.root());
    built.map(|_| ()).expect("the shape was checked");
    let variables = params.vars().into_iter().chain(params.buffers());
    let entry = |(name, var): (String, candle_core::Var)| {
        let stored = encoder.stored(&name, var.dims(), image);
        let dims = stored.dims(var.dims());
        (stored.name, dims)
    };
    variables.map(entry).collect()
}
