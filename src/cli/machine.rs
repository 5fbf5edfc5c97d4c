//! What this machine has: memory, disk, and the speed of the last trainings.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde_json::Value;

/// Trainings that are looked at to know the speed.
const LAST: usize = 8;
/// Seconds of training below which the speed is not known.
const ENOUGH: f64 = 60.0;

/// Bytes of memory, or as many as this process may use.
pub fn memory() -> Option<u64> {
    Some(allowed("memory.max").unwrap_or(u64::MAX).min(system("MemTotal:")?))
}

/// Bytes of memory that nothing uses which could not give them back.
pub fn memory_free() -> Option<u64> {
    let left = || {
        let used = allowed("memory.current")?.saturating_sub(cached().unwrap_or(0));
        Some(allowed("memory.max")?.saturating_sub(used))
    };
    Some(left().unwrap_or(u64::MAX).min(system("MemAvailable:")?))
}

/// Bytes of files that the control group of this process counts as used and would let go of.
fn cached() -> Option<u64> {
    let text = fs::read_to_string("/sys/fs/cgroup/memory.stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("inactive_file "))?.trim().parse().ok()
}

/// A line of what Linux says of memory, in bytes.
fn system(name: &str) -> Option<u64> {
    let lines = BufReader::new(File::open("/proc/meminfo").ok()?).lines();
    let line = lines.map_while(Result::ok).find(|line| line.starts_with(name))?;
    let amount = line.strip_prefix(name)?.trim();
    let kibibytes: u64 = amount.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// A number of the control group of this process.
fn allowed(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/sys/fs/cgroup").join(name)).ok()?.trim().parse().ok()
}

/// Bytes free on the disk of `folder`, which may not be there yet. The standard library does not
/// know them, so the system's program is asked.
pub fn disk_free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|it| it.exists())?;
    let output = Command::new("df").arg("-Pk").arg(there).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let free: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(free * 1024)
}

/// Operations a second of the last trainings in the store, when they took long enough to tell.
pub fn speed(root: &Path) -> Option<f64> {
    let mut records: Vec<(SystemTime, _)> = Vec::new();
    for entry in fs::read_dir(root.join("stages")).ok()?.flatten() {
        let folder = entry.path();
        let modified = fs::metadata(folder.join("machine.json")).and_then(|it| it.modified());
        records.extend(modified.ok().map(|modified| (modified, folder)));
    }
    records.sort();
    let last = records.iter().rev().take(LAST).filter_map(|(_, folder)| training(folder));
    let (flops, seconds) = last.fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    (seconds >= ENOUGH).then(|| flops / seconds)
}

/// The operations of a training and the seconds they took.
fn training(folder: &Path) -> Option<(f64, f64)> {
    let read = |name: &str| -> Option<Value> {
        serde_json::from_slice(&fs::read(folder.join(name)).ok()?).ok()
    };
    let (plan, machine) = (read("plan.json")?, read("machine.json")?);
    let each = plan["cost"]["flops"].as_f64()? / plan["steps"].as_f64()?;
    let sessions = machine["sessions"].as_array()?.iter();
    let session = |it: &Value| {
        let steps = it["last_step"].as_f64()? - it["first_step"].as_f64()? + 1.0;
        Some((steps * each, it["seconds"].as_f64()?))
    };
    let sessions = sessions.filter_map(session);
    Some(sessions.fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1)))
}
