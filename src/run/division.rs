//! How the cores are divided among jobs: as told, or as is fastest.

use candle_core::Device;

use super::event::Gain;

/// Threads for each core, at most, where a card computes.
const SHARED: usize = 4;

/// How the cores are divided among jobs.
#[derive(Debug, Clone)]
pub struct Division {
    asked: Asked,
    cores: usize,
    /// Whether jobs share them: where a card computes they do little.
    is_shared: bool,
    /// The rates that were measured, by the number of jobs.
    rates: Vec<(usize, f64)>,
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    Count(usize),
    /// No more than so many.
    Fastest(usize),
}

/// For how many jobs the cores are divided, until another number is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shift {
    pub jobs: usize,
    /// Whether it lasts until its rate is measured.
    pub is_trial: bool,
}

impl Division {
    /// One job with all cores.
    pub fn undivided() -> Self {
        Self::of(1)
    }

    /// So many jobs, or as many as can run.
    pub fn of(jobs: usize) -> Self {
        Self::new(Asked::Count(jobs.max(1)))
    }

    /// As many jobs as get on fastest, by measurement, and at `most` so many.
    pub fn fastest(most: usize) -> Self {
        Self::new(Asked::Fastest(most.max(1)))
    }

    fn new(asked: Asked) -> Self {
        let cores = rayon::current_num_threads();
        Self { asked, cores, is_shared: false, rates: Vec::new() }
    }

    /// The same for jobs that compute on a device.
    pub(super) fn on(self, device: &Device) -> Self {
        Self { is_shared: !device.is_cpu(), ..self }
    }

    /// The cores that are divided among jobs, if they are.
    pub(super) fn cores(&self) -> Option<usize> {
        (!self.is_shared).then_some(self.cores)
    }

    /// How many threads job number `job` of `jobs` has.
    pub(super) fn threads(&self, job: usize, jobs: usize) -> usize {
        match self.is_shared {
            // So many in all that no system is short of them.
            true => self.cores.min((SHARED * self.cores).div_ceil(jobs)),
            false => (self.cores / jobs + usize::from(job < self.cores % jobs)).max(1),
        }
    }

    /// What is best when `able` tasks could run. The most jobs are tried first: where everything is
    /// too short to be measured, nothing waits.
    pub(super) fn next(&self, able: usize) -> Shift {
        let most = match self.asked {
            Asked::Count(jobs) => return Shift { jobs: jobs.min(able.max(1)), is_trial: false },
            Asked::Fastest(most) => most.min(able).min(self.cores),
        };
        let candidates = || (0..usize::BITS).map(|power| 1 << power).take_while(|it| *it <= most);
        let is_unknown = |jobs: &usize| self.rate(*jobs).is_none();
        match candidates().filter(is_unknown).last() {
            Some(jobs) if most > 1 => Shift { jobs, is_trial: true },
            _ => Shift { jobs: self.best(candidates()), is_trial: false },
        }
    }

    /// Whether `shift` should end, now that `able` tasks could run.
    pub(super) fn is_outgrown(&self, shift: Shift, able: usize) -> bool {
        match shift.is_trial {
            true => able < shift.jobs,
            false if self.next(able).jobs > shift.jobs => true,
            // Those that are left would have no more cores than before.
            false => !self.is_shared && shift.jobs > 1 && 2 * able <= shift.jobs,
        }
    }

    /// Notes the rate of so many jobs.
    pub(super) fn learn(&mut self, jobs: usize, rate: f64) {
        self.rates.retain(|(known, _)| *known != jobs);
        self.rates.push((jobs, rate));
    }

    /// What so many jobs gain over one, or one over the best other number; nothing where that was
    /// not measured.
    pub(super) fn gain(&self, jobs: usize) -> Option<Gain> {
        let others = self.rates.iter().map(|(other, _)| *other).filter(|other| *other != jobs);
        let other = if jobs == 1 { self.best(others) } else { 1 };
        Some(Gain { times: self.rate(jobs)? / self.rate(other)?, jobs: other })
            .filter(|_| other != jobs)
    }

    fn rate(&self, jobs: usize) -> Option<f64> {
        self.rates.iter().find(|(known, _)| *known == jobs).map(|(_, rate)| *rate)
    }

    /// The fastest of some numbers of jobs; one, where none is known.
    fn best(&self, of: impl Iterator<Item = usize>) -> usize {
        let rated = of.filter_map(|jobs| Some((jobs, self.rate(jobs)?)));
        rated.max_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(1, |(jobs, _)| jobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_cores(cores: usize, asked: Asked) -> Division {
        Division { asked, cores, is_shared: false, rates: Vec::new() }
    }

    #[test]
    fn every_core_has_a_job_and_every_job_a_thread() {
        for (cores, jobs, expected) in
            [(8, 3, vec![3, 3, 2]), (2, 2, vec![1, 1]), (2, 3, vec![1; 3])]
        {
            let division = on_cores(cores, Asked::Count(jobs));
            let threads: Vec<usize> = (0..jobs).map(|job| division.threads(job, jobs)).collect();
            assert_eq!(threads, expected);
        }
    }

    #[test]
    fn what_is_told_is_kept_to_where_so_many_can_run() {
        let division = on_cores(4, Asked::Count(3));
        for (able, jobs) in [(0, 1), (1, 1), (2, 2), (3, 3), (9, 3)] {
            assert_eq!(division.next(able), Shift { jobs, is_trial: false });
        }
        let three = Shift { jobs: 3, is_trial: false };
        assert!(!division.is_outgrown(three, 9) && !division.is_outgrown(three, 2));
        assert!(division.is_outgrown(three, 1));
        assert!(division.is_outgrown(Shift { jobs: 1, is_trial: false }, 2));
        assert!(!division.is_outgrown(Shift { jobs: 1, is_trial: false }, 1));
    }

    #[test]
    fn where_a_card_computes_jobs_share_the_cores_and_none_is_left_for_more() {
        let division = Division { is_shared: true, ..on_cores(4, Asked::Count(3)) };
        assert_eq!([1, 3, 4, 8, 99].map(|jobs| division.threads(0, jobs)), [4, 4, 4, 2, 1]);
        let three = Shift { jobs: 3, is_trial: false };
        assert!(!division.is_outgrown(three, 1));
        assert!(division.is_outgrown(Shift { jobs: 1, is_trial: false }, 2));
        assert!(division.is_outgrown(Shift { jobs: 3, is_trial: true }, 2));
    }

    #[test]
    fn the_fastest_of_what_was_measured_is_kept() {
        let mut division = on_cores(8, Asked::Fastest(6));
        for (jobs, rate) in [(4, 3.0), (2, 3.5), (1, 2.0)] {
            assert_eq!(division.next(9), Shift { jobs, is_trial: true });
            division.learn(jobs, rate);
        }
        assert_eq!(division.next(9), Shift { jobs: 2, is_trial: false });
        assert_eq!(division.gain(2), Some(Gain { times: 1.75, jobs: 1 }));
        assert_eq!(division.gain(1), Some(Gain { times: 2.0 / 3.5, jobs: 2 }));
        assert_eq!(division.next(1), Shift { jobs: 1, is_trial: false });
        let trial = Shift { jobs: 4, is_trial: true };
        assert!(division.is_outgrown(trial, 3) && !division.is_outgrown(trial, 4));
    }

    #[test]
    fn where_one_thing_can_run_nothing_is_measured() {
        for division in [on_cores(8, Asked::Fastest(1)), on_cores(1, Asked::Fastest(8))] {
            assert_eq!(division.next(5), Shift { jobs: 1, is_trial: false });
        }
        let division = on_cores(8, Asked::Fastest(8));
        assert_eq!(division.next(1), Shift { jobs: 1, is_trial: false });
    }
}
