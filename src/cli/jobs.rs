//! `--jobs`: how many trainings go on beside each other.

use super::prompt;
use crate::plan::Plan;
use crate::plan::amount::bytes;
use crate::run::Division;

/// How many trainings go on beside each other.
#[derive(Debug, Clone, Copy)]
pub enum Jobs {
    Count(usize),
    Auto,
}

/// `2`, or `auto`.
pub fn jobs(text: &str) -> Result<Jobs, String> {
    match text.trim() {
        "auto" => Ok(Jobs::Auto),
        number => match number.parse() {
            Ok(0) | Err(_) => Err("expected a number of jobs from 1 on, such as 2, or auto".into()),
            Ok(jobs) => Ok(Jobs::Count(jobs)),
        },
    }
}

impl Jobs {
    /// How the cores are divided for `plan`: never so that more memory is held than is free, if it
    /// is up to the program; otherwise with a warning.
    pub fn division(self, plan: &Plan, free: Option<u64>) -> Division {
        let most = free.map_or(usize::MAX, |free| plan.jobs_within(free));
        match self {
            Self::Auto => Division::fastest(most),
            Self::Count(jobs) => {
                let needed = plan.memory_bytes(jobs);
                if let Some(free) = free.filter(|free| jobs > 1 && needed > *free) {
                    prompt::eprint(&too_many(jobs, (needed, free), most));
                }
                Division::of(jobs)
            }
        }
    }
}

/// What is said of jobs that may not fit into memory, of which `most` do.
fn too_many(jobs: usize, (needed, free): (u64, u64), most: usize) -> String {
    let (needed, free) = (bytes(needed), bytes(free));
    format!(
        "warning: {jobs} jobs may need {needed} of memory, and {free} are free\n  \
         `--jobs {most}` fits\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_said_with_what_does() {
        let said = too_many(4, (12 << 30, 5 << 30), 1);
        let expected =
            "warning: 4 jobs may need 12 GiB of memory, and 5 GiB are free\n  `--jobs 1` fits\n";
        assert_eq!(said, expected);
    }
}
