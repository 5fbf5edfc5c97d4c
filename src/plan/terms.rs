//! What can be known to be wrong with the terms of a loss.

use super::Division;
use super::check::{labels_misfit, unfit};
use super::compile::labels_of;
use super::constant::constant;
use super::partners::partners;
use super::recent::Networks;
use crate::catalog::{ClassMap, DatasetFacts, Labels, Place, Port};
use crate::diag::{Diagnostic, codes};
use crate::resolve::{Keep, Stage, Term};

/// The loss of one stage.
pub(super) struct Terms<'a> {
    pub stage: &'a Stage,
    pub known: &'a DatasetFacts,
    /// Width of the embedding, where that is known.
    pub dim: Option<usize>,
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
        } else if terms.iter().all(|term| term.weight.node == 0.0) {
            self.nothing("every weight is 0");
        }
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

    fn term(&mut self, term: &Term) {
        let misfit = labels_misfit(
            self.known,
            (&labels_of(&term.call.bound), &self.own()),
            &term.call,
            &self.stage.data,
        );
        self.out.extend(misfit);
        if term.weight.node == 0.0 {
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
        let Some(map) = self.map(term) else { return };
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
        let Some(dim) = self.dim else { return };
        let place = Place { image: self.known.image, dim, classes: map.names.len(), train: 0 };
        if let Err(misfit) = self.networks.of(&term.call.bound, &place) {
            let images = format!("images are {}", place.image);
            let embedding = format!("embeddings are [{dim}]");
            self.out.push(
                unfit(misfit, &term.call)
                    .at(self.stage.encoder.span, embedding)
                    .at(self.stage.data.span, images),
            );
        }
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
        let heavy = || self.stage.terms.iter().filter(|term| term.weight.node > 0.0);
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
        let Keep::Best { term } = &self.stage.train.keep else { return };
        let left_out = |it: &&Term| it.name.node == term.node && it.weight.node == 0.0;
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

    /// The simplex that a term drawing classes together tends to needs one dimension less than it
    /// has classes.
    fn simplex(&mut self, term: &Term, map: &ClassMap) {
        let needs = term.call.bound.spec.needs;
        let draws_together = needs.contains(&Port::Labels) && !needs.contains(&Port::Views);
        let classes = map.names.len();
        let Some(dim) = self.dim.filter(|dim| draws_together && dim + 1 < classes) else { return };
        let message =
            format!("the simplex of {classes} classes does not fit into {dim} dimensions");
        self.out.push(
            Diagnostic::new(&codes::ETF, message)
                .at(self.stage.encoder.span, format!("embeds into {dim} dimensions"))
                .at(term.call.span, format!("{classes} classes need {} dimensions", classes - 1))
                .help("class means cannot all be equally far apart then"),
        );
    }
}
