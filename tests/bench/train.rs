//! The training step of an experiment's first stage, on made images: one step for each line of
//! standard input, and its seconds for an answer, so that another program can take turns with it.
//!
//! ```text
//! cargo bench --no-run --bench train
//! python tests/bench/versus/train.py target/release/deps/train-…
//! ```

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "its output is for people")]

#[path = "shared/planned.rs"]
mod planned;

use std::path::Path;
use std::time::Instant;

use balance::graph::{Batch, Model, build, gradient, scalar, stage_stream};
use balance::kernel::{Denominator, PairKind, PairTerm, Sum, contrastive, gradients};
use balance::library::optimizer::{Optimizer, Stepper};
use balance::library::{self, Library};
use balance::plan::Stage;
use balance::seed::Stream;
use candle_core::{DType, Device, Result, Tensor};

use planned::plan;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The first stage of the experiment `name` in `file`.
fn stage(library: &Library, file: &str, name: &str) -> Stage {
    plan(library, file, Path::new("data"), name).stages.remove(0)
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
    balance::process::calm_candle();
    let mut arguments = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let (Some(file), Some(name)) = (arguments.next(), arguments.next()) else {
        println!("usage: train FILE NAME, where NAME is an experiment of FILE, or a loss");
        return Ok(());
    };
    balance::process::train(|| steps(&file, &name))
}

/// Takes the steps of the experiment `name` in `file`, or of a loss by that name, that standard
/// input asks for.
fn steps(file: &str, name: &str) -> Result<()> {
    if let Some((images, terms)) = terms(name) {
        return loss(images, &terms);
    }
    let library = Library::standard();
    let stage = stage(&library, file, name);
    let model = build(&stage, &library, DType::F32, &Device::Cpu)?;
    let optimizer: Box<dyn Optimizer> = library::build(&library.optimizers, &stage.optimizer);
    let mut stepper = optimizer.start(model.params().vars())?;
    let batch = batch(&stage)?;
    serve(|| step(&stage, &model, &mut *stepper, optimizer.learning_rate(), &batch))
}

/// Answers each line of standard input with the seconds of a step and its loss.
fn serve(mut step: impl FnMut() -> Result<f64>) -> Result<()> {
    for line in std::io::stdin().lines() {
        line?;
        let start = Instant::now();
        let loss = balance::process::awake(&mut step)?;
        println!("{} {loss}", start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// The images, in two views each, and the terms of a case that is a loss alone.
fn terms(name: &str) -> Option<(usize, Vec<PairTerm>)> {
    let term = |kind, weight| PairTerm { weight, ..PairTerm::new(kind) };
    let sup = |denominator| PairKind::SupCon { sum: Sum::Out, denominator };
    let (case, rows) = name.rsplit_once('_')?;
    let rows: usize = rows.parse().ok()?;
    match case {
        "supcon" => Some((rows / 2, vec![term(sup(Denominator::All), 1.0)])),
        "spread_loop" => {
            let terms = [(sup(Denominator::Own), 0.5), (PairKind::ClassInfoNce, 0.5)];
            Some((rows, terms.map(|(kind, weight)| term(kind, weight)).to_vec()))
        }
        _ => None,
    }
}

/// Values and gradients of terms on embeddings of 128 numbers.
fn loss(images: usize, terms: &[PairTerm]) -> Result<()> {
    let mut stream = Stream::new(3);
    let values: Vec<f32> = (0..2 * images * 128).map(|_| stream.normal() as f32).collect();
    let z = Tensor::from_vec(values, (2 * images, 128), &Device::Cpu)?;
    let z = candle_core::Var::from_tensor(&z)?;
    let labels: Vec<u32> = (0..images as u32).map(|image| image % 10).collect();
    serve(|| {
        let (total, _) = gradients(|| Ok(contrastive(&z, &labels, 2, terms)?.0))?;
        scalar(&total)
    })
}
