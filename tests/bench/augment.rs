//! The augmented views of an experiment's first training: some batches for each line of standard
//! input, and their seconds for an answer, so that another program can take turns with it.
//!
//! ```text
//! cargo bench --no-run --bench augment
//! python tests/bench/versus/augment.py target/release/deps/augment-…
//! cargo bench --no-run --features cuda --bench augment
//! python tests/gpu/versus/augment.py target/release/deps/augment-…
//! ```

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "its output is for people")]

#[path = "shared/planned.rs"]
mod planned;

use std::path::Path;
use std::time::Instant;

use balance::graph::stage_stream;
use balance::library::augment::{Augment, Image};
use balance::library::{Library, build};
use balance::plan::Stage;
use balance::run::{Drawing, Order, Pool, Transforms};
use candle_core::{Device, Result};

use planned::plan;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The first stage of the experiment `name` in `file`.
fn stage(library: &Library, file: &str, name: &str) -> Stage {
    plan(library, file, Path::new("data"), name).stages.remove(0)
}

fn main() -> Result<()> {
    balance::process::calm_candle();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [file, name, batches, way @ ..] = &arguments[..] else {
        println!("usage: augment FILE NAME BATCHES [plain | --card], where NAME is an experiment");
        return Ok(());
    };
    let way = match way.first().map(String::as_str) {
        Some("--card") => Way::On(card()?),
        Some(_) => Way::Plain,
        None => Way::On(Device::Cpu),
    };
    balance::process::train(|| serve(file, name, batches.parse().unwrap(), &way))
}

/// How views are made.
enum Way {
    /// As a training on the device makes them.
    On(Device),
    /// One transform after the other.
    Plain,
}

#[cfg(feature = "cuda")]
fn card() -> Result<Device> {
    balance::kernel::card_device(0)
}

#[cfg(not(feature = "cuda"))]
fn card() -> Result<Device> {
    candle_core::bail!("this benchmark is built without the feature `cuda`")
}

/// The views of what is drawn, one transform after the other.
fn plain(stage: &Stage, steps: &[Box<dyn Augment>], pool: &Pool, drawing: &Drawing) -> Vec<f32> {
    let root = stage_stream(stage, "augment").at(drawing.epoch as u64);
    let mut rows = Vec::new();
    for view in 0..stage.views as u64 {
        for item in &drawing.items {
            let bytes = pool.image(*item).unwrap();
            let values = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
            let mut image = Image { shape: pool.shape, values };
            for (named, step) in stage.augment.iter().zip(steps) {
                let stream = root.at(u64::from(*item)).at(view).named(&named.name);
                step.apply(&mut image, &pool.stats, stream);
            }
            rows.extend_from_slice(&image.values);
        }
    }
    rows
}

/// Answers each line of standard input with the seconds of so many batches, and a number of them.
fn serve(file: &str, name: &str, batches: usize, way: &Way) -> Result<()> {
    let library = Library::standard();
    let stage = stage(&library, file, name);
    let pool = Pool::load(&stage.data, &library, Path::new("data")).expect("images");
    let transforms = Transforms::new(&stage, &library, false);
    let steps: Vec<_> = stage.augment.iter().map(|it| build(&library.augments, &it.call)).collect();
    let mut order = Order::new(&stage, &library, &pool, &[]);
    let mut step = 0;
    for line in std::io::stdin().lines() {
        line?;
        let (start, mut rows) = (Instant::now(), 0);
        for _ in 0..batches {
            let drawing = order.step(step);
            rows += match way {
                Way::Plain => plain(&stage, &steps, &pool, &drawing).len() / stage.image().size(),
                Way::On(device) => transforms.batch(&pool, &drawing, device)?.images.dim(0)?,
            };
            step += 1;
        }
        if let Way::On(device) = way {
            device.synchronize()?;
        }
        println!("{} {rows}", start.elapsed().as_secs_f64());
    }
    Ok(())
}
