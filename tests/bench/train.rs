//! The training step of an experiment's first stage, on made images: one step for each line of
//! standard input, and its seconds for an answer, so that another program can take turns with it.
//!
//! ```text
//! cargo bench --no-run --bench train
//! python tests/bench/versus/train.py target/release/deps/train-…
//! ```

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "its output is for people")]

use std::path::Path;
use std::time::Instant;

use balance::catalog::Facts;
use balance::diag::{Sources, has_errors};
use balance::graph::{Batch, Model, build, gradient, scalar, stage_stream};
use balance::library::optimizer::{Optimizer, Stepper};
use balance::library::{self, Library};
use balance::plan::{Stage, check};
use balance::resolve::{Options, load, resolve};
use balance::seed::Stream;
use candle_core::{DType, Device, Result, Tensor};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The first stage of the experiment `name` in `file`.
fn stage(library: &Library, file: &str, name: &str) -> Stage {
    let mut sources = Sources::default();
    let reader = |path: &Path| std::fs::read(path);
    let (program, mut found) = load(Path::new(file), &mut sources, &reader);
    let (designs, more) = resolve(&program, &library.catalog(), &Options::default());
    found.extend(more);
    let design = designs.iter().find(|design| design.name.node == name).expect("an experiment");
    let calls = design.cells[0].experiment.stages.iter().map(|stage| &stage.data.bound);
    let facts: Facts = library.facts_of(calls, Path::new("data"));
    let (plan, more) = check(design, &facts, None);
    found.extend(more);
    assert!(!has_errors(&found), "{found:#?}");
    plan.unwrap().stages.remove(0)
}

/// A batch of noise in the shape of the stage's images, with every class in it.
fn batch(stage: &Stage) -> Result<Batch> {
    let image = stage.data.image;
    let shape = [stage.views * stage.batch, image.height, image.width, image.channels];
    let mut stream = Stream::new(3);
    let mut normal = |shape: [usize; 4]| {
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
        Tensor::from_vec(values, shape.to_vec(), &Device::Cpu)
    };
    let classes = stage.data.classes.of_fine.len() as u32;
    Ok(Batch {
        images: normal(shape)?,
        clean: Some(normal([stage.batch, shape[1], shape[2], shape[3]])?),
        fine: (0..stage.batch as u32).map(|item| item % classes).collect(),
        groups: Vec::new(),
        views: stage.views,
        mixed: None,
    })
}

fn step(
    stage: &Stage,
    model: &Model,
    stepper: &mut dyn Stepper,
    rate: f64,
    batch: &Batch,
) -> Result<f64> {
    let stream = stage_stream(stage, "dropout");
    let (loss, grads) = gradient(model, &stage.method, batch.clone(), stream)?;
    let loss = scalar(&loss.total)?;
    stepper.step(&grads, rate)?;
    Ok(loss)
}

fn main() -> Result<()> {
    // SAFETY: no other thread runs yet. The program does so too: candle's threads wait by spinning.
    unsafe { std::env::set_var("CANDLE_NUM_THREADS", "1") };
    let mut arguments = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let (Some(file), Some(name)) = (arguments.next(), arguments.next()) else {
        println!("usage: train FILE NAME, where NAME is an experiment of FILE");
        return Ok(());
    };
    let library = Library::standard();
    let stage = stage(&library, &file, &name);
    let model = build(&stage, &library, DType::F32, &Device::Cpu)?;
    let optimizer: Box<dyn Optimizer> = library::build(&library.optimizers, &stage.optimizer);
    let mut stepper = optimizer.start(model.params().vars())?;
    let batch = batch(&stage)?;
    for line in std::io::stdin().lines() {
        line?;
        let start = Instant::now();
        let loss = step(&stage, &model, &mut *stepper, optimizer.learning_rate(), &batch)?;
        println!("{} {loss}", start.elapsed().as_secs_f64());
    }
    Ok(())
}
