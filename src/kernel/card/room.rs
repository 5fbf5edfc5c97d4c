//! Memory of the card: what operations are given, and what they make.

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::CudaStorageSlice;
use candle_core::cuda_backend::cudarc::driver::DevicePtr;
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, DType, Layout, Result, Shape, Storage, Tensor, bail};

use super::{Arg, Card, Made};

/// Contiguous elements that an operation is given.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    storage: &'a CudaStorage,
    layout: &'a Layout,
}

impl<'a> Operand<'a> {
    /// An error where elements are not contiguous.
    pub(crate) fn new(storage: &'a CudaStorage, layout: &'a Layout) -> Result<Self> {
        if !layout.is_contiguous() {
            bail!("this operation needs contiguous elements");
        }
        Ok(Self { storage, layout })
    }

    pub(crate) fn card(&self) -> Card<'a> {
        Card::of(self.storage)
    }

    pub(crate) fn dtype(&self) -> DType {
        self.storage.dtype()
    }

    pub(crate) fn shape(&self) -> &'a Shape {
        self.layout.shape()
    }

    pub(crate) fn len(&self) -> usize {
        self.layout.shape().elem_count()
    }

    /// Where its first element is, as an argument of kernels.
    pub(crate) fn at(&self) -> Arg {
        let offset = self.layout.start_offset() * self.dtype().size_in_bytes();
        Arg::At(address(self.storage) + offset as u64)
    }
}

/// Memory that an operation fills.
pub(crate) struct Room {
    storage: CudaStorage,
    len: usize,
}

impl Room {
    pub(super) fn new(storage: CudaStorage, len: usize) -> Self {
        Self { storage, len }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn dtype(&self) -> DType {
        self.storage.dtype()
    }

    /// Where its first element is, as an argument of kernels.
    pub(crate) fn at(&self) -> Arg {
        Arg::At(address(&self.storage))
    }

    /// Where element `index` is.
    pub(crate) fn from(&self, index: usize) -> Arg {
        let offset = index * self.dtype().size_in_bytes();
        Arg::At(address(&self.storage) + offset as u64)
    }

    /// Copies bytes of the CPU to where byte `first` is.
    pub(crate) fn fill(&mut self, first: usize, bytes: &[u8]) -> Result<()> {
        let device = self.storage.device().clone();
        match &mut self.storage.slice {
            CudaStorageSlice::U8(to) if !bytes.is_empty() => {
                device.memcpy_htod(bytes, &mut to.slice_mut(first..first + bytes.len()))
            }
            CudaStorageSlice::U8(_) => Ok(()),
            _ => bail!("bytes are copied where bytes are"),
        }
    }

    /// What the forward pass of an operation gives back.
    pub(crate) fn made(self, shape: impl Into<Shape>) -> Made {
        let shape = shape.into();
        debug_assert_eq!(shape.elem_count(), self.len);
        (self.storage, shape)
    }

    /// A tensor that is a leaf.
    pub(crate) fn tensor(self, shape: impl Into<Shape>) -> Tensor {
        leaf(self.made(shape))
    }
}

/// What was made as a tensor that is a leaf.
pub(crate) fn leaf((storage, shape): Made) -> Tensor {
    Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false)
}

/// Runs `work` on the elements of tensors on a card, in order.
///
/// # Errors
/// Those of `work`, and when a tensor is not on a card.
pub(crate) fn on<const N: usize, R>(
    tensors: [&Tensor; N],
    work: impl FnOnce([Operand; N]) -> Result<R>,
) -> Result<R> {
    let contiguous = tensors.map(Tensor::contiguous);
    let mut found = Vec::with_capacity(N);
    for tensor in contiguous {
        found.push(tensor?);
    }
    let guards: Vec<_> = found.iter().map(Tensor::storage_and_layout).collect();
    let mut operands = Vec::with_capacity(N);
    for (storage, layout) in &guards {
        match &**storage {
            Storage::Cuda(storage) => operands.push(Operand::new(storage, layout)?),
            _ => bail!("a tensor of this operation is not on the card"),
        }
    }
    match operands.try_into() {
        Ok(operands) => work(operands),
        Err(_) => unreachable!("as many as tensors"),
    }
}

/// Where a storage begins. Work is queued on one stream, so nothing needs to be waited for.
fn address(storage: &CudaStorage) -> u64 {
    let stream = storage.device().cuda_stream();
    match &storage.slice {
        CudaStorageSlice::U8(it) => it.device_ptr(&stream).0,
        CudaStorageSlice::U32(it) => it.device_ptr(&stream).0,
        CudaStorageSlice::I64(it) => it.device_ptr(&stream).0,
        CudaStorageSlice::BF16(it) => it.device_ptr(&stream).0,
        CudaStorageSlice::F32(it) => it.device_ptr(&stream).0,
        CudaStorageSlice::F64(it) => it.device_ptr(&stream).0,
        _ => unreachable!("kernels have no elements of other types"),
    }
}
