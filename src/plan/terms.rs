//! What can be known to be wrong with the terms of a loss.

use super::check::{labels_misfit, unfit};
use super::compile::labels_of;
use super::constant::constant;
use super::partners::partners;
use super::projector::compares;
use super::recent::Networks;
use super::schedule::steps_per_epoch;
use super::transforms;
use super::{Division, Slice};
use crate::catalog::{ClassMap, DatasetFacts, Duration, ImageShape, Labels, Place, Port, Value};
use crate::diag::{Diagnostic, codes, plural};
use crate::resolve::{Keep, Stage, Term};

/// The loss of one stage.
pub(super) struct Terms<'a> {
    pub stage: &'a Stage,
    pub known: &'a DatasetFacts,
    /// Images as the encoder sees them.
    pub image: ImageShape,
    /// Width of the embedding, where that is known.
    pub dim: Option<usize>,
    /// Width of what terms compare by pairs, where that is known.
    pub projected: Option<usize>,
    pub networks: &'a mut Networks,
    pub out: &'a mut Vec<Diagnostic>,
    pub is_sweep: bool,
}

impl Terms<'_> {
    /// Checks every term.
    pub fn check(&mut self) {
        let terms = &self.stage.terms;
        if terms.is_empty() {
            self.nothing("no term");
        } else if terms.iter().all(|term| term.weight.node.is_zero()) {
            self.nothing("every weight is 0");
        }
        self.projector();
        for term in terms {
            self.term(term);
        }
        self.constants();
        self.kept();
    }

    fn nothing(&mut self, label: &str) {
        let name = match self.stage.name.node.as_str() {
            "main" => "this loss",
            name => &format!("the loss of stage `{name}`"),
        };
        let message = format!("{name} leaves nothing to minimise");
        self.out.push(Diagnostic::new(&codes::NO_LOSS, message).at(self.stage.loss, label));
    }

    /// A projector has to fit the embedding, and some term has to read it.
    fn projector(&mut self) {
        let (Some(projector), Some(dim)) = (&self.stage.projector, self.dim) else { return };
        let place = Place { dim, ..Place::of_encoder(self.known.image) };
        match self.networks.of(&projector.bound, &place) {
            Ok(network) => self.projected = Some(network.width()),
            Err(misfit) => self.out.push(unfit(misfit, projector)),
        }
        if !self.stage.terms.iter().any(|term| compares(&term.call.bound, &place)) {
            self.out.push(
                Diagnostic::new(&codes::NO_LOSS, "nothing trains the projector")
                    .at(projector.span, "seen by terms that compare embeddings by pairs alone")
                    .at(self.stage.loss, "no such term")
                    .help("leave `projector` out, or add a term such as `supcon()`"),
            );
        }
    }

    fn term(&mut self, term: &Term) {
        self.out.extend(labels_misfit(self.known, &term.call, "labels", &self.stage.data));
        if term.weight.node.is_zero() {
            // In a sweep a weight of 0 is one end of an axis.
            if !self.is_sweep {
                let message = format!("the term `{}` has weight 0", term.name.node);
                self.out.push(
                    Diagnostic::new(&codes::ZERO_WEIGHT, message)
                        .at(term.weight.span, "left out: it costs nothing and trains nothing"),
                );
            }
            return;
        }
        self.views(term);
        self.courses(term);
        let Some(map) = self.map(term) else { return };
        self.class_weights(term, &map);
        self.fits(term, &map);
        if let Ok(division) = Division::of(&self.stage.data.bound, self.known) {
            let is_own =
                self.known.class_map(&self.own(), &Labels::Declared).is_ok_and(|it| it == map);
            self.out.extend(partners(self.stage, term, (&map, is_own), division.train));
        }
        self.simplex(term, &map);
    }

    /// What a term trains of its own has to fit the embedding and the images.
    fn fits(&mut self, term: &Term, map: &ClassMap) {
        let Some(dim) = self.seen(term) else { return };
        let place = Place { image: self.image, dim, classes: map.names.len(), train: 0 };
        if let Err(misfit) = self.networks.of(&term.call.bound, &place) {
            let images = format!("images are {}", place.image);
            let embedding = format!("embeddings are [{dim}]");
            self.out.push(
                unfit(misfit, &term.call)
                    .at(self.stage.encoder.span, embedding)
                    .at(transforms::sized(self.stage, self.known.image), images),
            );
        }
    }

    /// The width of what a term sees of the embedding.
    fn seen(&mut self, term: &Term) -> Option<usize> {
        let Some(part) = term.call.bound.part() else { return self.dim };
        let place = Place::of_encoder(self.image);
        let slice = Slice::of((&self.stage.encoder.bound, part), &place, self.networks);
        slice.map(|it| it.width)
    }

    /// The labels of the stage's data.
    fn own(&self) -> Labels {
        labels_of(&self.stage.data.bound)
    }

    /// The labels that a term reads.
    fn map(&self, term: &Term) -> Option<ClassMap> {
        self.known.class_map(&labels_of(&term.call.bound), &self.own()).ok()
    }

    /// Terms whose value nothing can change; without any other, nothing is trained.
    fn constants(&mut self) {
        let heavy = || self.stage.terms.iter().filter(|term| !term.weight.node.is_zero());
        let why = |term: &Term| constant(self.stage, term, self.map(term)?.names.len());
        let found: Vec<_> = heavy().filter_map(|term| Some((term, why(term)?))).collect();
        if !found.is_empty() && found.len() == heavy().count() {
            self.nothing("each of its terms is constant");
        }
        for (term, why) in found {
            let message =
                format!("the term `{}` has one value, whatever is learned", term.name.node);
            self.out.push(
                Diagnostic::new(&codes::CONSTANT, message)
                    .at(term.call.span, why.label)
                    .at(why.span, why.cause),
            );
        }
    }

    /// A state is not chosen by a classifier that is left out.
    fn kept(&mut self) {
        let Keep::Best { term, .. } = &self.stage.train.keep else { return };
        let left_out = |it: &&Term| it.name.node == term.node && it.weight.node.is_zero();
        if let Some(it) = self.stage.terms.iter().find(left_out) {
            let message = "the best state cannot be chosen";
            self.out.push(
                Diagnostic::new(&codes::OUT_OF_RANGE, message)
                    .at(term.span, format!("chosen by the classifier of `{}`", term.node))
                    .at(it.weight.span, "which is left out of training by its weight of 0"),
            );
        }
    }

    fn views(&mut self, term: &Term) {
        if !term.call.bound.needs(Port::Views) || self.stage.views.node >= 2 {
            return;
        }
        let message = format!("`{}` compares views, and there is one", term.call.bound.spec.name);
        self.out.push(
            Diagnostic::new(&codes::VIEWS, message)
                .at(term.call.span, "needs two views of each image")
                .at(self.stage.views.span, "one view here")
                .help("write `views = 2` beside the loss"),
        );
    }

    /// A weight for each class, one of them above 0.
    fn class_weights(&mut self, term: &Term, map: &ClassMap) {
        let Some(Value::List(weights)) = term.call.bound.value("class_weights") else { return };
        let (given, classes) = (weights.len(), map.names.len());
        let (message, label) = if given != classes {
            let given = plural(given, "number");
            let message = format!("`class_weights` has {given} for {classes} classes");
            (message, format!("one for each of {} is needed", few(&map.names)))
        } else if weights.iter().all(|weight| *weight == Value::Real(0.0)) {
            ("no class has a weight".to_owned(), "all are 0".to_owned())
        } else {
            return;
        };
        self.out.push(
            Diagnostic::new(&codes::OUT_OF_RANGE, message)
                .at(term.call.place("class_weights"), label)
                .at(self.stage.data.span, format!("classes here: {classes}")),
        );
    }

    /// Numbers that are to change at times that training does not reach.
    fn courses(&mut self, term: &Term) {
        let Ok(division) = Division::of(&self.stage.data.bound, self.known) else { return };
        let train = &self.stage.train;
        let batch = train.batch.node;
        let epoch = steps_per_epoch(&division, batch, train.drop_last);
        let steps = train.length.node.steps(epoch, batch);
        let temperature = match term.call.bound.value("temperature") {
            Some(Value::Course(course)) => Some((course, term.call.place("temperature"))),
            _ => None,
        };
        for (course, span) in [(&term.weight.node, term.weight.span)].into_iter().chain(temperature)
        {
            let is_late = |it: &Duration| it.steps(epoch, batch) > steps;
            let Some(late) = course.durations().into_iter().find(is_late) else { continue };
            let message =
                format!("training ends before `{}` is what it is to become", term.name.node);
            self.out.push(
                Diagnostic::new(&codes::UNFINISHED, message)
                    .at(span, format!("changes for {late}"))
                    .at(train.length.span, format!("training takes {}", train.length.node))
                    .help("without `over` a number changes for as long as training takes"),
            );
        }
    }

    /// The simplex that a term drawing classes together tends to needs one dimension less than it
    /// has classes.
    fn simplex(&mut self, term: &Term, map: &ClassMap) {
        let needs = term.call.bound.spec.needs;
        let draws_together = needs.contains(&Port::Labels) && !needs.contains(&Port::Views);
        let classes = map.names.len();
        let place = Place { dim: 1, ..Place::of_encoder(self.known.image) };
        let part = term.call.bound.part();
        let embeds = part.map_or("embeds".to_owned(), |part| format!("its part `{part}` embeds"));
        let (dim, maker, does) = match &self.stage.projector {
            Some(projector) if compares(&term.call.bound, &place) => {
                (self.projected, projector, "projects".to_owned())
            }
            _ => (self.seen(term), &self.stage.encoder, embeds),
        };
        let Some(dim) = dim.filter(|dim| draws_together && dim + 1 < classes) else { return };
        let message =
            format!("the simplex of {classes} classes does not fit into {dim} dimensions");
        self.out.push(
            Diagnostic::new(&codes::ETF, message)
                .at(maker.span, format!("{does} into {dim} dimensions"))
                .at(term.call.span, format!("{classes} classes need {} dimensions", classes - 1))
                .help("class means cannot all be equally far apart then"),
        );
    }
}

/// The first of some names.
fn few(names: &[String]) -> String {
    let quoted = |name: &String| format!("`{name}`");
    let shown: Vec<String> = names.iter().take(3).map(quoted).collect();
    if names.len() > 3 { format!("{}, …", shown.join(", ")) } else { shown.join(", ") }
}
