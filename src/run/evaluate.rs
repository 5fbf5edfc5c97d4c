//! The evaluations of a trial: frozen encoders to features, features to scores.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::event::{Event, RunError};
use super::frozen::{Frozen, Tell};
use super::session::Session;
use crate::catalog::{ClassMap, Port, Value};
use crate::library;
use crate::library::eval::{
    Change, Column, EvalError, Evaluation as Component, FeatureSource, Features, Foretold,
    Labelling, OfGroup, OfTerm, Score, Sees, Site, Split, TermValue, View,
};
use crate::plan::theory::{Theory, is_foretold};
use crate::plan::{Evaluation, GroupLabels, Plan, Stage, Term};
use crate::seed::Stream;
use crate::store::{self, RESULT};

/// The scores of one evaluation, as they are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    pub digest: String,
    pub evaluation: String,
    pub seed: u64,
    /// The trainings it reads: each one's folder in the store.
    pub on: Vec<String>,
    /// The group labels that the scores owe something to, where the data name groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_labels: Option<GroupLabels>,
    pub scores: Vec<Scored>,
    /// Of every group of a split that has images, where groups were read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<OfGroup>,
    /// Of every loss term, where one was measured by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<OfTerm>,
}

/// One number, named as in the language: `split.metric`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    pub split: String,
    pub metric: String,
    pub value: f64,
}

/// Evaluates, unless it is done already; the stages it reads are trained. Says whether it was done.
pub(super) fn evaluate(
    session: &mut Session,
    plan: &Plan,
    at: usize,
) -> Result<(Evaluated, bool), RunError> {
    let evaluation = &plan.evaluations[at];
    let folder = session.around.store.evaluation(evaluation);
    let known = || store::result(&folder, &evaluation.digest).map_err(RunError::stale);
    if let Some(known) = known()? {
        return Ok((known, true));
    }
    let held = store::hold(&folder).map_err(|error| RunError::hold(&folder, &error))?;
    // Another process may have finished it just before the folder was held.
    if let Some(known) = known()? {
        held.complete();
        return Ok((known, true));
    }
    let of = plan.evaluations.len();
    session.tell(Event::EvaluationBegins { evaluation, number: at + 1, of });
    let declared = folder.join("plan.json");
    store::write_json(&declared, evaluation).map_err(|error| RunError::io(&declared, &error))?;
    let stages: Vec<&Stage> = evaluation.on.iter().map(|at| &plan.stages[*at]).collect();
    let Measured { scores, groups, terms } = measure(session, &stages, evaluation)?;
    let evaluated = Evaluated { groups, terms, ..kept(evaluation, &stages, &scores)? };
    let path = folder.join(RESULT);
    store::write_json(&path, &evaluated).map_err(|error| RunError::io(&path, &error))?;
    held.complete();
    session.tell(Event::EvaluationEnds { evaluation, scores: &scores });
    Ok((evaluated, false))
}

fn kept(
    evaluation: &Evaluation,
    stages: &[&Stage],
    scores: &[Score],
) -> Result<Evaluated, RunError> {
    if let Some(bad) = scores.iter().find(|score| !score.value.is_finite()) {
        let (split, Score { metric, value, .. }) = (bad.split.name(), bad);
        let message = format!("{split}.{metric} of `{}` is {value}", evaluation.name);
        return Err(RunError::Failed { message, help: None });
    }
    let scored = |score: &Score| Scored {
        split: score.split.name().to_owned(),
        metric: score.metric.to_owned(),
        value: score.value,
    };
    Ok(Evaluated {
        digest: evaluation.digest.text().to_owned(),
        evaluation: evaluation.name.clone(),
        seed: evaluation.seed,
        on: stages.iter().map(|stage| store::folder(&stage.name, &stage.digest)).collect(),
        group_labels: evaluation.group_labels.clone(),
        scores: scores.iter().map(scored).collect(),
        groups: Vec::new(),
        terms: Vec::new(),
    })
}

/// What an evaluation gives.
struct Measured {
    scores: Vec<Score>,
    groups: Vec<OfGroup>,
    terms: Vec<OfTerm>,
}

fn measure(
    session: &mut Session,
    stages: &[&Stage],
    evaluation: &Evaluation,
) -> Result<Measured, RunError> {
    let around = session.around;
    let component: Box<dyn Component> =
        library::build(&around.library.evaluations, &evaluation.call);
    let is_last =
        |at: usize| evaluation.is_last(if at < measured(evaluation) { "on" } else { "with" });
    let frozen = |(at, stage): (usize, &&Stage)| session.frozen(stage, is_last(at));
    let mut parts: Vec<Rc<Frozen>> =
        stages.iter().enumerate().map(frozen).collect::<Result<_, _>>()?;
    let session = RefCell::new(session);
    let classes = evaluation.classes.as_ref().unwrap_or(&stages[0].data.classes);
    let mut source = Joined {
        session: &session,
        with: parts.split_off(measured(evaluation).min(parts.len())),
        parts,
        is_projected: evaluation.is_projected(),
        classes,
        is_noisy: stages[0].data.label_noise > 0.0,
        within: evaluation.within.as_ref(),
        groups: evaluation.groups.as_ref(),
        of_groups: Vec::new(),
        of_terms: Vec::new(),
        augment: stream(evaluation).named("augment"),
        stages,
    };
    let mut progress = |share| {
        session.borrow_mut().tell(Event::EvaluationShare(share));
        match around.is_halted() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let stream = stream(evaluation);
    let mut site = Site { library: around.library, stream, progress: &mut progress };
    let scores = component.evaluate(&mut source, &mut site)?;
    Ok(Measured { scores, groups: source.of_groups, terms: source.of_terms })
}

/// How many of the stages that an evaluation reads it measures; it compares them with the others.
fn measured(evaluation: &Evaluation) -> usize {
    match evaluation.call.value("on") {
        Some(Value::Features(on)) => on.stages().len(),
        _ => evaluation.on.len(),
    }
}

/// The address of an evaluation's randomness.
fn stream(evaluation: &Evaluation) -> Stream {
    Stream::new(evaluation.seed).named("eval").named(&evaluation.name)
}

/// A value with what its term sees, of classes that an evaluation looks `within`.
fn term_value((name, value): (String, f64), stage: &Stage, within: Option<&ClassMap>) -> TermValue {
    let term = stage.terms.iter().find(|it| it.name == name);
    let sees = term.map_or(Sees::Image, |term| sees(term, within));
    TermValue { name, value, sees, is_foretold: term.is_some_and(is_foretold) }
}

fn sees(term: &Term, within: Option<&ClassMap>) -> Sees {
    let needs = |port| term.call.needs(port);
    if needs(Port::Input) || needs(Port::Clean) {
        return Sees::Image;
    }
    // Groups divide classes.
    if needs(Port::Groups) {
        return Sees::Label;
    }
    let Some(within) = within.filter(|_| needs(Port::Labels)) else { return Sees::Class };
    let mut label_of = vec![None; within.names.len()];
    let labels = within.of_fine.iter().zip(&term.classes.of_fine);
    let is_class = labels
        .into_iter()
        .all(|(class, label)| *label_of[*class as usize].get_or_insert(*label) == *label);
    if is_class { Sees::Class } else { Sees::Label }
}

/// The embeddings of several encoders, side by side.
struct Joined<'a, 'b, 'c> {
    session: &'a RefCell<&'b mut Session<'c>>,
    parts: Vec<Rc<Frozen>>,
    /// Whether what their projectors make of them is read.
    is_projected: bool,
    /// Those that the parts are compared with.
    with: Vec<Rc<Frozen>>,
    /// The classes of the labels that the evaluation reads.
    classes: &'a ClassMap,
    /// Whether training saw other labels of some images.
    is_noisy: bool,
    within: Option<&'a ClassMap>,
    groups: Option<&'a ClassMap>,
    of_groups: Vec<OfGroup>,
    of_terms: Vec<OfTerm>,
    augment: Stream,
    /// The trainings of the parts, and then of what they are compared with.
    stages: &'a [&'a Stage],
}

impl Joined<'_, '_, '_> {
    /// The embeddings of a split, each part's by `embed`, which is told to whom to report.
    fn join(
        &self,
        parts: &[Rc<Frozen>],
        split: Split,
        embed: impl Fn(&Frozen, &mut Tell) -> Result<Tensor, EvalError>,
    ) -> Result<Features, EvalError> {
        let pool = &self.parts[0].pool;
        let items = pool.indices(split);
        let (mut done, of) = (0, items.len() * parts.len());
        let mut tell = |images| {
            done += images;
            let mut session = self.session.borrow_mut();
            session.tell(Event::Embedded { done, of });
            if session.around.is_halted() { Err(EvalError::Stopped) } else { Ok(()) }
        };
        let column = |part: &Rc<Frozen>| match self.is_projected {
            true => part.projected(&embed(part, &mut tell)?),
            false => embed(part, &mut tell),
        };
        let columns: Vec<Tensor> = parts.iter().map(column).collect::<Result<_, _>>()?;
        let class = |item: &u32| self.classes.of_fine[pool.fine[*item as usize] as usize];
        let labels = items.iter().map(class).collect();
        Ok(Features { embedding: Tensor::cat(&columns, 1)?, labels })
    }
}

impl FeatureSource for Joined<'_, '_, '_> {
    fn features(&mut self, split: Split) -> Result<Features, EvalError> {
        self.join(&self.parts, split, |part, tell| part.features(split, tell))
    }

    fn augmented(&mut self, view: View) -> Result<Features, EvalError> {
        let stream = self.augment.at(view.epoch as u64);
        let drops = view.drops.then(|| stream.named("dropout"));
        let streams = (&stream, drops.as_ref());
        self.join(&self.parts, Split::Train, |part, tell| part.augmented(streams, tell))
    }

    fn changed(
        &mut self,
        split: Split,
        needs_color: bool,
        change: &Change,
    ) -> Result<Option<Features>, EvalError> {
        if needs_color && self.parts[0].pool.shape.channels != 3 {
            return Ok(None);
        }
        let embed = |part: &Frozen, tell: &mut Tell| part.changed(split, change, tell);
        self.join(&self.parts, split, embed).map(Some)
    }

    fn with(&mut self, split: Split) -> Result<Features, EvalError> {
        self.join(&self.with, split, |part, tell| part.features(split, tell))
    }

    fn scores(&mut self, embedding: &Tensor) -> Result<Option<Tensor>, EvalError> {
        match &self.parts[..] {
            [only] => Ok(only.scores(embedding, &self.classes.of_fine)?),
            _ => Ok(None),
        }
    }

    fn foretold(&mut self) -> Option<Foretold> {
        let [only] = self.stages else { return None };
        let theory = Theory::of(only)?;
        let (near, spread) = theory.weights;
        Some(Foretold { setting: theory.setting, weight: near + spread })
    }

    fn losses(
        &mut self,
        rows: &[u32],
        orders: &[Vec<u32>],
    ) -> Result<Vec<Vec<TermValue>>, EvalError> {
        let mut all = vec![Vec::new(); orders.len()];
        for (part, stage) in self.parts.iter().zip(self.stages) {
            for (all, values) in all.iter_mut().zip(part.losses(rows, orders)?) {
                let values = values.into_iter().map(|it| term_value(it, stage, self.within));
                all.extend(values.map(|it| match &self.parts[..] {
                    [_] => it,
                    _ => TermValue { name: format!("{}.{}", stage.name, it.name), ..it },
                }));
            }
        }
        Ok(all)
    }

    fn batch(&self) -> usize {
        self.stages.first().map_or(1, |stage| stage.batch)
    }

    fn keep_groups(&mut self, found: Vec<OfGroup>) {
        self.of_groups.extend(found);
    }

    fn keep_terms(&mut self, found: Vec<OfTerm>) {
        self.of_terms.extend(found);
    }

    fn classes(&self) -> usize {
        self.classes.names.len()
    }

    fn column(&mut self, split: Split, column: Column) -> Result<Option<Labelling>, EvalError> {
        let map = match column {
            Column::Within => self.within,
            Column::Groups => self.groups,
            Column::Observed => self.is_noisy.then_some(self.classes),
        };
        let pool = &self.parts[0].pool;
        let fine = match column {
            Column::Observed => pool.observed_of(split),
            Column::Within | Column::Groups => pool.fine_of(split),
        };
        Ok(map.map(|map| Labelling {
            labels: fine.iter().map(|fine| map.of_fine[*fine as usize]).collect(),
            names: map.names.clone(),
        }))
    }
}
