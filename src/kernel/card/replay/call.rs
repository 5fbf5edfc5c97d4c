//! One thing that a step queues.

use std::ffi::{c_uint, c_void};
use std::rc::Rc;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::sys::{CUdeviceptr, CUfunction, CUstream};
use candle_core::cuda_backend::cudarc::driver::tape::Work;
use candle_core::cuda_backend::cudarc::driver::{result, sys};
use candle_core::{CudaDevice, Result, bail};

use super::super::cudnn::Run;
use super::super::{Card, Product, blas};
use super::sizes::Sizes;

/// What a step is about to queue.
pub(super) enum Asked<'a> {
    Work(Work<'a>),
    Product(&'a Product),
    Convolution(&'a Run),
}

/// What a step queues.
pub(super) enum Call {
    Launch(Launch),
    Product(Product),
    Convolution(Run),
    Upload { to: CUdeviceptr, bytes: Vec<u8> },
    Copy { to: CUdeviceptr, from: CUdeviceptr, bytes: usize },
    Fill { to: CUdeviceptr, value: u8, bytes: usize },
}

/// A kernel with its arguments.
pub(super) struct Launch {
    function: CUfunction,
    blocks: [c_uint; 3],
    threads: [c_uint; 3],
    shared: c_uint,
    /// Of each argument, in bytes.
    sizes: Rc<[usize]>,
    /// The arguments, each in as many words as it needs.
    words: Vec<u64>,
    /// Whether they are others than a graph has.
    pub(super) is_new: bool,
}

/// What a step queues, in order.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) all: Vec<Call>,
    sizes: Sizes,
}

impl Calls {
    /// Adds what is asked for; false where the driver does not say how large arguments are.
    pub(super) fn add(&mut self, asked: &Asked) -> bool {
        let call = Call::new(asked, &mut self.sizes);
        let is_known = call.is_some();
        self.all.extend(call);
        is_known
    }
}

impl Call {
    fn new(asked: &Asked, sizes: &mut Sizes) -> Option<Self> {
        Some(match *asked {
            Asked::Work(Work::Launch { function, blocks, threads, shared, arguments }) => {
                let sizes = sizes.of(function, arguments.len())?;
                let words = words(&sizes, arguments).collect();
                let is_new = false;
                Self::Launch(Launch { function, blocks, threads, shared, sizes, words, is_new })
            }
            Asked::Work(Work::Upload { to, from }) => Self::Upload { to, bytes: from.to_vec() },
            Asked::Work(Work::Copy { to, from, bytes }) => Self::Copy { to, from, bytes },
            Asked::Work(Work::Fill { to, value, bytes }) => Self::Fill { to, value, bytes },
            Asked::Product(product) => Self::Product(*product),
            Asked::Convolution(run) => Self::Convolution(*run),
        })
    }

    /// Becomes what is asked for, if that differs in nothing but what a graph can be told: arguments
    /// of kernels, and bytes from the host.
    pub(super) fn becomes(&mut self, asked: &Asked) -> bool {
        match (self, asked) {
            (Self::Launch(known), Asked::Work(work @ Work::Launch { .. })) => known.becomes(work),
            (Self::Upload { to, bytes }, Asked::Work(Work::Upload { to: at, from })) => {
                let is_same = to == at && bytes.len() == from.len();
                if is_same {
                    bytes.copy_from_slice(from);
                }
                is_same
            }
            (
                Self::Copy { to, from, bytes },
                Asked::Work(Work::Copy { to: at, from: of, bytes: n }),
            ) => (&*to, &*from, &*bytes) == (at, of, n),
            (
                Self::Fill { to, value, bytes },
                Asked::Work(Work::Fill { to: at, value: by, bytes: n }),
            ) => (&*to, &*value, &*bytes) == (at, by, n),
            (Self::Product(known), Asked::Product(product)) => known == *product,
            (Self::Convolution(known), Asked::Convolution(run)) => known == *run,
            _ => false,
        }
    }

    /// Queues it: kernels and copies on `stream`, products and convolutions on the stream that their
    /// libraries have been given.
    pub(super) fn queue(&mut self, device: &CudaDevice, stream: CUstream) -> Result<()> {
        // SAFETY: what a step was about to queue is queued as it was, and its memory is not given to
        // others before.
        unsafe {
            match self {
                Self::Launch(launch) => launch.queue(stream),
                Self::Product(product) => blas::queue(device, product),
                Self::Convolution(run) => match run.queue(Card { device })? {
                    true => Ok(()),
                    false => bail!("cuDNN refuses what it computed before"),
                },
                Self::Upload { to, bytes } => result::memcpy_htod_async(*to, bytes, stream).w(),
                Self::Copy { to, from, bytes } => {
                    result::memcpy_dtod_async(*to, *from, *bytes, stream).w()
                }
                Self::Fill { to, value, bytes } => {
                    result::memset_d8_async(*to, *value, *bytes, stream).w()
                }
            }
        }
    }
}

/// The words of arguments of such sizes.
fn words<'a>(sizes: &'a [usize], arguments: &'a [*mut c_void]) -> impl Iterator<Item = u64> + 'a {
    sizes.iter().zip(arguments).flat_map(|(size, argument)| {
        (0..*size).step_by(8).map(move |first| {
            let mut word = [0; 8];
            let len = (size - first).min(8);
            // SAFETY: a kernel's argument has as many bytes as the driver says.
            unsafe {
                let from = argument.cast::<u8>().add(first);
                std::ptr::copy_nonoverlapping(from, word.as_mut_ptr(), len);
            }
            u64::from_ne_bytes(word)
        })
    })
}

impl Launch {
    fn becomes(&mut self, work: &Work) -> bool {
        let Work::Launch { function, blocks, threads, shared, arguments } = work else {
            return false;
        };
        let own = (&self.function, &self.blocks, &self.threads, &self.shared);
        if own != (function, blocks, threads, shared) {
            return false;
        }
        for (known, word) in self.words.iter_mut().zip(words(&self.sizes, arguments)) {
            self.is_new |= *known != word;
            *known = word;
        }
        true
    }

    /// Where each argument is.
    fn arguments(&mut self) -> Vec<*mut c_void> {
        let mut rest = &mut self.words[..];
        let place = |size: &usize| {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(size.div_ceil(8));
            rest = others;
            own.as_mut_ptr().cast()
        };
        self.sizes.iter().map(place).collect()
    }

    unsafe fn queue(&mut self, stream: CUstream) -> Result<()> {
        let (blocks, threads) = (self.blocks.into(), self.threads.into());
        let (function, shared) = (self.function, self.shared);
        let mut arguments = self.arguments();
        // SAFETY: as for the caller.
        unsafe {
            result::launch_kernel(function, blocks, threads, shared, stream, &mut arguments).w()
        }
    }

    /// Tells a graph the arguments of its node.
    pub(super) fn tell(&mut self, graph: sys::CUgraphExec, node: sys::CUgraphNode) -> Result<()> {
        let mut arguments = self.arguments();
        // SAFETY: what is not set is nothing.
        let mut told: sys::CUDA_KERNEL_NODE_PARAMS = unsafe { std::mem::zeroed() };
        told.func = self.function;
        [told.gridDimX, told.gridDimY, told.gridDimZ] = self.blocks;
        [told.blockDimX, told.blockDimY, told.blockDimZ] = self.threads;
        told.sharedMemBytes = self.shared;
        told.kernelParams = arguments.as_mut_ptr();
        // SAFETY: the node is of the graph, and arguments are copied within the call.
        unsafe { sys::cuGraphExecKernelNodeSetParams_v2(graph, node, &told).result().w()? };
        self.is_new = false;
        Ok(())
    }
}
