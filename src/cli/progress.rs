//! What happens during a run, as a bar on a terminal, and as a line for each result elsewhere.

use std::collections::BTreeSet;
use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::prompt;
use crate::plan::{Stage, plural};
use crate::run::{Event, Gain, Observer};

/// Shows a run.
pub struct Progress {
    all: MultiProgress,
    /// One for each job.
    bars: Vec<ProgressBar>,
    /// That of the job that is attended to.
    bar: ProgressBar,
    /// The trainings of this plan that were shown to begin.
    begun: BTreeSet<usize>,
    is_terminal: bool,
}

/// Of an evaluation's bar, which counts shares.
const PARTS: u64 = 1000;

impl Progress {
    /// On standard error.
    pub fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = match is_terminal {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let all = MultiProgress::with_draw_target(target);
        let bar = all.add(ProgressBar::new(0));
        Self { all, bars: vec![bar.clone()], bar, begun: BTreeSet::new(), is_terminal }
    }

    fn clear(&self) {
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
    }

    fn begin(&self, what: String, length: u64, at: u64) {
        let template = "{prefix} {bar:20} {percent:>3}% {msg} {eta} left";
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸ ");
        self.bar.reset();
        self.bar.set_style(style);
        self.bar.set_length(length);
        self.bar.set_position(at);
        self.bar.reset_eta();
        self.bar.set_prefix(shortened(what));
        self.bar.set_message("");
    }

    fn empty_group(&self, stage: &Stage, group: &str) {
        let (name, seed) = (&stage.name, stage.seed);
        self.line(&format!(
            "warning: no training image of {name} seed {seed} is in the group `{group}`: \
             it draws all of them alike"
        ));
        self.line("  name another group, or draw by another sampler");
    }

    fn one_point(&self, stage: &Stage, epoch: usize, cosine: f64) {
        let (name, seed) = (&stage.name, stage.seed);
        self.line(&format!(
            "warning: all embeddings of {name} seed {seed} are one point after epoch {epoch}: mean cosine {cosine:.5}"
        ));
        self.line("  a larger temperature or a smaller learning rate may keep them apart");
    }

    fn line(&self, text: &str) {
        match self.is_terminal {
            // What cannot be shown there can be shown nowhere.
            true => drop(self.all.println(text)),
            false => prompt::eprint(&format!("{text}\n")),
        }
    }
}

/// So that the bar fits into 80 columns.
fn shortened(what: String) -> String {
    match what.char_indices().nth(31) {
        Some(_) => what.chars().take(30).chain(['…']).collect(),
        None => what,
    }
}

/// `2 jobs of 1 thread: 1.31 times the steps of 1 job of 2 threads`
fn gained((jobs, cores): (usize, Option<usize>), gain: Gain) -> String {
    let times = gain.times;
    format!("{}: {times:.2} times the steps of {}", shared(jobs, cores), shared(gain.jobs, cores))
}

/// So many jobs with the threads that each has, where these are divided.
fn shared(jobs: usize, cores: Option<usize>) -> String {
    let Some(cores) = cores else { return plural(jobs, "job") };
    let (some, rest) = ((cores / jobs).max(1), cores % jobs);
    match rest > 0 && cores > jobs {
        true => format!("{} of {some} or {} threads", plural(jobs, "job"), some + 1),
        false => format!("{} of {}", plural(jobs, "job"), plural(some, "thread")),
    }
}

/// What of the time went into waiting for images, where it is worth a word.
fn waited(share: f64) -> String {
    let percent = (100.0 * share).round();
    if percent < 1.0 { String::new() } else { format!(" · {percent}% waiting for data") }
}

fn title(stage: &Stage, number: usize, of: usize) -> String {
    format!("[{number}/{of}] {} seed {}", stage.name, stage.seed)
}

impl Observer for Progress {
    fn attend(&mut self, job: usize) {
        while self.bars.len() <= job {
            self.bars.push(self.all.add(ProgressBar::new(0)));
        }
        self.bar = self.bars[job].clone();
    }

    fn observe(&mut self, event: Event) {
        match event {
            Event::Grouping { stage, number, of, share } => {
                if share == 0.0 {
                    self.begin(title(stage, number, of), PARTS, 0);
                    self.bar.set_message("looking for groups");
                }
                self.bar.set_position((share * PARTS as f64) as u64);
            }
            Event::StageBegins { stage, number, of, step } => {
                let what = title(stage, number, of);
                if self.begun.insert(number) && step > 0 {
                    self.line(&format!("{what}: goes on from step {step}"));
                }
                self.begin(what, stage.steps as u64, step as u64);
            }
            Event::EmptyGroup { stage, group } => self.empty_group(stage, group),
            Event::Step { step, loss, waiting } => {
                self.bar.set_position(step as u64);
                self.bar.set_message(format!("loss {loss:.4}{}", waited(waiting)));
            }
            Event::OnePoint { stage, epoch, cosine } => self.one_point(stage, epoch, cosine),
            Event::StageEnds { stage, loss } => {
                let (name, digest, seed) = (&stage.name, stage.digest.short(), stage.seed);
                let steps = stage.steps;
                self.line(&format!(
                    "trained {name}-{digest} seed {seed}: {steps} steps, loss {loss:.4}"
                ));
            }
            Event::EvaluationBegins { evaluation, number, of } => {
                let what = format!("[{number}/{of}] {} seed {}", evaluation.name, evaluation.seed);
                self.begin(what, PARTS, 0);
            }
            Event::Embedded { done, of } => {
                self.bar.set_message(format!("{}% embedded", 100 * done / of.max(1)));
            }
            Event::EvaluationShare(share) => {
                self.bar.set_message("");
                self.bar.set_position((share * PARTS as f64) as u64);
            }
            Event::EvaluationEnds { .. } => self.bar.set_position(PARTS),
            Event::Failed { name, seed, message, help } => {
                self.line(&format!("{name} seed {seed} failed: {message}"));
                if let Some(help) = help {
                    self.line(&format!("  {help}"));
                }
            }
            Event::Divided { jobs, cores, gain } => {
                self.clear();
                if let Some(gain) = gain {
                    self.line(&gained((jobs, cores), gain));
                }
            }
            Event::PlanEnds => {
                self.clear();
                self.begun.clear();
            }
        }
    }
}
