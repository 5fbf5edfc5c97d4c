//! How fast trainings get on beside each other, from the times at which their steps end.

use super::event::Event;

/// Steps of each job that are measured, after one that is not.
const STEPS: usize = 3;
/// Seconds of each job that are measured, at least.
const SECONDS: f64 = 1.0;

/// Measures while all jobs train.
#[derive(Debug)]
pub struct Gauge {
    jobs: Vec<Option<Series>>,
}

/// The steps of a training since all jobs train.
#[derive(Debug, Clone, Copy)]
struct Series {
    /// Operations of one step.
    work: f64,
    /// Steps that have ended.
    ended: usize,
    first: f64,
    last: f64,
}

impl Series {
    fn is_enough(&self) -> bool {
        self.ended > STEPS && self.last - self.first >= SECONDS
    }

    /// Operations a second.
    fn rate(&self) -> f64 {
        self.work * (self.ended - 1) as f64 / (self.last - self.first)
    }
}

impl Gauge {
    /// No job trains yet.
    pub fn new(jobs: usize) -> Self {
        Self { jobs: vec![None; jobs] }
    }

    /// Notes what happened in a job at `time`.
    pub fn note(&mut self, job: usize, event: &Event, time: f64) {
        match event {
            Event::StageBegins { stage, .. } => {
                let work = stage.cost.flops.max(1.0) / stage.steps.max(1) as f64;
                // What the others did alone says nothing.
                self.jobs.iter_mut().flatten().for_each(|series| series.ended = 0);
                self.jobs[job] = Some(Series { work, ended: 0, first: 0.0, last: 0.0 });
            }
            Event::Step { .. } if self.jobs.iter().all(Option::is_some) => self.step(job, time),
            Event::Step { .. } | Event::OnePoint { .. } => {}
            _ => self.jobs[job] = None,
        }
    }

    fn step(&mut self, job: usize, time: f64) {
        if let Some(series) = &mut self.jobs[job] {
            series.first = if series.ended == 0 { time } else { series.first };
            series.last = time;
            series.ended += 1;
        }
    }

    /// Operations a second of all jobs together, once enough steps of each have ended.
    pub fn rate(&self) -> Option<f64> {
        let all: Vec<Series> = self.jobs.iter().copied().collect::<Option<_>>()?;
        all.iter().all(Series::is_enough).then(|| all.iter().map(Series::rate).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(work: [f64; 2]) -> Gauge {
        let series = |work| Some(Series { work, ended: 0, first: 0.0, last: 0.0 });
        Gauge { jobs: work.map(series).to_vec() }
    }

    #[test]
    fn the_work_of_all_jobs_is_added_up() {
        let mut gauge = of([10.0, 100.0]);
        // The first step of each counts for nothing: it began before.
        for (job, times) in [(0, [3.0, 3.5, 4.0, 5.0]), (1, [1.0, 2.0, 3.0, 4.0])] {
            assert_eq!(gauge.rate(), None);
            times.into_iter().for_each(|time| gauge.step(job, time));
        }
        assert_eq!(gauge.rate(), Some(10.0 * 3.0 / 2.0 + 100.0));
    }

    #[test]
    fn few_steps_and_short_ones_say_nothing() {
        let mut short = of([1.0, 1.0]);
        let mut few = of([1.0, 1.0]);
        for job in [0, 1] {
            (0..9).for_each(|at| short.step(job, 0.1 * f64::from(at)));
            (0..3).for_each(|at| few.step(job, f64::from(at)));
        }
        assert_eq!((short.rate(), few.rate()), (None, None));
        (9..12).for_each(|at| [0, 1].iter().for_each(|job| short.step(*job, 0.1 * f64::from(at))));
        assert!(short.rate().is_some());
    }
}
