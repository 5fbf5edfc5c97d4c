//! What a step of training asks of the system once it runs: nothing. A binary of its own, since the
//! pool of threads and the allocator are those of the program.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "the figures are worth seeing")]

#[path = "../it/made.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod made;
#[path = "../it/worked.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod worked;

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use balance::graph::{build, gradient, scalar, stage_stream};
use balance::library::{self, Library};
use balance::plan::Stage;
use balance::process;
use candle_core::{DType, Device};

use made::batch;
use worked::plan_of;

/// The program's allocator, with the bytes that are asked of it counted.
struct Counting(mimalloc::MiMalloc);

#[global_allocator]
static ALLOCATOR: Counting = Counting(mimalloc::MiMalloc);

static ASKED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the program's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { self.0.dealloc(pointer, layout) }
    }
}

/// Pages that the system has given to this process so far.
fn pages() -> usize {
    // SAFETY: a struct of numbers, filled in by the call.
    let usage = unsafe {
        let mut usage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage
    };
    usage.ru_minflt as usize
}

/// Bytes that steps ask of the allocator, and pages that this asks of the system, after a few steps.
fn of_steps(stage: &Stage) -> (usize, usize) {
    let library = Library::standard();
    let model = build(stage, &library, DType::F32, &Device::Cpu).unwrap();
    let optimizer = library::build(&library.optimizers, &stage.optimizer);
    let mut stepper = optimizer.start(model.params().vars()).unwrap();
    let batch = batch(stage, false);
    let mut step = |at: u64| {
        let stream = stage_stream(stage, "dropout").at(at);
        let (loss, grads) = gradient(&model, &stage.method, batch.clone(), stream).unwrap();
        assert!(scalar(&loss.total).unwrap().is_finite());
        stepper.step(&grads, 1e-3).unwrap();
    };
    (0..4).for_each(&mut step);
    let before = (ASKED.load(Ordering::Relaxed), pages());
    (4..12).for_each(&mut step);
    (ASKED.load(Ordering::Relaxed) - before.0, pages() - before.1)
}

const CASES: [&str; 3] =
    ["mlp()", "resnet(depth=18, width=16)", "vit(dim=128, depth=3, heads=4, dropout=0%)"];

#[test]
fn steps_take_no_memory_from_the_system() {
    let of = |encoder: &&str| {
        let text = format!(
            "edition 1\nexperiment steady {{\n  data = cifar10(labels=coarse)\n  \
             encoder = {encoder}\n  views = 2\n  loss {{ sup = supcon(); class = cross_entropy() }}\n  \
             train {{ optimizer = adamw(lr=1e-3); batch = 32; for = 1 epochs }}\n  \
             eval {{ fine = linear(labels=fine) }}\n}}\n"
        );
        let plan = plan_of(&text);
        let (asked, pages) = process::train(|| of_steps(&plan.stages[0]));
        println!("{encoder}: 8 steps ask for {} MiB, and take {pages} pages", asked >> 20);
        // Memory that went back and forth would be a page for every 4 KiB.
        assert!(asked > 64 << 20 && pages < asked / 4096 / 100, "{encoder}");
    };
    CASES.iter().for_each(of);
}

/// Pieces of pieces, each of which waits for others.
fn sum_of(from: u64, to: u64) -> u64 {
    if to - from < 8 {
        return (from..to).sum();
    }
    let middle = from.midpoint(to);
    let (a, b) = rayon::join(|| sum_of(from, middle), || sum_of(middle, to));
    a + b
}

#[test]
fn threads_that_are_kept_awake_keep_nobody_waiting() {
    for threads in [1, 2, 4] {
        let pool = process::pool(threads).unwrap();
        let sums = (0..2000).map(|_| pool.install(|| process::awake(|| sum_of(0, 500))));
        assert!(sums.into_iter().all(|sum| sum == 499 * 500 / 2));
        // From outside, and several at once.
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let once = || pool.install(|| process::awake(|| sum_of(0, 500)));
                    (0..500).for_each(|_| assert_eq!(once(), 499 * 500 / 2));
                });
            }
        });
        assert_eq!(process::awake(|| pool.install(|| sum_of(0, 100))), 99 * 50);
    }
}

#[test]
fn threads_of_a_training_flush_what_is_all_but_zero() {
    let product = || black_box(1e-30f32) * black_box(1e-10f32);
    assert!(product() > 0.0);
    process::train(|| {
        assert_eq!(product(), 0.0);
        assert!(rayon::broadcast(|_| product()).iter().all(|it| *it == 0.0));
    });
}
