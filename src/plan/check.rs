//! What can be known to be wrong before any training: shapes, sizes, labels, views, unused stages.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::analysis::analyse;
use super::at_once;
use super::batches::batches;
use super::begins;
use super::cached;
use super::compile::{facts_of, groups_of, labels_in, labels_of, read_by};
use super::control::mismatched;
use super::divided::divided;
use super::few_shot;
use super::found;
use super::freeze;
use super::grouped;
use super::mixed::mixed;
use super::noise;
use super::part;
use super::projector;
use super::recent::Networks;
use super::schedule;
use super::terms::Terms;
use super::theory::out_of_reach;
use super::transforms;
use super::trials::plan;
use super::unused::unused_stages;
use super::weights;
use super::{Division, Plan};
use crate::catalog::{DatasetFacts, Facts, ImageShape, Labels, Misfit, Place, Value, follows_seed};
use crate::diag::{Diagnostic, Span, closest, codes, distinct, has_errors, plural};
use crate::resolve::{Called, Design, Entry, Experiment, Keep, Stage};

/// The arguments of an evaluation that say which labels it reads.
const LABELS: [&str; 2] = ["labels", "within"];

/// Checks a design against what is known of the world, and plans it when nothing is wrong; `limit`
/// is the most steps any training may take.
pub fn check(
    design: &Design,
    facts: &Facts,
    limit: Option<usize>,
) -> (Option<Plan>, Vec<Diagnostic>) {
    let mut checker = Checker {
        facts,
        out: Vec::new(),
        is_sweep: !design.axes.is_empty(),
        networks: Networks::default(),
        is_unknown: false,
        seen: BTreeSet::new(),
    };
    for cell in &design.cells {
        checker.experiment(&cell.experiment);
    }
    let is_unknown = checker.is_unknown;
    let mut out = checker.out;
    out.extend(unused_stages(design));
    if is_unknown {
        return (None, distinct(out));
    }
    let mut found = Vec::new();
    let plan = (!has_errors(&out)).then(|| plan(design, facts, limit, &mut found));
    let analysis = analyse(design, facts, plan.as_ref(), &mut out);
    let Some(plan) = plan.filter(|_| !has_errors(&out)) else {
        return (None, distinct(out));
    };
    out.append(&mut found);
    let plan = Plan { analysis, ..plan };
    out.extend(mismatched(design, &plan));
    out.extend(out_of_reach(design, &plan));
    ((!has_errors(&out)).then_some(plan), distinct(out))
}

struct Checker<'a> {
    facts: &'a Facts,
    out: Vec<Diagnostic>,
    is_sweep: bool,
    networks: Networks,
    /// Whether nothing is known of some of the data, not even their classes.
    is_unknown: bool,
    /// The stages that were looked at, which cells share.
    seen: BTreeSet<*const Stage>,
}

impl Checker<'_> {
    fn experiment(&mut self, experiment: &Experiment) {
        for stage in &experiment.stages {
            if self.seen.insert(Rc::as_ptr(stage)) {
                self.stage(stage);
            }
            let found = begins::check(experiment, stage, self.facts, &mut self.networks);
            self.out.extend(found);
            self.out.extend(found::check(experiment, stage, self.facts));
            // In a sweep some levels read them.
            self.out.extend(found::unread(stage).filter(|_| !self.is_sweep));
        }
        self.pinned_split(experiment);
        if experiment.evaluations.is_empty() {
            let name = &experiment.name;
            self.out.push(
                Diagnostic::new(&codes::EMPTY, format!("`{}` evaluates nothing", name.node))
                    .at(name.span, "add `eval { fine = linear(labels=fine) }`"),
            );
        }
        for entry in &experiment.evaluations {
            self.evaluation(entry, experiment);
        }
    }

    /// A division that does not follow the seed has nothing to pin.
    fn pinned_split(&mut self, experiment: &Experiment) {
        let follows = |stage: &Rc<Stage>| follows_seed(&stage.data.bound);
        let Some(stage) = experiment.stages.first() else { return };
        if experiment.pins.contains_key("split") && !experiment.stages.iter().any(follows) {
            let data = &stage.data;
            self.out.push(
                Diagnostic::new(&codes::BAD_PATH, "`seed.split` pins what does not vary")
                    .at(data.place("split_seed"), "divided the same for every seed")
                    .help("`split_seed=seed` divides the data anew for every seed")
                    .help("or fix the division here, `split_seed=3`, and leave `seed.split` out"),
            );
        }
    }

    fn evaluation(&mut self, entry: &Entry, experiment: &Experiment) {
        let on = read_by(&entry.call.bound);
        let stages: Vec<&Stage> = on
            .iter()
            .filter_map(|name| experiment.stages.iter().find(|it| it.name.node == *name))
            .map(Rc::as_ref)
            .collect();
        self.same_data(entry.call.place("on"), &stages);
        self.out.extend(stages.iter().filter_map(|it| projector::unread(&entry.call, it)));
        self.out.extend(at_once::of_evaluation(&entry.call));
        self.out.extend(cached::dropped_once(&entry.call));
        if let Some(stage) = stages.first() {
            self.out.extend(noise::unflipped(&entry.call, &stage.data));
            self.tested(entry, &stage.data);
            let known = facts_of(&stage.data.bound, self.facts);
            if let Some(known) = known.filter(|known| !known.fine.is_empty()) {
                self.out.extend(grouped::of_evaluation(&entry.call, &stages, known));
            }
        }
        if let Some(stage) = stages.first()
            && entry.call.bound.value("labels").is_some()
            && let Some(known) = facts_of(&stage.data.bound, self.facts)
            && !known.fine.is_empty()
        {
            for param in LABELS.iter().filter(|it| entry.call.bound.value(it).is_some()) {
                self.out.extend(labels_misfit(known, &entry.call, param, &stage.data));
            }
            self.out.extend(not_inside(known, &entry.call, &stage.data));
            if let Ok(division) = Division::of(&stage.data.bound, known) {
                self.out.extend(schedule::of_evaluation(&entry.call, &division));
                self.out.extend(few_shot::too_few(&entry.call, &stage.data, (known, &division)));
            }
        }
    }

    /// What is reported of the test split needs one.
    fn tested(&mut self, entry: &Entry, data: &Called) {
        let Some(known) = facts_of(&data.bound, self.facts) else { return };
        if known.fine.is_empty() {
            return;
        }
        if Division::of(&data.bound, known).is_ok_and(|division| division.test == 0) {
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, "there are no images to evaluate on")
                    .at(data.place("test"), "leaves the test split empty")
                    .at(entry.call.span, "reports on the test split")
                    .help("write `test=20%`, or leave `test` out"),
            );
        }
    }

    /// Features of several stages can be joined only over the same images.
    fn same_data(&mut self, span: Span, stages: &[&Stage]) {
        let Some((first, rest)) = stages.split_first() else { return };
        if let Some(other) = rest.iter().find(|it| it.data.bound != first.data.bound) {
            self.out.push(
                Diagnostic::new(&codes::SHAPE, "features of different data cannot be joined")
                    .at(span, "joined here")
                    .at(first.data.span, format!("the images of `{}`", first.name.node))
                    .at(other.data.span, format!("the images of `{}`", other.name.node)),
            );
        }
    }

    fn stage(&mut self, stage: &Stage) {
        let name = stage.data.bound.spec.name;
        let Some(known) = facts_of(&stage.data.bound, self.facts) else {
            self.out.push(
                Diagnostic::new(&codes::NO_DATA, format!("nothing is known of `{name}`"))
                    .at(stage.data.span, "this dataset has no description"),
            );
            return;
        };
        if let Some(how) = &known.absent {
            self.out.push(
                Diagnostic::new(&codes::DATA, format!("`{name}` is not on this machine"))
                    .at(stage.data.span, "its files were not found")
                    .help(how.clone()),
            );
        }
        self.files(&stage.data, known);
        if known.fine.is_empty() {
            self.is_unknown = true;
            return;
        }
        self.out.extend(labels_misfit(known, &stage.data, "labels", &stage.data));
        self.groups(&stage.data, known);
        self.out.extend(grouped::of_stage(stage, known));
        self.sizes(stage, known);
        let image = transforms::check(stage, known.image);
        let image = image.map_err(|found| self.out.extend(found)).ok();
        self.out.extend(mixed(stage));
        let dim = image.and_then(|image| self.shape(stage, known.image, image));
        let image = image.unwrap_or(known.image);
        if stage.begins_with.is_none() {
            self.out.extend(dim.and_then(|_| weights::of_stage(stage, image, self.facts)));
        }
        self.out.extend(part::check(stage));
        if let Some(dim) = dim {
            self.out.extend(freeze::check(stage, (image, dim), &mut self.networks));
        }
        self.out.extend(divided(stage, (known, image), dim, &mut self.networks));
        let (out, networks) = (&mut self.out, &mut self.networks);
        let is_sweep = self.is_sweep;
        let mut terms = Terms { stage, known, image, dim, projected: dim, networks, out, is_sweep };
        terms.check();
    }

    /// The width of the stage's embedding.
    fn shape(&mut self, stage: &Stage, known: ImageShape, image: ImageShape) -> Option<usize> {
        let encoder = &stage.encoder;
        match self.networks.of(&encoder.bound, &Place::of_encoder(image)) {
            Ok(network) => Some(network.width()),
            Err(misfit) => {
                let images = format!("images are {image}");
                let sized = transforms::sized(stage, known);
                self.out.push(unfit(misfit, encoder).at(sized, images));
                None
            }
        }
    }

    /// What is wrong with the files of a dataset, and what is left out of them.
    fn files(&mut self, data: &Called, known: &DatasetFacts) {
        for fault in &known.faults {
            let diagnostic = Diagnostic::new(&codes::BAD_DATA, fault.message.clone());
            let diagnostic = diagnostic.at(data.place(fault.param), fault.label.clone());
            self.out.push(fault.help.iter().cloned().fold(diagnostic, Diagnostic::help));
        }
        if let [first, ..] = &known.skipped[..] {
            let count = known.skipped.len();
            let message = format!(
                "{} cannot be decoded and {} left out",
                plural(count, "image"),
                if count == 1 { "is" } else { "are" }
            );
            self.out.push(
                Diagnostic::new(&codes::SKIPPED, message)
                    .at(data.place("corrupt"), format!("the first: {first}")),
            );
        }
    }

    fn groups(&mut self, data: &Called, known: &DatasetFacts) {
        let by = groups_of(&data.bound);
        let Err(error) = known.groups(&by) else { return };
        let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, error.message);
        let diagnostic = diagnostic.at(data.place("groups"), error.label);
        self.out.push(error.help.into_iter().fold(diagnostic, Diagnostic::help));
    }

    fn sizes(&mut self, stage: &Stage, known: &DatasetFacts) {
        let data = &stage.data;
        let division = match Division::of(&data.bound, known) {
            Ok(division) => division,
            Err(error) => {
                self.out.push(
                    Diagnostic::new(&codes::OUT_OF_RANGE, error.headline)
                        .at(data.place(error.param), error.message),
                );
                return;
            }
        };
        let batch = &stage.train.batch;
        if batch.node > division.train {
            self.out.push(
                Diagnostic::new(&codes::BATCH, "a batch is larger than the training data")
                    .at(batch.span, format!("{} items a step", batch.node))
                    .at(data.span, format!("{} images to train on", division.train))
                    .help(format!("the largest batch is {}", division.train)),
            );
        }
        self.out.extend(schedule::of_stage(stage, &division));
        self.out.extend(batches(stage, known, &division));
        self.out.extend(at_once::of_stage(stage));
        if let Keep::Best { term, .. } = &stage.train.keep
            && division.val == 0
        {
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, "the best state cannot be chosen")
                    .at(term.span, "chosen on the validation split")
                    .at(data.place("val"), "which is empty: write `val=10%`"),
            );
        }
    }
}

/// A component that does not fit what it is given.
pub(super) fn unfit(Misfit { param, message, label, help }: Misfit, call: &Called) -> Diagnostic {
    let place = param.map_or(call.span, |param| call.place(param));
    let code = if param == Some("lipschitz") { &codes::NO_BOUND } else { &codes::SHAPE };
    Diagnostic::new(code, message).at(place, label).help(help)
}

/// The class that an evaluation looks inside must be one of those it looks within.
fn not_inside(known: &DatasetFacts, call: &Called, data: &Called) -> Option<Diagnostic> {
    let Some(Value::Text(name)) = call.bound.value("inside") else { return None };
    let within =
        known.class_map(&labels_in(&call.bound, "within"), &labels_of(&data.bound)).ok()?;
    if within.names.contains(name) {
        return None;
    }
    let label = match closest(name, within.names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "looked for here".to_owned(),
    };
    let diagnostic =
        Diagnostic::new(&codes::UNKNOWN_NAME, format!("no class of `within` is called `{name}`"))
            .at(call.place("inside"), label);
    Some(diagnostic.help(format!("its classes are {}", within.names.join(", "))))
}

/// What is wrong with the labels that the argument `param` of `call` asks of `data`.
pub(super) fn labels_misfit(
    known: &DatasetFacts,
    call: &Called,
    param: &str,
    data: &Called,
) -> Option<Diagnostic> {
    let is_data = call.span == data.span;
    let labels = &labels_in(&call.bound, param);
    let own = if is_data { Labels::Declared } else { labels_of(&data.bound) };
    // What is wrong with the dataset's own labels is said there.
    if *labels == Labels::Declared && !is_data {
        return None;
    }
    let error = known.class_map(labels, &own).err()?;
    let diagnostic =
        Diagnostic::new(&codes::UNKNOWN_NAME, error.message).at(call.place(param), error.label);
    let diagnostic = match error.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    };
    Some(if is_data { diagnostic } else { diagnostic.at(data.span, "of this dataset") })
}
