//! Kernels on a CUDA card: the same operations as those on the CPU, in f32, or with activations in
//! bf16 and sums in f32.
//!
//! Their sources are compiled when they are first used, for the card that is there; CUDA's own
//! compiler is not needed for building. Everything of a device is queued on one stream, so what is
//! queued later sees what was queued before, and rooms that are dropped are reused behind it. Sums
//! are added in an order that depends on shapes alone, as on the CPU.

pub(crate) mod activation;
pub(crate) mod attention;
mod blas;
pub(crate) mod channel_map;
mod columns;
pub(crate) mod contrastive;
pub(crate) mod conv;
mod cudnn;
mod device;
pub(crate) mod dropout;
pub(crate) mod elementwise;
mod function;
pub(crate) mod layer_norm;
pub(crate) mod ledger;
pub(crate) mod linear;
pub(crate) mod list;
pub(crate) mod losses;
pub(crate) mod paint;
pub(crate) mod pixels;
#[cfg(feature = "opened")]
mod replay;
mod room;
mod rounded;
pub(crate) mod spectral;
pub(crate) mod statistics;
mod together;
pub(crate) mod tokens;
pub(crate) mod totals;

pub use activation::gelu_of_sums;
pub use contrastive::holding_at_once;
pub use cudnn::{has_cudnn, leave_cudnn, without_cudnn};
pub use device::{card_device, cards, most_used};
pub use dropout::{Draws, residual};
pub use function::{Shelf, compile_all, keep_compiled};
pub use list::bounded_on_card;
pub use paint::{Touch, View, is_paintable, paint, resident};
#[cfg(feature = "opened")]
pub use replay::{Replay, held, is_sound};
pub use rounded::Rounded;
pub use tokens::{patches_on_card, tokens_on_card};

pub(crate) use blas::{Factor, Product};
pub(crate) use function::{Arg, Grid, Source};
pub(crate) use room::{Operand, Room, leaf, on};

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::sys::CUdevice_attribute;
use candle_core::{CudaDevice, CudaStorage, DType, Device, Result, Shape, Tensor, bail};

/// Bytes that are copied to a card at once: the driver lets more wait for all that is queued.
const COPIED: usize = 60 * 1024;

/// What an operation gives back.
pub(crate) type Made = (CudaStorage, Shape);

/// A card and the stream that its work is queued on.
#[derive(Clone, Copy)]
pub(crate) struct Card<'a> {
    device: &'a CudaDevice,
}

impl<'a> Card<'a> {
    /// The card that `storage` is on.
    pub(crate) fn of(storage: &'a CudaStorage) -> Self {
        Self { device: storage.device() }
    }

    /// The card of a tensor's device.
    pub(crate) fn from(tensor: &'a Tensor) -> Result<Self> {
        Self::on(tensor.device())
    }

    /// The card that is a device.
    pub(crate) fn on(device: &'a Device) -> Result<Self> {
        Ok(Self { device: device.as_cuda_device()? })
    }

    /// Room for some elements, whose values are not known yet.
    pub(crate) fn room(self, len: usize, dtype: DType) -> Result<Room> {
        // SAFETY: whoever asks for room writes all of it before reading.
        let storage = unsafe { self.device.alloc_uninit(&Shape::from(len.max(1)), dtype)? };
        Ok(Room::new(storage, len))
    }

    /// Room for some elements, all 0.
    pub(crate) fn zeros(self, len: usize, dtype: DType) -> Result<Room> {
        Ok(Room::new(self.device.zeros_impl(&Shape::from(len.max(1)), dtype)?, len))
    }

    /// A copy of numbers of the CPU.
    pub(crate) fn upload<T: candle_core::WithDType>(self, values: &[T]) -> Result<Room> {
        let storage = match values {
            [] => self.device.zeros_impl(&Shape::from(1), T::DTYPE)?,
            values => self.device.storage_from_slice(values)?,
        };
        Ok(Room::new(storage, values.len()))
    }

    /// Queues a kernel.
    pub(crate) fn launch(
        self,
        (source, name): (&'static Source, &'static str),
        dtype: DType,
        grid: Grid,
        args: &[Arg],
    ) -> Result<()> {
        if grid.is_empty() {
            return Ok(());
        }
        function::launch(self.device, (source, name), dtype, grid, args)
    }

    /// The most bytes that a block can share.
    pub(crate) fn most_shared(self) -> Result<usize> {
        let attribute = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
        let most = self.device.cuda_stream().context().attribute(attribute).w()?;
        // Beside what kernels declare.
        Ok((most as usize).saturating_sub(4096))
    }

    /// Queues a matrix product.
    pub(crate) fn multiply(self, product: &Product) -> Result<()> {
        blas::multiply(self.device, product)
    }
}

/// The type of activations that kernels are there for.
pub(crate) fn is_half(dtype: DType) -> Result<bool> {
    match dtype {
        DType::F32 => Ok(false),
        DType::BF16 => Ok(true),
        other => bail!("a card computes in f32 or bf16, not in {other:?}"),
    }
}
