//! Where and when a training ran: kept beside its result, never part of it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::event::RunError;
use super::session::Surroundings;
use crate::store;

/// The file in a stage's folder.
const FILE: &str = "machine.json";

/// The sessions that made up a training; one if it was never interrupted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Record {
    sessions: Vec<Sitting>,
}

/// One invocation's part of a training.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sitting {
    /// The version of this program.
    balance: String,
    system: String,
    device: String,
    threads: usize,
    /// UTC.
    started: String,
    /// To the last state that was saved.
    seconds: f64,
    /// The first step done, counted from one.
    first_step: usize,
    last_step: usize,
    /// Steps that a card was given as one piece.
    #[serde(default, skip_serializing_if = "is_zero")]
    as_graphs: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The record of a training under way.
pub struct Machine {
    path: PathBuf,
    record: Record,
    started: f64,
}

impl Machine {
    /// A new session in `folder`, after `step` steps.
    pub fn begin(around: &Surroundings, folder: &Path, step: usize) -> Self {
        let path = folder.join(FILE);
        let known = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut record: Record = known.unwrap_or_default();
        // Steps after the last saved state are done again.
        record.sessions.retain(|sitting| sitting.last_step <= step);
        let started = (around.clock)();
        record.sessions.push(Sitting {
            balance: env!("CARGO_PKG_VERSION").to_owned(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            device: around.device_name.to_owned(),
            threads: rayon::current_num_threads(),
            started: date(started),
            seconds: 0.0,
            first_step: step + 1,
            last_step: step,
            as_graphs: 0,
        });
        Self { path, record, started }
    }

    /// Writes that the session has come to `step`, at `now`; so many of its steps were graphs.
    pub fn note(&mut self, step: usize, as_graphs: usize, now: f64) -> Result<(), RunError> {
        if let Some(sitting) = self.record.sessions.last_mut() {
            (sitting.last_step, sitting.as_graphs) = (step, as_graphs);
            sitting.seconds = ((now - self.started) * 1000.0).round() / 1000.0;
        }
        store::write_json(&self.path, &self.record)
            .map_err(|error| RunError::io(&self.path, &error))
    }
}

/// `2026-11-23T17:32:05Z` of seconds since the beginning of 1970.
fn date(seconds: f64) -> String {
    let seconds = seconds as i64;
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 0000-03-01, so that the leap day ends a year (H. Hinnant, "chrono-compatible
    // low-level date algorithms", `civil_from_days`).
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // date --utc --date=@SECONDS +%FT%TZ
        assert_eq!(date(0.0), "1970-01-01T00:00:00Z");
        assert_eq!(date(951_782_400.9), "2000-02-29T00:00:00Z");
        assert_eq!(date(1_735_689_599.0), "2024-12-31T23:59:59Z");
        assert_eq!(date(1_772_323_200.0), "2026-03-01T00:00:00Z");
        assert_eq!(date(4_107_542_399.0), "2100-02-28T23:59:59Z");
    }
}
