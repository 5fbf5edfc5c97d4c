//! What can be known to be wrong with the terms of a loss.

use super::check::{labels_misfit, unfit};
use super::compile::labels_of;
use super::recent::Networks;
use crate::catalog::{ClassMap, DatasetFacts, Place, Port};
use crate::diag::{Diagnostic, codes};
use crate::resolve::{Stage, Term};

/// A share of anchors without a partner that is worth a word.
const LONELY: f64 = 0.1;

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
        let stage = self.stage;
        if stage.terms.iter().all(|term| term.weight.node == 0.0) {
            let label = if stage.terms.is_empty() { "no term" } else { "every weight is 0" };
            let name = match stage.name.node.as_str() {
                "main" => "this loss",
                name => &format!("the loss of stage `{name}`"),
            };
            let message = format!("{name} leaves nothing to minimise");
            self.out.push(Diagnostic::new(&codes::NO_LOSS, message).at(stage.loss, label));
        }
        for term in &stage.terms {
            self.term(term);
        }
    }

    fn term(&mut self, term: &Term) {
        let own = labels_of(&self.stage.data.bound);
        let labels = labels_of(&term.call.bound);
        let misfit = labels_misfit(self.known, (&labels, &own), &term.call, &self.stage.data);
        self.out.extend(misfit);
        if term.weight.node == 0.0 {
            // In a sweep a weight of 0 is one end of an axis.
            if !self.is_sweep {
                let message = format!("the term `{}` has weight 0", term.name.node);
                self.out.push(
                    Diagnostic::new(&codes::ZERO_WEIGHT, message)
                        .at(term.weight.span, "left out of training"),
                );
            }
            return;
        }
        self.views(term);
        let Ok(map) = self.known.class_map(&labels, &own) else { return };
        self.fits(term, &map);
        self.partners(term, &map);
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

    fn views(&mut self, term: &Term) {
        if !self.needs(term, Port::Views) || self.stage.views.node >= 2 {
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

    fn needs(&self, term: &Term, port: Port) -> bool {
        term.call.bound.spec.needs.contains(&port)
    }

    /// A term that contrasts within a class says nothing about an anchor that is alone in it.
    fn partners(&mut self, term: &Term, map: &ClassMap) {
        if !self.needs(term, Port::Labels) || !self.needs(term, Port::Views) {
            return;
        }
        let (classes, batch) = (map.names.len(), self.stage.train.batch.node);
        let alone = (1.0 - 1.0 / classes as f64).powi(batch as i32 - 1);
        if alone < LONELY {
            return;
        }
        let percent = alone * 100.0;
        let message = format!(
            "{percent:.0}% of the anchors will have no second example of their class in the batch"
        );
        let per_class = batch as f64 / classes as f64;
        // The batch at which the share falls below a hundredth.
        let enough = (0.01f64.ln() / (1.0 - 1.0 / classes as f64).ln()).ceil() + 1.0;
        self.out.push(
            Diagnostic::new(&codes::PARTNERS, message)
                .at(self.stage.data.span, format!("{classes} classes"))
                .at(
                    self.stage.train.batch.span,
                    format!("{per_class:.1} examples of each class per batch"),
                )
                .at(term.call.span, "needs two; alone it is 0, without gradient")
                .help(format!("`batch = {enough}` brings the share below 1%")),
        );
    }

    /// The simplex that a term drawing classes together tends to needs one dimension less than it
    /// has classes.
    fn simplex(&mut self, term: &Term, map: &ClassMap) {
        let draws_together = self.needs(term, Port::Labels) && !self.needs(term, Port::Views);
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
