//! What a program that trains asks of its process: threads that do not get into each other's way,
//! and memory that stays.

use std::ffi::c_long;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Bytes of a pool thread's stack: what the main thread of a program usually has.
const STACK: usize = 8 << 20;

/// mimalloc's number of the milliseconds after which freed memory goes back to the system.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Keeps candle from starting threads for its element-wise operations: they wait by spinning, which
/// takes the cores from the threads that make batches and run the kernels. On two busy cores half of
/// a training's time went there.
pub fn calm_candle() {
    const THREADS: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(THREADS).is_none() {
        // SAFETY: no other thread runs yet that could read the environment.
        unsafe { std::env::set_var(THREADS, "1") };
    }
}

/// Does `work` on a thread of the pool that runs the kernels, with freed memory kept for the next
/// step.
///
/// A thread outside the pool hands over every kernel and sleeps until it is done: on two cores a
/// step of a transformer took 1.6 times as long for it. And memory that goes back
/// to the system between steps is cleared page by page when it comes again, which took as long as
/// the kernels.
pub fn train<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    // SAFETY: sets a number. Where the program has another allocator, nobody reads it.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1 as c_long) };
    // A pool that is there already stays as it is.
    let _ = builder().build_global();
    rayon::scope(|_| work())
}

/// How often in a row a thread that is kept awake looks for work in vain before it may sleep: some
/// milliseconds, longer than what is computed between two kernels.
const PATIENCE: usize = 20_000;

/// Does `work`, which hands out one small piece after the other, with the other threads of this
/// pool awake: to wake one takes as long as a small kernel, and a step of a perceptron a third
/// longer.
pub fn awake<R>(work: impl FnOnce() -> R) -> R {
    let (own, end) = (rayon::current_thread_index(), Arc::new(AtomicBool::new(false)));
    let ends = end.clone();
    // A thread must not wait on itself for the end of what it is doing.
    rayon::spawn_broadcast(move |at| {
        if Some(at.index()) != own {
            stay(&ends);
        }
    });
    let _until = Until(end);
    work()
}

/// Runs what there is to run until the end. Whoever finds nothing for long leaves: below this may
/// stand a piece of the very work whose end is waited for.
fn stay(end: &AtomicBool) {
    let mut vain = 0;
    while vain < PATIENCE && !end.load(Ordering::Relaxed) {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            vain = 0;
        } else {
            vain += 1;
            std::thread::yield_now();
        }
    }
}

/// Says that work is over when it is dropped.
struct Until(Arc<AtomicBool>);

impl Drop for Until {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Threads that run kernels.
fn builder() -> ThreadPoolBuilder {
    ThreadPoolBuilder::new().stack_size(STACK).start_handler(|_| flush_denormals())
}

/// Lets numbers closer to zero than the smallest normal one count as zero on this thread: a
/// processor takes a hundred times as long for each, and momentum that dies away is made of them.
fn flush_denormals() {
    #[cfg(target_arch = "x86_64")]
    {
        const FLUSH_TO_ZERO_AND_DENORMALS_ARE_ZERO: u32 = 1 << 15 | 1 << 6;
        let mut control = 0u32;
        // SAFETY: reads and writes the control register of vector instructions alone. The compiler
        // takes it to have its first value: what it works out ahead of time may keep a number that
        // would be flushed here.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &mut control, options(nostack));
            control |= FLUSH_TO_ZERO_AND_DENORMALS_ARE_ZERO;
            std::arch::asm!("ldmxcsr [{}]", in(reg) &control, options(nostack));
        }
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; bit 24 is that of flushing to zero.
    unsafe {
        std::arch::asm!(
            "mrs {0}, fpcr", "orr {0}, {0}, #0x1000000", "msr fpcr, {0}",
            out(reg) _, options(nostack),
        );
    }
}

/// A pool of its own for one of several trainings beside each other; work installed in it runs on
/// its threads.
///
/// # Errors
/// When the system gives no more threads.
pub fn pool(threads: usize) -> Result<ThreadPool, ThreadPoolBuildError> {
    let name = |at| format!("worker {at}");
    builder().num_threads(threads).thread_name(name).build()
}
