//! What a training does beside the plain step, as it stands in a plan: what is not asked for is left
//! out, so that what was planned before it could be asked for is still the same.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use super::batches::Balance;
use crate::catalog::{Bound, Port};
use crate::resolve::{Average, Train};

/// What a training does beside the plain step.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Method {
    /// Which images a batch is made of; without it every image once an epoch.
    #[serde(serialize_with = "super::component", skip_serializing_if = "is_plain")]
    #[schemars(schema_with = "super::schema::component")]
    pub sampler: Bound,
    /// The largest norm of a gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// In how many pieces a batch is passed through, whose gradients are added up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<usize>,
    /// Items of a piece whose embeddings are kept until all of the batch is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk: Option<usize>,
    /// The share that a step keeps of the moving average of the weights, which is evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Steps after which the weights at the ends of epochs are averaged, to be evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swa: Option<usize>,
    /// What the products of linear layers are computed in, where it is not `f32`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
}

/// What products are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Numbers of 8 bits of precision, added up in `f32`.
    Bf16,
}

impl Method {
    /// What `train` declares, where an epoch has so many steps. What divides a batch into one piece
    /// does not.
    pub(super) fn of(train: &Train, steps_per_epoch: usize) -> Self {
        let (declared, batch) = (&train.method, train.batch.node);
        let average = declared.average.as_ref().map(|it| it.node);
        Self {
            sampler: declared.sampler.bound.clone(),
            clip: declared.clip.as_ref().map(|it| it.node),
            accumulate: declared.accumulate.as_ref().map(|it| it.node).filter(|it| *it > 1),
            chunk: declared.chunk.as_ref().map(|it| it.node).filter(|it| *it < batch),
            ema: average.and_then(|it| match it {
                Average::Ema(decay) => Some(decay),
                Average::Swa(_) => None,
            }),
            swa: average.and_then(|it| match it {
                Average::Swa(start) => Some(start.steps(steps_per_epoch, batch)),
                Average::Ema(_) => None,
            }),
            precision: declared.is_half.then_some(Precision::Bf16),
        }
    }

    /// Its lines in an address; none for the plain step.
    pub(super) fn canonical(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !is_plain(&self.sampler) {
            lines.push(format!("sampler @{} {}", self.sampler.spec.version, self.sampler));
        }
        lines.extend(self.clip.map(|norm| format!("clip {norm}")));
        lines.extend(self.accumulate.map(|pieces| format!("accumulate {pieces}")));
        lines.extend(self.chunk.map(|items| format!("chunk {items}")));
        lines.extend(self.ema.map(|decay| format!("ema {decay}")));
        lines.extend(self.swa.map(|steps| format!("swa {steps}")));
        lines.extend(self.precision.map(|Precision::Bf16| "in bf16".to_owned()));
        lines
    }

    /// The same for people, each behind a comma.
    pub(super) fn shown(&self) -> String {
        let mut text = String::new();
        for line in self.canonical() {
            let line = match line.split_once(' ') {
                Some(("sampler", _)) => self.sampler.to_string(),
                Some(("swa", _)) => line + " steps",
                _ => line,
            };
            write!(text, ", {line}").expect("a text can be written to");
        }
        text
    }

    /// Whether the state that is evaluated is an average of the weights.
    pub fn averages(&self) -> bool {
        self.ema.is_some() || self.swa.is_some()
    }

    /// Whether classes come equally often, whatever their size.
    pub(super) fn balances_classes(&self) -> bool {
        Balance::of(&self.sampler).is_some_and(|balance| !balance.by_group)
    }

    /// Whether a batch holds some of `classes` classes alone, not a share of each.
    pub(super) fn is_partial(&self, batch: usize, classes: usize) -> bool {
        let balance = Balance::of(&self.sampler);
        balance.is_some_and(|it| it.by_group || it.held(batch, classes) < classes)
    }

    /// Whether it depends on the groups of the data.
    pub(super) fn reads_groups(&self) -> bool {
        self.sampler.needs(Port::Groups)
    }

    /// Whether every batch is full, and an epoch no pass over the data.
    pub(super) fn fills(&self) -> bool {
        !is_plain(&self.sampler)
    }
}

/// Whether `sampler` draws every image once an epoch, as a training does that does not say.
fn is_plain(sampler: &Bound) -> bool {
    sampler.spec.name == "shuffled"
}
