//! What a step of training holds in memory, as predicted and as counted. A binary of its own: its
//! allocator counts for the whole process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "the figures are worth seeing")]

#[path = "../it/made.rs"]
mod made;
#[path = "../it/worked.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod worked;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use balance::graph::build;
use balance::library::{self, Library};
use balance::nn::Mode;
use balance::plan::Stage;
use balance::seed::Stream;
use candle_core::{DType, Device};

use made::{batch, images};
use worked::plan_of;

/// How far a prediction may be off.
const TOLERANCE: f64 = 0.2;

struct Counting;

/// Held by the test that counts: what another does at the same time would be counted too.
static COUNTS: Mutex<()> = Mutex::new(());

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn took(size: usize) {
    let live = LIVE.fetch_add(size, Ordering::SeqCst) + size;
    MOST.fetch_max(live, Ordering::SeqCst);
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::SeqCst);
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The most bytes a model, its optimizer and two steps of it hold at once.
fn counted(stage: &Stage) -> usize {
    let library = Library::standard();
    let before = LIVE.load(Ordering::SeqCst);
    MOST.store(before, Ordering::SeqCst);
    let model = build(stage, &library, DType::F32, &Device::Cpu).unwrap();
    let optimizer = library::build(&library.optimizers, &stage.optimizer);
    let mut stepper = optimizer.start(model.params().vars()).unwrap();
    for step in 0..2 {
        let stream = Stream::new(0).at(step);
        let batch = batch(stage, model.needs_clean());
        let (_, gradients) = match stage.method.chunk {
            Some(chunk) => model.gradients_by_chunks(&batch, chunk, &stream).unwrap(),
            None => model.gradients(batch, &Mode::Train(stream)).unwrap(),
        };
        stepper.step(&gradients, 1e-3).unwrap();
    }
    MOST.load(Ordering::SeqCst) - before
}

/// The most bytes a model holds while it embeds.
fn counted_embedding(stage: &Stage) -> usize {
    let before = LIVE.load(Ordering::SeqCst);
    let model = build(stage, &Library::standard(), DType::F32, &Device::Cpu).unwrap();
    MOST.store(LIVE.load(Ordering::SeqCst), Ordering::SeqCst);
    model.embed(&images(stage, EMBEDDED)).unwrap();
    MOST.load(Ordering::SeqCst) - before
}

/// Images in one pass of an evaluation.
const EMBEDDED: usize = 256;

/// An experiment on small images of three channels.
fn experiment(encoder: &str, batch: usize, loss: &str, optimizer: &str) -> String {
    format!(
        "edition 1\nexperiment measured {{\n  data = cifar10(labels=coarse)\n  \
         encoder = {encoder}\n  views = 2\n  loss {{ {loss} }}\n  \
         train {{ optimizer = {optimizer}; batch = {batch}; for = 1 epochs }}\n  \
         eval {{ fine = linear(labels=fine) }}\n}}\n"
    )
}

const CONTRAST: &str = "sup = supcon(); cnce = class_infonce(); class = cross_entropy()";

/// Experiments of every kind of network, each with losses that keep something of their own.
const CASES: &[(&str, usize, &str, &str)] = &[
    ("mlp()", 128, CONTRAST, "adamw(lr=1e-3)"),
    ("mlp(widths=[64], out=32)", 512, CONTRAST, "sgd(lr=0.1)"),
    ("resnet(depth=8, width=16)", 16, CONTRAST, "adamw(lr=1e-3)"),
    ("resnet(depth=8, width=8, stem=halved)", 64, CONTRAST, "sgd(lr=0.1)"),
    ("resnet(depth=18, width=16)", 8, CONTRAST, "adamw(lr=1e-3)"),
    ("resnet(depth=18, width=64)", 4, CONTRAST, "adamw(lr=1e-3)"),
    ("resnet(depth=18, width=16, stem=imagenet)", 16, CONTRAST, "adamw(lr=1e-3)"),
    ("resnet(depth=50, width=16)", 8, CONTRAST, "adamw(lr=1e-3)"),
    ("resnet(depth=8, width=16, norm=group, groups=4)", 16, CONTRAST, "adamw(lr=1e-3)"),
    ("wide_resnet(depth=10, widen=2)", 16, CONTRAST, "adamw(lr=1e-3)"),
    ("wide_resnet(depth=10, widen=2, dropout=30%)", 16, CONTRAST, "sgd(lr=0.1)"),
    ("cnn()", 32, CONTRAST, "adamw(lr=1e-3)"),
    ("cnn(norm=none)", 32, CONTRAST, "adamw(lr=1e-3)"),
    ("vit(form=standard, dim=64, depth=4, heads=4)", 16, CONTRAST, "adamw(lr=1e-3)"),
    ("vit(dim=64, depth=4, heads=4)", 16, CONTRAST, "adamw(lr=1e-3)"),
    ("vit(dim=256, depth=7, heads=8)", 8, CONTRAST, "adamw(lr=1e-3)"),
    ("vit(dim=32, depth=2, heads=2, pool=mean)", 32, CONTRAST, "adamw(lr=1e-3)"),
    (
        "mlp()",
        64,
        "mse = class_autoencoder(decoder=mlp_decoder()); class = cross_entropy()",
        "adamw(lr=1e-3)",
    ),
    (
        "resnet(depth=8, width=16)",
        8,
        "mse = class_autoencoder(decoder=resnet18_decoder(width=8)); class = cross_entropy()",
        "adamw(lr=1e-3)",
    ),
    (
        "vit(dim=64, depth=2, heads=4)",
        8,
        "mse = class_autoencoder(decoder=resnet18_decoder(width=16), target=clean)",
        "adamw(lr=1e-3)",
    ),
    ("mlp(lipschitz=1.0)", 128, CONTRAST, "adamw(lr=1e-3)"),
    ("concat(a=mlp(), b=resnet(depth=8, width=8))", 32, CONTRAST, "adamw(lr=1e-3)"),
    (
        "mlp()",
        64,
        "mse = class_autoencoder(decoder=mlp_decoder(), condition=label); class = cross_entropy()",
        "adamw(lr=1e-3)",
    ),
    (
        "resnet(depth=8, width=16)",
        8,
        "mse = class_autoencoder(decoder=resnet18_decoder(width=8), condition=per_class)",
        "adamw(lr=1e-3)",
    ),
];

/// Batches in chunks, and how many times as much the whole batch holds at least: of a perceptron's
/// step most is the images, which are there as before.
const CHUNKED: &[(&str, usize, usize, f64)] = &[
    ("mlp(widths=[512, 512], out=64)", 2048, 128, 1.2),
    ("vit(dim=64, depth=4, heads=4)", 64, 8, 6.0),
    ("vit(dim=128, depth=2, heads=4)", 128, 16, 6.0),
];

#[test]
fn memory_falls_with_chunks_as_predicted() {
    let _alone = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut far = Vec::new();
    for (encoder, batch, chunk, times) in CHUNKED {
        let whole = experiment(encoder, *batch, CONTRAST, "sgd(lr=0.1)");
        let chunked = whole.replace("batch =", &format!("chunk = {chunk}; batch ="));
        let [whole, chunked] = [whole, chunked].map(|text| {
            let plan = plan_of(&text);
            (counted(&plan.stages[0]), plan.stages[0].step_bytes().unwrap())
        });
        let off = chunked.1 as f64 / chunked.0 as f64 - 1.0;
        let line = format!(
            "{:+.1}% for chunks of {chunk} in {batch}: predicted {}, counted {}, whole {}: {encoder}",
            100.0 * off,
            chunked.1,
            chunked.0,
            whole.0
        );
        println!("{line}");
        let falls = times * (chunked.0 as f64) < whole.0 as f64;
        far.extend((off.abs() > TOLERANCE || !falls).then_some(line));
    }
    assert!(far.is_empty(), "{}", far.join("\n"));
}

#[test]
fn memory_is_what_was_predicted() {
    let _alone = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut far = Vec::new();
    for (encoder, batch, loss, optimizer) in CASES {
        let plan = plan_of(&experiment(encoder, *batch, loss, optimizer));
        let stage = &plan.stages[0];
        let step = (counted(stage), stage.step_bytes().unwrap());
        let embedding = (counted_embedding(stage), stage.embedding_bytes().unwrap());
        for (what, (counted, predicted)) in [("a step", step), ("embedding", embedding)] {
            let off = predicted as f64 / counted as f64 - 1.0;
            let line = format!(
                "{:+.1}% for {what}: predicted {predicted}, counted {counted}: {encoder}, {loss}",
                100.0 * off
            );
            println!("{line}");
            far.extend((off.abs() > TOLERANCE).then_some(line));
        }
    }
    assert!(far.is_empty(), "{}", far.join("\n"));
}
