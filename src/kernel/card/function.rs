//! Kernels by name: compiled when they are first asked for, and queued.

#![allow(clippy::disallowed_types, reason = "a map that is only asked by key")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::sys::CUfunction_attribute_enum;
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaModule, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::cudarc::nvrtc::{self, compile_ptx_with_opts};
use candle_core::cuda_backend::cudarc::nvrtc::{CompileError, CompileOptions, Ptx};
use candle_core::{CudaDevice, DType, Device, Error, Result};

use super::is_half;

/// A file of kernels.
pub(crate) struct Source {
    pub(crate) name: &'static str,
    text: &'static str,
}

/// What every file of kernels begins with.
const COMMON: &str = concat!(include_str!("common.cuh"), "\n", include_str!("fragments.cuh"));

macro_rules! sources {
    ($($name:ident = $file:literal;)*) => {
        impl Source {
            $(pub(crate) const $name: &'static Self =
                &Self { name: $file, text: include_str!(concat!($file, ".cu")) };)*
        }

        /// All files of kernels.
        const SOURCES: &[&Source] = &[$(Source::$name),*];
    };
}

sources! {
    ACTIVATION = "activation";
    ATTENTION = "attention";
    ATTENTION_HALVES = "attention_halves";
    CHANNEL_MAP = "channel_map";
    CONTRASTIVE = "contrastive";
    CONV = "conv";
    DROPOUT = "dropout";
    ELEMENTWISE = "elementwise";
    EMBEDDINGS = "embeddings";
    LAYER_NORM = "layer_norm";
    LINEAR = "linear";
    LOSSES = "losses";
    PAINT = "paint";
    PIXELS = "pixels";
    SPECTRAL = "spectral";
    STATISTICS = "statistics";
    LIST = "list";
    TOKENS = "tokens";
}

/// One argument of a kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Arg {
    /// Where elements begin.
    At(u64),
    Int(i32),
    Long(i64),
    Float(f32),
}

impl Arg {
    /// An address that is not there, for what is left out.
    pub(crate) const NONE: Self = Self::At(0);

    /// A size.
    ///
    /// # Panics
    /// When it does not fit 31 bits.
    pub(crate) fn size(value: usize) -> Self {
        Self::Int(i32::try_from(value).expect("sizes of kernels fit 31 bits"))
    }

    /// Whether it is an address that 16 bytes can be read from at once.
    pub(crate) fn is_even(self) -> bool {
        matches!(self, Self::At(at) if at.is_multiple_of(16))
    }

    /// An address as numbers of tables.
    ///
    /// # Panics
    /// When it is something else.
    pub(crate) fn address(self) -> i64 {
        match self {
            Self::At(at) => at as i64,
            other => unreachable!("elements are at an address, not at {other:?}"),
        }
    }

    /// An address some elements of a type further on.
    pub(crate) fn further(self, elements: usize, dtype: DType) -> Self {
        match self {
            Self::At(at) => Self::At(at + (elements * dtype.size_in_bytes()) as u64),
            other => other,
        }
    }
}

/// How many threads run a kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) blocks: [usize; 3],
    /// Of a block.
    pub(crate) threads: usize,
    /// Bytes that a block shares, besides those its kernel declares.
    pub(crate) shared: usize,
}

impl Grid {
    /// Blocks of threads that share nothing the kernel does not declare.
    pub(crate) fn of(blocks: usize, threads: usize) -> Self {
        Self { blocks: [blocks, 1, 1], threads, shared: 0 }
    }

    /// A thread for each of some elements.
    pub(crate) fn over(elements: usize) -> Self {
        Self::of(elements.div_ceil(256), 256)
    }

    /// A thread for each 16 bytes of some elements of a type.
    pub(crate) fn chunks(elements: usize, dtype: DType) -> Self {
        Self::over(elements.div_ceil(16 / dtype.size_in_bytes()))
    }

    /// `SPAN` elements of a type, as common.cuh has it.
    pub(crate) fn span(dtype: DType) -> usize {
        256 * 4 * 16 / dtype.size_in_bytes()
    }

    /// A block for each [`Grid::span`].
    pub(crate) fn spans(elements: usize, dtype: DType) -> Self {
        Self::of(elements.div_ceil(Self::span(dtype)), 256)
    }

    pub(super) fn is_empty(self) -> bool {
        self.blocks.contains(&0)
    }

    fn config(self) -> LaunchConfig {
        let [x, y, z] = self.blocks.map(|it| it as u32);
        LaunchConfig {
            grid_dim: (x, y, z),
            block_dim: (self.threads as u32, 1, 1),
            shared_mem_bytes: self.shared as u32,
        }
    }
}

/// A kernel of a file on a card, in bf16 or not.
type Key = (usize, &'static str, &'static str, bool);

/// By card and file, in bf16 or not: all streams of a card share what is loaded.
type Modules = HashMap<(usize, &'static str, bool), Arc<CudaModule>>;

thread_local! {
    /// Those that this thread has asked for, so that threads do not wait for each other.
    static FUNCTIONS: RefCell<HashMap<Key, Known>> = RefCell::default();
}

static MODULES: Mutex<Option<Modules>> = Mutex::new(None);

/// Bytes that a block may share without asking for more.
const SHARED: usize = 48 * 1024;

/// A kernel, and the bytes that its blocks may share.
struct Known {
    function: CudaFunction,
    shared: usize,
}

/// The bytes that blocks of kernels may share, where that is more: all queues of a card share them, so
/// they only become more.
static LARGE: Mutex<Option<HashMap<Key, usize>>> = Mutex::new(None);

pub(super) fn launch(
    device: &CudaDevice,
    kernel: (&'static Source, &'static str),
    dtype: DType,
    grid: Grid,
    args: &[Arg],
) -> Result<()> {
    let half = is_half(dtype)?;
    FUNCTIONS.with_borrow_mut(|known| {
        let key = (device.cuda_stream().context().ordinal(), kernel.0.name, kernel.1, half);
        let known = match known.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                place.insert(Known { function: function(device, kernel, half)?, shared: SHARED })
            }
        };
        if grid.shared > known.shared {
            known.share(key, grid.shared)?;
        }
        queue(device, &known.function, grid, args)
    })
}

impl Known {
    /// Lets blocks share so many bytes, or as many as they were let before.
    fn share(&mut self, key: Key, bytes: usize) -> Result<()> {
        let large = LARGE.lock();
        let mut large = large.unwrap_or_else(PoisonError::into_inner);
        let known = large.get_or_insert_default().entry(key).or_insert(SHARED);
        let most = bytes.max(*known);
        let attribute = CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        self.function.set_attribute(attribute, most as i32).w()?;
        (*known, self.shared) = (most, most);
        Ok(())
    }
}

fn queue(device: &CudaDevice, function: &CudaFunction, grid: Grid, args: &[Arg]) -> Result<()> {
    let stream = device.cuda_stream();
    let mut builder = stream.launch_builder(function);
    for arg in args {
        match arg {
            Arg::At(it) => builder.arg(it),
            Arg::Int(it) => builder.arg(it),
            Arg::Long(it) => builder.arg(it),
            Arg::Float(it) => builder.arg(it),
        };
    }
    // SAFETY: the halves of operations give kernels the arguments that they declare.
    unsafe { builder.launch(grid.config()) }.w()?;
    Ok(())
}

fn function(
    device: &CudaDevice,
    (source, name): (&'static Source, &'static str),
    half: bool,
) -> Result<CudaFunction> {
    let stream = device.cuda_stream();
    let context = stream.context();
    let modules = MODULES.lock();
    let mut modules = modules.unwrap_or_else(PoisonError::into_inner);
    let key = (context.ordinal(), source.name, half);
    let module = match modules.get_or_insert_default().entry(key) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => {
            let capability = context.compute_capability().w()?;
            let text = compiled(source, half, capability).map_err(|it| failed(source, &it))?;
            place.insert(context.load_module(text).w()?)
        }
    };
    module.load_function(name).w()
}

fn failed(source: &Source, error: &CompileError) -> Error {
    let why = match error {
        CompileError::CompileError { log, .. } => log.to_string_lossy().into_owned(),
        other => format!("{other:?}"),
    };
    Error::Msg(format!("the kernels of {} cannot be compiled: {why}", source.name))
}

/// Compiles and loads every kernel for the card that `device` is; gives the number of files.
///
/// # Errors
/// What the compiler says.
pub fn compile_all(device: &Device) -> Result<usize> {
    let stream = device.as_cuda_device()?.cuda_stream();
    let capability = stream.context().compute_capability().w()?;
    for source in SOURCES {
        for half in [false, true] {
            let text = compiled(source, half, capability);
            let text = text.map_err(|error| failed(source, &error))?;
            stream.context().load_module(text).w()?;
        }
    }
    Ok(SOURCES.len())
}

/// Where compiled kernels are kept from one program to the next.
#[derive(Clone, Copy)]
pub struct Shelf {
    /// What was kept of a source, compiled.
    pub read: fn(source: &str) -> Option<String>,
    /// Keeps what a source was compiled to.
    pub write: fn(source: &str, compiled: &str),
}

static SHELF: OnceLock<Shelf> = OnceLock::new();

/// Keeps kernels that are compiled from now on, and looks there first.
pub fn keep_compiled(shelf: Shelf) {
    SHELF.get_or_init(|| shelf);
}

/// The kernels of a file in the language that the driver takes, for activations in bf16 or in f32,
/// and a card of a capability (major, minor).
///
/// # Errors
/// What the compiler says.
pub(crate) fn compiled(
    source: &Source,
    half: bool,
    (major, minor): (i32, i32),
) -> std::result::Result<Ptx, CompileError> {
    let options = vec![
        format!("--gpu-architecture=compute_{major}{minor}"),
        format!("-DHALF={}", u8::from(half)),
        "--std=c++17".to_owned(),
    ];
    let (mut newest, mut of_it) = (0, 0);
    // SAFETY: the compiler was found before there was a card, and the numbers outlive the call.
    let _ = unsafe { nvrtc::sys::nvrtcVersion(&mut newest, &mut of_it) };
    let version = format!("{newest}.{of_it}");
    let text = format!("// {version} {}\n{COMMON}\n{}", options.join(" "), source.text);
    let shelf = SHELF.get();
    if let Some(known) = shelf.and_then(|shelf| (shelf.read)(&text)) {
        return Ok(Ptx::from_src(known));
    }
    let compiled = compile_ptx_with_opts(&text, CompileOptions { options, ..Default::default() })?;
    if let Some(shelf) = shelf {
        (shelf.write)(&text, &compiled.to_src());
    }
    Ok(compiled)
}
