//! Longer runs of what the tests do for seconds: mutated texts, and where edits are reported.
//!
//! `cargo bench --bench fuzz -- [EXECUTIONS] [SEED]` counts findings, and
//! `cargo bench --bench fuzz -- locality [EDITS]` the edits that are reported where they were made.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "its output is for people")]

use std::panic;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use balance::seed::Stream;

#[path = "../fuzz/locality.rs"]
mod locality;
#[path = "../fuzz/mutation.rs"]
mod mutation;
#[path = "../fuzz/survey.rs"]
mod survey;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../it/worked.rs"]
mod worked;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const THREADS: u64 = 2;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let number = |at: usize, default: u64| {
        arguments.get(at).map_or(default, |text| text.parse().expect("a number"))
    };
    match arguments.first().map(String::as_str) {
        Some("locality") => println!("{}", survey::survey(root(), number(1, 200))),
        _ => fuzz(number(0, 100_000), number(1, 1)),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fuzz(executions: u64, seed: u64) {
    let (corpus, run, start) = (mutation::corpus(root()), Stream::new(seed), Instant::now());
    let (sound, findings) = (AtomicU64::new(0), AtomicU64::new(0));
    panic::set_hook(Box::new(|_| {}));
    let work = |thread: u64| {
        for index in (thread..executions).step_by(THREADS as usize) {
            let text = mutation::text(&corpus, &run, index);
            match panic::catch_unwind(|| mutation::examine(&text)) {
                Ok(is_sound) => drop(sound.fetch_add(u64::from(is_sound), Ordering::Relaxed)),
                Err(cause) => {
                    findings.fetch_add(1, Ordering::Relaxed);
                    let why = cause.downcast_ref::<String>().cloned().unwrap_or_default();
                    println!("finding {index}: {:?}\n{why}", String::from_utf8_lossy(&text));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || work(thread));
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let (sound, findings) = (sound.into_inner(), findings.into_inner());
    let speed = executions as f64 / seconds;
    println!(
        "{executions} executions in {seconds:.0} s ({speed:.0} a second), of which {sound} could be formatted: {findings} findings"
    );
}
