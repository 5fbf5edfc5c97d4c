//! What reading, checking and planning cost: CPU time and memory of the whole process, on files and
//! sweeps that grow, and whether they grow in proportion.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "its output is for people")]

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a process used.
#[derive(Clone, Copy)]
struct Usage {
    seconds: f64,
    mebibytes: f64,
}

/// Runs `balance` with `arguments` in `folder` and waits for it.
#[expect(clippy::zombie_processes, reason = "`wait4` waits for it, and tells what it used")]
fn usage(folder: &Path, arguments: &[&str]) -> Usage {
    let child = Command::new(env!("CARGO_BIN_EXE_balance"))
        .args(arguments)
        .current_dir(folder)
        .env("BALANCE_DATA", folder.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut status, mut used) = (0, unsafe { std::mem::zeroed::<libc::rusage>() });
    // SAFETY: both places outlive the call, and the child is waited for here alone.
    let found = unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut used) };
    assert!(found > 0 && libc::WIFEXITED(status), "the process was not waited for");
    assert_eq!(libc::WEXITSTATUS(status), 0, "balance {}", arguments.join(" "));
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    Usage {
        seconds: seconds(used.ru_utime) + seconds(used.ru_stime),
        mebibytes: used.ru_maxrss as f64 / 1024.0,
    }
}

/// The median of several runs, after one to warm up.
fn median(folder: &Path, arguments: &[&str]) -> Usage {
    let mut all: Vec<Usage> = (0..12).map(|_| usage(folder, arguments)).skip(1).collect();
    all.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    all[all.len() / 2]
}

/// An experiment of ten lines with a sweep of five.
fn block(out: &mut String, number: usize) {
    let _ = write!(
        out,
        "
let width_{number} = {width}
experiment study_{number} {{
  data = digits(labels=coarse, val=10%)
  encoder = mlp(widths=[width_{number}, 64], out=32)
  augment {{ turn = rotation(degrees=15); norm = normalize() }}  # two views of each image
  views = 2
  loss {{
    sup = (1 - alpha) * supcon(temperature=0.5)
    cnce = alpha * class_infonce(temperature=0.5)
    class = cross_entropy()
  }}
  train {{ optimizer = adamw(lr=1e-3); schedule = cosine(); batch = 128; for = 5 epochs }}
  eval {{ fine = linear(labels=fine) }}
}}

sweep curve_{number} of study_{number} {{
  grid {{ alpha = [0%, 50%, 100%] }}
}}
",
        width = 16 + number % 64
    );
}

/// A file of at least `lines` lines.
fn file_of(lines: usize) -> String {
    let mut text = "edition 1\n\nparam alpha: fraction = 50%\n".to_owned();
    let mut number = 0;
    while text.lines().count() < lines.saturating_sub(10) {
        // Counting lines each time would grow faster than the file.
        for _ in 0..(lines / 400).max(1) {
            block(&mut text, number);
            number += 1;
        }
    }
    text
}

/// A sweep of `side` to the fourth power cells.
fn sweep_of(side: usize) -> String {
    let mut text = file_of(20);
    let list =
        |from: usize| (from..from + side).map(|it| it.to_string()).collect::<Vec<_>>().join(", ");
    let _ = write!(
        text,
        "
sweep large of study_0 {{
  grid {{
    train.batch = [{}]
    encoder.out = [{}]
    augment.turn.degrees = [{}]
    loss.sup.temperature = [{}]
  }}
}}
",
        list(32),
        list(2),
        list(10),
        list(1)
    );
    text
}

fn row(what: &str, size: usize, unit: &str, used: Usage) {
    let each = used.seconds / size as f64 * 1e6;
    println!(
        "{what:<6} {size:>6} {unit:<6} {:>9.1} ms {:>8.1} MiB {each:>8.2} µs each",
        used.seconds * 1e3,
        used.mebibytes
    );
}

/// Prints one row for each size; medians of eleven runs.
fn main() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    for lines in [100, 1_000, 5_000, 20_000] {
        let text = file_of(lines);
        fs::write(place("file.exp"), &text).unwrap();
        let size = text.lines().count();
        row("check", size, "lines", median(folder.path(), &["check", "file.exp"]));
        row("fmt", size, "lines", median(folder.path(), &["fmt", "file.exp"]));
    }
    for side in [3, 5, 7, 10] {
        fs::write(place("sweep.exp"), sweep_of(side)).unwrap();
        let cells = side.pow(4);
        row("check", cells, "cells", median(folder.path(), &["check", "sweep.exp"]));
        row("plan", cells, "cells", median(folder.path(), &["plan", "sweep.exp:large"]));
    }
}
