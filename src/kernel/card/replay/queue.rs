//! Where steps are queued.

use std::sync::Arc;

use candle_core::backend::BackendDevice;
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::cublas::sys::{cublasSetStream_v2, cublasSetWorkspace_v2};
use candle_core::cuda_backend::cudarc::driver::{CudaStream, rooms};
use candle_core::{CudaDevice, DType, Result};

use super::super::{Arg, Card, Room, cudnn};

/// Bytes of scratch memory of cuBLAS.
const SCRATCH: usize = 32 << 20;

/// Where steps are queued: the stream of a device, and another on which graphs are noted.
pub(super) struct Queue {
    pub(super) device: CudaDevice,
    /// Nothing else is on it.
    pub(super) beside: Arc<CudaStream>,
    /// What cuBLAS writes to: the same in a graph and elsewhere, so that it computes alike.
    scratch: Room,
}

impl Queue {
    pub(super) fn new(device: &CudaDevice) -> Result<Self> {
        let beside = device.cuda_stream().context().new_stream().w()?;
        let scratch = Card { device }.room(SCRATCH, DType::U8)?;
        let queue = Self { device: device.clone(), beside, scratch };
        queue.lead_own()?;
        Ok(queue)
    }

    /// Lets libraries queue what they do where steps are queued.
    pub(super) fn lead_own(&self) -> Result<()> {
        self.lead(&self.device.cuda_stream())
    }

    /// Lets libraries queue what they do on a stream.
    pub(super) fn lead(&self, to: &Arc<CudaStream>) -> Result<()> {
        let blas = self.device.cublas_handle();
        let Arg::At(scratch) = self.scratch.at() else { unreachable!("an address") };
        // SAFETY: the handle lives as long as the device, and forgets the memory before it goes.
        unsafe {
            cublasSetStream_v2(*blas.handle(), to.cu_stream().cast()).result().w()?;
            cublasSetWorkspace_v2(*blas.handle(), scratch as *mut _, SCRATCH).result().w()?;
        }
        cudnn::lead(Card { device: &self.device }, to.cu_stream())
    }

    /// Gives the memory that a kind of step has for itself to everybody.
    pub(super) fn forget(&self, kind: usize) {
        rooms::forget_step(self.device.cuda_stream().cu_stream(), kind);
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        rooms::forget_steps(self.device.cuda_stream().cu_stream());
        // What is queued may write to it. Whatever is wrong with the card, the next who uses it is told.
        let _ = self.device.synchronize();
        let stream = self.device.cuda_stream().cu_stream();
        // SAFETY: a stream that is set lets the handle forget other memory than its own.
        let _ = unsafe { cublasSetStream_v2(*self.device.cublas_handle().handle(), stream.cast()) };
    }
}
