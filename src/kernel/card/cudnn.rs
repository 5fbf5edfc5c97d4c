//! Convolutions by cuDNN, where it is found and takes the sizes.
//!
//! Only algorithms that give the same bits every time are taken, and of those only ones that add up
//! products of the numbers themselves, in f32.

mod library;

use std::ffi::c_void;

use candle_core::cuda_backend::cudarc::cudnn::sys;
use candle_core::{DType, Error, Result};

pub(super) use library::is_used;
#[cfg(feature = "opened")]
pub(super) use library::lead;
use library::with;
pub use library::{has_cudnn, leave_cudnn, without_cudnn};

use super::{Arg, Card, is_half};
use crate::kernel::conv::Geometry;

/// Most algorithms that are asked for.
const ALGORITHMS: usize = 16;
/// Most bytes of a plan's scratch memory.
const SCRATCH: usize = 1 << 30;

/// What a convolution is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Forward,
    /// The gradient of its input.
    Data,
    /// The gradient of its weight.
    Filter,
}

#[derive(Clone, Copy)]
enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    Data(sys::cudnnConvolutionBwdDataAlgo_t),
    Filter(sys::cudnnConvolutionBwdFilterAlgo_t),
}

/// What cuDNN knows of a convolution.
#[derive(Clone, Copy)]
struct Described {
    handle: sys::cudnnHandle_t,
    x: sys::cudnnTensorDescriptor_t,
    weight: sys::cudnnFilterDescriptor_t,
    y: sys::cudnnTensorDescriptor_t,
    convolution: sys::cudnnConvolutionDescriptor_t,
}

type Key = (Direction, Geometry, bool);

/// How cuDNN computes a convolution.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    described: Described,
    algorithm: Algorithm,
    /// Bytes of scratch memory.
    scratch: usize,
    key: Key,
    /// Whether cuDNN did not refuse.
    has_run: bool,
}

/// How cuDNN computes a convolution of some sizes; none where it is not there or refuses.
pub(super) fn plan(
    card: Card,
    direction: Direction,
    geometry: Geometry,
    dtype: DType,
) -> Result<Option<Plan>> {
    if !is_used() {
        return Ok(None);
    }
    let key = (direction, geometry, is_half(dtype)?);
    let found = with(card, |library| {
        let handle = library.handle;
        *library.plans.entry(key).or_insert_with(|| Plan::new(handle, key))
    })?;
    Ok(found.flatten())
}

/// A number of C.
fn int(size: usize) -> Option<i32> {
    i32::try_from(size).ok()
}

impl Described {
    fn new(handle: sys::cudnnHandle_t, (_, it, half): Key) -> Option<Self> {
        let dtype = match half {
            true => sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16,
            false => sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
        };
        let channels_last = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        let tensor = |[n, c, h, w]: [usize; 4]| {
            let mut tensor = std::ptr::null_mut();
            // SAFETY: the descriptor is set as soon as it is there.
            unsafe {
                sys::cudnnCreateTensorDescriptor(&mut tensor).result().ok()?;
                let [n, c, h, w] = [int(n)?, int(c)?, int(h)?, int(w)?];
                sys::cudnnSetTensor4dDescriptor(tensor, channels_last, dtype, n, c, h, w)
            }
            .result()
            .ok()?;
            Some(tensor)
        };
        let x = tensor([it.batch, it.channels, it.height, it.width])?;
        let y = tensor([it.batch, it.filters, it.out_height, it.out_width])?;
        let mut weight = std::ptr::null_mut();
        let size = [it.filters, it.channels, it.kernel_height, it.kernel_width];
        let [k, c, h, w] = [int(size[0])?, int(size[1])?, int(size[2])?, int(size[3])?];
        // SAFETY: the descriptor is set as soon as it is there.
        unsafe {
            sys::cudnnCreateFilterDescriptor(&mut weight).result().ok()?;
            sys::cudnnSetFilter4dDescriptor(weight, dtype, channels_last, k, c, h, w)
        }
        .result()
        .ok()?;
        Some(Self { handle, x, weight, y, convolution: convolution(&it, half)? })
    }
}

fn convolution(it: &Geometry, half: bool) -> Option<sys::cudnnConvolutionDescriptor_t> {
    let (padding, stride) = (int(it.padding)?, int(it.stride)?);
    let mode = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
    let sums = sys::cudnnDataType_t::CUDNN_DATA_FLOAT;
    let math = match half {
        true => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
        // Tensor cores would round f32.
        false => sys::cudnnMathType_t::CUDNN_FMA_MATH,
    };
    let mut made = std::ptr::null_mut();
    // SAFETY: the descriptor is set as soon as it is there.
    unsafe {
        sys::cudnnCreateConvolutionDescriptor(&mut made).result().ok()?;
        let (p, s) = (padding, stride);
        sys::cudnnSetConvolution2dDescriptor(made, p, p, s, s, 1, 1, mode, sums).result().ok()?;
        sys::cudnnSetConvolutionMathType(made, math).result().ok()?;
    }
    Some(made)
}

/// The fastest of the algorithms that are allowed, by what cuDNN expects of them.
macro_rules! fastest {
    ($ask:ident, $perf:ident, [$($argument:expr),*], $allowed:pat) => {{
        // SAFETY: all fields are numbers, of which 0 is one that they may be.
        let mut found: [sys::$perf; ALGORITHMS] = unsafe { std::mem::zeroed() };
        let mut count = 0;
        // SAFETY: the descriptors are set, and there is room for what is asked for.
        unsafe {
            sys::$ask($($argument,)* ALGORITHMS as i32, &mut count, found.as_mut_ptr())
        }
        .result()
        .ok()?;
        let found = found.into_iter().take(count as usize).find(|it| {
            it.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS
                && it.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC
                && it.memory <= SCRATCH
                && matches!(it.algo, $allowed)
        });
        found?.algo
    }};
}

impl Plan {
    fn new(handle: sys::cudnnHandle_t, key: Key) -> Option<Self> {
        let described = Described::new(handle, key)?;
        let algorithm = described.algorithm(key.0)?;
        let scratch = described.scratch(algorithm)?;
        Some(Self { described, algorithm, scratch, key, has_run: false })
    }

    /// Queues the convolution with the arrays of its input, weight and output or of their
    /// gradients; false where cuDNN refuses, which it is then not asked again.
    pub(super) fn run(&self, card: Card, arrays: [Arg; 3]) -> Result<bool> {
        let scratch = card.room(self.scratch, DType::U8)?;
        let run = Run { plan: *self, arrays, scratch: scratch.at() };
        #[cfg(feature = "opened")]
        if super::replay::keeps_convolution(&run, self.has_run) {
            return Ok(true);
        }
        let is_done = run.queue(card)?;
        if !is_done || !self.has_run {
            let plan = is_done.then_some(Self { has_run: true, ..*self });
            with(card, |library| library.plans.insert(self.key, plan))?;
        }
        Ok(is_done)
    }

    fn queue(&self, [x, weight, y]: [*mut c_void; 3], scratch: *mut c_void) -> Option<()> {
        let Described { handle, x: of_x, weight: of_weight, y: of_y, convolution } = self.described;
        let (one, zero) = (1.0f32, 0.0f32);
        let one = std::ptr::from_ref(&one).cast::<c_void>();
        let zero = std::ptr::from_ref(&zero).cast::<c_void>();
        let size = self.scratch;
        // SAFETY: the arrays are of the sizes described, and outlive what is queued on the stream.
        let status = unsafe {
            match self.algorithm {
                Algorithm::Forward(algorithm) => sys::cudnnConvolutionForward(
                    handle,
                    one,
                    of_x,
                    x,
                    of_weight,
                    weight,
                    convolution,
                    algorithm,
                    scratch,
                    size,
                    zero,
                    of_y,
                    y,
                ),
                Algorithm::Data(algorithm) => sys::cudnnConvolutionBackwardData(
                    handle,
                    one,
                    of_weight,
                    weight,
                    of_y,
                    y,
                    convolution,
                    algorithm,
                    scratch,
                    size,
                    zero,
                    of_x,
                    x,
                ),
                Algorithm::Filter(algorithm) => sys::cudnnConvolutionBackwardFilter(
                    handle,
                    one,
                    of_x,
                    x,
                    of_y,
                    y,
                    convolution,
                    algorithm,
                    scratch,
                    size,
                    zero,
                    of_weight,
                    weight,
                ),
            }
        };
        status.result().ok()
    }
}

/// A convolution of some arrays.
#[derive(Clone, Copy)]
pub(super) struct Run {
    plan: Plan,
    arrays: [Arg; 3],
    scratch: Arg,
}

impl PartialEq for Run {
    fn eq(&self, other: &Self) -> bool {
        let all = |run: &Self| (run.plan.key, run.arrays, run.scratch);
        all(self) == all(other)
    }
}

impl Run {
    /// Queues it; false where cuDNN refuses.
    pub(super) fn queue(&self, card: Card) -> Result<bool> {
        let arrays = self.arrays.map(pointer);
        let done = with(card, |_| self.plan.queue(arrays, pointer(self.scratch)).is_some())?;
        done.ok_or_else(|| Error::msg("cuDNN is gone"))
    }
}

impl Described {
    fn algorithm(&self, direction: Direction) -> Option<Algorithm> {
        use sys::cudnnConvolutionBwdDataAlgo_t::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
        use sys::cudnnConvolutionBwdFilterAlgo_t::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
        use sys::cudnnConvolutionFwdAlgo_t::{
            CUDNN_CONVOLUTION_FWD_ALGO_GEMM, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
            CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
        };
        let Self { handle, x, weight, y, convolution } = *self;
        Some(match direction {
            Direction::Forward => Algorithm::Forward(fastest!(
                cudnnGetConvolutionForwardAlgorithm_v7,
                cudnnConvolutionFwdAlgoPerf_t,
                [handle, x, weight, convolution, y],
                CUDNN_CONVOLUTION_FWD_ALGO_GEMM
                    | CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM
                    | CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM
            )),
            Direction::Data => Algorithm::Data(fastest!(
                cudnnGetConvolutionBackwardDataAlgorithm_v7,
                cudnnConvolutionBwdDataAlgoPerf_t,
                [handle, weight, y, convolution, x],
                CUDNN_CONVOLUTION_BWD_DATA_ALGO_1
            )),
            Direction::Filter => Algorithm::Filter(fastest!(
                cudnnGetConvolutionBackwardFilterAlgorithm_v7,
                cudnnConvolutionBwdFilterAlgoPerf_t,
                [handle, x, y, convolution, weight],
                CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1
            )),
        })
    }

    /// Bytes of scratch memory that an algorithm needs.
    fn scratch(&self, algorithm: Algorithm) -> Option<usize> {
        let Self { handle, x, weight, y, convolution } = *self;
        let mut size = 0;
        // SAFETY: the descriptors are set.
        let status = unsafe {
            match algorithm {
                Algorithm::Forward(algorithm) => sys::cudnnGetConvolutionForwardWorkspaceSize(
                    handle,
                    x,
                    weight,
                    convolution,
                    y,
                    algorithm,
                    &mut size,
                ),
                Algorithm::Data(algorithm) => sys::cudnnGetConvolutionBackwardDataWorkspaceSize(
                    handle,
                    weight,
                    y,
                    convolution,
                    x,
                    algorithm,
                    &mut size,
                ),
                Algorithm::Filter(algorithm) => {
                    sys::cudnnGetConvolutionBackwardFilterWorkspaceSize(
                        handle,
                        x,
                        y,
                        convolution,
                        weight,
                        algorithm,
                        &mut size,
                    )
                }
            }
        };
        status.result().ok()?;
        (size <= SCRATCH).then_some(size)
    }
}

fn pointer(arg: Arg) -> *mut c_void {
    match arg {
        Arg::At(at) => at as *mut c_void,
        _ => unreachable!("arrays begin at an address"),
    }
}
