//! The plan as text, for people and for golden files.

use std::fmt::{self, Display, Write};

use super::amount::grouped;
use super::schedule::short;
use super::theory::Theory;
use super::{Evaluation, FoundGroups, Frozen, Initial, Plan, Projection, Stage, Upstream};
use crate::diag::plural;

impl Plan {
    /// The labels of a cell's levels, as tables show them.
    pub fn cell_label(&self, cell: usize) -> String {
        let levels = self.cells[cell].levels.iter().zip(&self.axes);
        let labels: Vec<String> =
            levels.flat_map(|(level, axis)| axis.levels[*level].clone()).collect();
        if labels.is_empty() { self.design.clone() } else { labels.join(", ") }
    }

    /// The names of the axes, those of a `zip` apart.
    pub fn axis_names(&self) -> Vec<&str> {
        self.axes.iter().flat_map(|axis| axis.names.iter().map(String::as_str)).collect()
    }

    /// How many trials read a stage.
    pub fn readers(&self, stage: usize) -> usize {
        self.trials.iter().filter(|trial| trial.stages.contains(&stage)).count()
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{}  {}", self.design, self.size())?;
        for axis in &self.axes {
            let levels: Vec<_> = axis.levels.iter().map(|labels| labels.join(", ")).collect();
            writeln!(f, "  axis {}: {}", axis.names.join(", "), levels.join(" | "))?;
        }
        let first = self.seeds.first().copied().unwrap_or_default();
        let uses = self.uses();
        for (at, stage) in self.stages.iter().enumerate().filter(|(_, it)| it.seed == first) {
            writeln!(f, "\nstage {}  for {}", stage.name, uses[at].join("; "))?;
            write!(f, "{stage}")?;
        }
        for evaluation in self.evaluations.iter().filter(|it| it.seed == first) {
            writeln!(f, "\neval {}  on {}", evaluation.name, self.sources(evaluation))?;
            writeln!(f, "  {}", evaluation.call)?;
            if let Some(uses) = &evaluation.group_labels {
                writeln!(f, "  group labels: {}", uses.reported_on("test"))?;
            }
        }
        if !self.analysis.is_empty() {
            write!(f, "\nanalysis\n{}", self.analysis)?;
        }
        Ok(())
    }
}

impl Plan {
    /// `30 runs = 5 alpha × 2 data × 3 seeds`
    pub fn size(&self) -> String {
        let mut factors: Vec<String> = self
            .axes
            .iter()
            .map(|axis| format!("{} {}", axis.levels.len(), axis.names.join("+")))
            .collect();
        let all: usize = self.axes.iter().map(|axis| axis.levels.len()).product();
        if self.is_union {
            factors = vec![plural(self.cells.len(), "cell")];
        } else if self.cells.len() < all {
            factors = vec![format!("{} of {all} cells", self.cells.len())];
        }
        factors.push(plural(self.seeds.len(), "seed"));
        format!("{} = {}", plural(self.trials.len(), "run"), factors.join(" × "))
    }

    /// The cells that read each stage.
    fn uses(&self) -> Vec<Vec<String>> {
        let mut uses = vec![Vec::new(); self.stages.len()];
        for trial in &self.trials {
            let label = self.cell_label(trial.cell);
            trial.stages.iter().for_each(|stage| uses[*stage].push(label.clone()));
        }
        uses
    }

    fn sources(&self, evaluation: &Evaluation) -> String {
        let describe = |at: &usize| {
            let stage = &self.stages[*at];
            format!("{} ({})", stage.name, stage.digest.short())
        };
        evaluation.on.iter().map(describe).collect::<Vec<_>>().join(" + ")
    }
}

impl Stage {
    /// The networks, what they begin with, and the groups that training reads.
    fn networks(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let parameters = grouped(self.model.parameters);
        writeln!(f, "  encoder {} -> {}, {parameters} parameters", self.encoder, self.dim)?;
        if let Some(bound) = self.model.lipschitz {
            writeln!(f, "    stretches distances by at most {}", short(bound))?;
        }
        if let Some(Initial { digest, .. }) = &self.initial {
            writeln!(f, "    weights {}", &digest[..digest.len().min(16)])?;
        }
        if let Some(Upstream { stage, digest }) = &self.begins_with {
            writeln!(f, "    trained by {stage} ({})", digest.short())?;
        }
        if let Some(Projection { call, dim }) = &self.projector {
            writeln!(f, "  projector {call} -> {dim}")?;
        }
        if let Some(Frozen { networks, parameters }) = &self.frozen {
            let (networks, parameters) = (networks.join(", "), grouped(*parameters));
            writeln!(f, "  frozen {networks}: {parameters} parameters stay as they are")?;
        }
        if let Some(FoundGroups { call, by, names, .. }) = &self.groups {
            writeln!(f, "  groups {call}, {} at most", names.len())?;
            for Upstream { stage, digest } in by {
                writeln!(f, "    found by {stage} ({})", digest.short())?;
            }
        }
        Ok(())
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let division = &self.data.division;
        writeln!(f, "  digest {}", self.digest.short())?;
        writeln!(f, "  data {}", self.data.call)?;
        writeln!(
            f,
            "    images {}, {} train + {} val + {} test, {} classes",
            self.data.image,
            division.train,
            division.val,
            division.test,
            self.data.classes.names.len()
        )?;
        self.networks(f)?;
        for transform in &self.augment {
            writeln!(f, "  augment {} = {}", transform.name, transform.call)?;
        }
        for (stream, root) in &self.pins {
            writeln!(f, "  seed {stream} = {root}")?;
        }
        writeln!(f, "  views {}", self.views)?;
        for term in &self.terms {
            let is_said = term.formula == term.weight.to_string();
            let formula = if is_said || term.formula.parse::<f64>().is_ok() {
                String::new()
            } else {
                format!("  # {}", term.formula)
            };
            writeln!(f, "  loss {} = {} * {}{formula}", term.name, term.weight, term.call)?;
        }
        let mut train = String::new();
        write!(train, "  train {}, {}, batch {}", self.optimizer, self.schedule, self.batch)?;
        write!(train, ", {} steps of {} an epoch", self.steps, self.steps_per_epoch)?;
        if let Some(term) = &self.keep_best {
            write!(train, ", keep best val.{term}.{}", self.kept_by())?;
        }
        writeln!(f, "{train}{}", self.method.shown())?;
        Theory::of(self).map_or(Ok(()), |theory| write!(f, "{theory}"))
    }
}
