//! The training step of an experiment's first stage, on made images: one step for each line of
//! standard input, and its seconds for an answer, so that another program can take turns with it.
//!
//! ```text
//! cargo bench --no-run --bench train
//! python tests/bench/versus/train.py target/release/deps/train-…
//! ```
//!
//! Behind `--card STEPS` it takes so many steps on a card for each line, and answers with the seconds
//! of one: see tests/gpu/versus/train.py.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "its output is for people")]

#[path = "shared/planned.rs"]
mod planned;

use std::path::Path;
use std::time::Instant;

use balance::graph::{Batch, Model, build, gradient, scalar, stage_stream};
use balance::kernel::{
    Denominator, PairKind, PairTerm, Replay, Rounded, Sum, card_device, contrastive, gradients,
    held, most_used,
};
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

/// What steps are taken on, and how many for each line.
struct Turn {
    device: Device,
    steps: usize,
}

impl Turn {
    fn of(arguments: &[String]) -> Result<Self> {
        match arguments {
            [flag, steps] if flag == "--card" => {
                Ok(Self { device: card_device(0)?, steps: steps.parse().expect("a number") })
            }
            _ => Ok(Self { device: Device::Cpu, steps: 1 }),
        }
    }

    /// Answers each line of standard input with the seconds of a step, the loss, and the most
    /// bytes of the card that tensors took.
    fn serve(&self, mut step: impl FnMut() -> Result<Tensor>) -> Result<()> {
        for line in std::io::stdin().lines() {
            line?;
            let start = Instant::now();
            let loss = balance::process::awake(|| {
                for _ in 1..self.steps {
                    step()?;
                }
                scalar(&step()?)
            })?;
            self.device.synchronize()?;
            let each = start.elapsed().as_secs_f64() / self.steps as f64;
            let used = if self.device.is_cpu() { 0 } else { most_used(&self.device)? };
            println!("{each} {loss} {used}");
        }
        Ok(())
    }
}

/// A batch of noise in the shape of the stage's images, with every class in it.
fn batch(stage: &Stage, device: &Device) -> Result<Batch> {
    let image = stage.data.image;
    let shape = [stage.views * stage.batch, image.height, image.width, image.channels];
    let mut stream = Stream::new(3);
    let mut normal = |shape: [usize; 4]| {
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
        Tensor::from_vec(values, shape.to_vec(), device)
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
    (stage, model): (&Stage, &Model),
    (stepper, rate): (&mut dyn Stepper, f64),
    rounded: &mut Rounded,
    batch: &Batch,
) -> Result<Tensor> {
    let (stream, batch) = (stage_stream(stage, "dropout"), batch.clone());
    let clean = batch.clean.as_ref().map(held).transpose()?;
    let batch = Batch { images: held(&batch.images)?, clean, ..batch };
    let (loss, grads) = rounded
        .during(|| model.params().vars(), || gradient(model, &stage.method, batch, stream))?;
    stepper.step(&grads, rate)?;
    Ok(loss.total.detach())
}

fn main() -> Result<()> {
    balance::process::calm_candle();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [file, name, rest @ ..] = &arguments[..] else {
        println!("usage: train FILE NAME [--card STEPS], NAME being an experiment or a loss");
        return Ok(());
    };
    balance::process::train(|| steps(file, name, &Turn::of(rest)?))
}

/// Takes the steps of the experiment `name` in `file`, or of a loss by that name, that standard
/// input asks for.
fn steps(file: &str, name: &str, turn: &Turn) -> Result<()> {
    if let Some((images, terms)) = terms(name) {
        return loss(images, &terms, turn);
    }
    let library = Library::standard();
    let stage = stage(&library, file, name);
    let model = build(&stage, &library, DType::F32, &turn.device)?;
    let optimizer: Box<dyn Optimizer> = library::build(&library.optimizers, &stage.optimizer);
    let mut stepper = optimizer.start(model.params().vars())?;
    let batch = batch(&stage, &turn.device)?;
    let rate = optimizer.learning_rate();
    let (mut replay, mut rounded) =
        (Replay::new(&turn.device, model.params().has_filters()), Rounded::default());
    turn.serve(|| {
        replay.run(batch.items(), || {
            step((&stage, &model), (&mut *stepper, rate), &mut rounded, &batch)
        })
    })
}

/// The images, in two views each, and the terms of a case that is a loss alone.
fn terms(name: &str) -> Option<(usize, Vec<PairTerm>)> {
    let term = |kind, weight| PairTerm { weight, ..PairTerm::new(kind) };
    let sup = |denominator| PairKind::SupCon { sum: Sum::Out, denominator };
    let (case, rows) = name.rsplit_once('_')?;
    let rows: usize = rows.parse().ok()?;
    let spread = [(sup(Denominator::Own), 0.5), (PairKind::ClassInfoNce, 0.5)];
    let spread = || spread.map(|(kind, weight)| term(kind, weight)).to_vec();
    match case {
        "supcon" => Some((rows / 2, vec![term(sup(Denominator::All), 1.0)])),
        "spread_loop" => Some((rows, spread())),
        "pairs" => Some((rows / 2, spread())),
        _ => None,
    }
}

/// Values and gradients of terms on embeddings of 128 numbers.
fn loss(images: usize, terms: &[PairTerm], turn: &Turn) -> Result<()> {
    let mut stream = Stream::new(3);
    let values: Vec<f32> = (0..2 * images * 128).map(|_| stream.normal() as f32).collect();
    let z = Tensor::from_vec(values, (2 * images, 128), &turn.device)?;
    let z = candle_core::Var::from_tensor(&z)?;
    let labels: Vec<u32> = (0..images as u32).map(|image| image % 10).collect();
    turn.serve(|| Ok(gradients(|| Ok(contrastive(&z, &labels, 2, terms)?.0))?.0))
}
