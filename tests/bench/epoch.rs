//! A training as `balance run` trains it, images read and augmented: so many steps for each line of
//! standard input, and their seconds for an answer, so that another program can take turns with it.
//!
//! ```text
//! cargo bench --no-run --bench epoch
//! python tests/bench/versus/epoch.py target/release/deps/epoch-…
//! ```
//!
//! While it waits for a line, up to two batches are made ahead. The third number of an answer is the
//! share of the time since the first step, waiting for lines included, that it waited for images.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "its output is for people")]

#[path = "shared/planned.rs"]
mod planned;

use std::io::{BufRead, BufReader, Lines, Stdin};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use balance::library::Library;
use balance::plan::Plan;
use balance::run::{Event, Observer, Session, Surroundings, run};
use balance::store::Store;
use candle_core::Device;

use planned::plan;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Holds the training up until it may take the next steps.
struct Turns<'a> {
    lines: Lines<BufReader<Stdin>>,
    steps: usize,
    begun: Instant,
    stop: &'a AtomicBool,
}

impl Turns<'_> {
    fn wait(&mut self) {
        let more = self.lines.next().is_some_and(|line| line.is_ok());
        self.stop.store(!more, Ordering::Relaxed);
        self.begun = Instant::now();
    }
}

impl Observer for Turns<'_> {
    fn observe(&mut self, event: Event) {
        match event {
            Event::StageBegins { .. } => self.wait(),
            Event::Step { step, loss, waiting } if step.is_multiple_of(self.steps) => {
                println!("{} {loss} {waiting}", self.begun.elapsed().as_secs_f64());
                self.wait();
            }
            Event::Failed { message, .. } => panic!("{message}"),
            _ => {}
        }
    }
}

fn main() {
    balance::process::calm_candle();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [file, data, design, cell, stage, steps] = &arguments[..] else {
        println!("usage: epoch FILE DATA DESIGN CELL STAGE STEPS");
        return;
    };
    let [cell, steps] = [cell, steps].map(|number| number.parse::<usize>().unwrap());
    let library = Library::standard();
    let data = Path::new(data);
    let mut plan = plan(&library, file, data, design);
    plan.trials.retain(|trial| trial.cell == cell);
    plan.trials.truncate(1);
    plan.trials[0].stages.retain(|at| plan.stages[*at].name == *stage);
    plan.trials[0].evaluations.clear();
    balance::process::train(|| serve(&library, data, &plan, steps));
}

fn serve(library: &Library, data: &Path, plan: &Plan, steps: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (store, stop) = (Store::new(folder.path().to_owned()), AtomicBool::new(false));
    let since = Instant::now();
    let clock = || since.elapsed().as_secs_f64();
    let around = Surroundings {
        library,
        store: &store,
        data_root: data,
        device: &Device::Cpu,
        device_name: "cpu",
        stop: &stop,
        halt: None,
        clock: &clock,
    };
    let mut turns = Turns {
        lines: BufReader::new(std::io::stdin()).lines(),
        steps,
        begun: Instant::now(),
        stop: &stop,
    };
    run(&mut Session::new(around, &mut turns), plan);
}
