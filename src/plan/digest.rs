//! What a stage or an evaluation computes, as a stable address.

use serde::{Serialize, Serializer};

use super::{Data, Evaluation, FoundGroups, NUMERICS, Stage};
use crate::catalog::{Bound, Port, Value};
use crate::digest::blake3;

/// BLAKE3 of a canonical text, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
#[schemars(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of `text`.
    pub fn of(text: &str) -> Self {
        Self(blake3(text.as_bytes()))
    }

    /// All 64 digits.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Enough of it for a folder's name.
    pub fn short(&self) -> &str {
        &self.0[..16]
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Stage {
    /// Everything that changes this training's numbers, and nothing else. The stage's name is in
    /// it because it addresses the random streams.
    pub fn canonical(&self) -> String {
        let mut lines = vec![format!("numerics {NUMERICS}"), format!("stage {}", self.name)];
        lines.push(format!("seed {}", self.seed));
        lines.extend(self.pins.iter().map(|(stream, root)| format!("pin {stream} {root}")));
        lines.extend(self.data.canonical());
        lines.push(format!("encoder {}", versioned(&self.drawn_encoder())));
        // The file's content says more than its name.
        lines.extend(self.initial.iter().map(|initial| format!("weights {}", initial.digest)));
        let upstream = self.begins_with.iter();
        lines.extend(upstream.map(|it| format!("begins with {}", it.digest.text())));
        let projector = self.projector.iter();
        lines.extend(projector.map(|it| format!("projector {}", versioned(&it.call))));
        let frozen = self.frozen.iter();
        lines.extend(frozen.map(|it| format!("freeze {}", it.networks.join(", "))));
        for transform in &self.augment {
            lines.push(format!("augment {} {}", transform.name, versioned(&transform.call)));
        }
        lines.push(format!("views {}", self.views));
        for term in &self.terms {
            let call = versioned(&term.call);
            lines.push(format!(
                "term {} {} {call} {:?}",
                term.name, term.weight, term.classes.of_fine
            ));
        }
        lines.push(format!("optimizer {}", versioned(&self.optimizer)));
        lines.push(format!("schedule {}", versioned(&self.schedule)));
        lines.push(format!("batch {} drop_last {}", self.batch, self.drop_last));
        lines.push(format!("steps {}", self.steps));
        lines.push(format!("keep {}", self.keep_best.as_deref().unwrap_or("last")));
        if self.keep_worst_group {
            lines.push("keep by worst group".to_owned());
        }
        if self.keep_worst_found_group {
            lines.push("keep by worst found group".to_owned());
        }
        lines.extend(self.groups.iter().flat_map(FoundGroups::canonical));
        lines.extend(self.method.canonical());
        lines.extend(self.named_group());
        let groups = self.data.groups.as_ref().filter(|_| self.reads_groups());
        lines.extend(groups.map(|groups| format!("groups {:?}", groups.of_fine)));
        lines.push("precision f32".to_owned());
        lines.join("\n")
    }
}

impl Stage {
    /// Which group its sampler names: a name says so only beside the other names.
    fn named_group(&self) -> Option<String> {
        let named = self.method.sampler.value("group")?;
        let mut names = self.group_names().iter();
        let at = names.position(|name| Value::Text(name.clone()) == *named)?;
        Some(format!("draws group {at}"))
    }

    /// Whether its training depends on the groups of the data.
    pub(super) fn reads_groups(&self) -> bool {
        self.keep_worst_group || self.trains_on_groups()
    }

    /// Whether its steps do; those that are found are not of the data.
    pub(super) fn trains_on_groups(&self) -> bool {
        let reads = || {
            self.method.reads_groups() || self.terms.iter().any(|it| it.call.needs(Port::Groups))
        };
        self.groups.is_none() && reads()
    }

    /// The encoder as it would be with weights that are drawn.
    fn drawn_encoder(&self) -> Bound {
        let drawn = |value: &Value| match value {
            Value::Weights(_) => Value::None,
            other => other.clone(),
        };
        Bound { args: self.encoder.args.iter().map(drawn).collect(), ..self.encoder.clone() }
    }
}

impl Data {
    fn canonical(&self) -> Vec<String> {
        let Self { call, content, division, classes, .. } = self;
        let mut lines = vec![
            format!("data {}@{} {content}", call.spec.name, call.spec.version),
            format!(
                "division train {} val {} test {} seed {}",
                division.train, division.val, division.test, division.seed
            ),
            format!("labels {:?}", classes.of_fine),
        ];
        // What is not asked for is not said, so that digests of older files stay.
        if call.value("size").is_some() {
            lines.push(format!("image {}", self.image));
        }
        lines.extend(
            self.subsample.iter().map(|it| {
                format!("subsample {:?} with_replacement {}", it.most, it.with_replacement)
            }),
        );
        if self.label_noise > 0.0 {
            lines.push(format!("label_noise {}", self.label_noise));
        }
        lines
    }
}

impl Evaluation {
    /// Everything that changes this evaluation's numbers; `upstream` are the digests of the stages
    /// it reads.
    pub fn canonical(&self, upstream: &[&Digest]) -> String {
        let mut lines = vec![format!("numerics {NUMERICS}"), format!("evaluation {}", self.name)];
        lines.push(format!("seed {}", self.seed));
        lines.push(versioned(&self.call));
        lines.extend(upstream.iter().map(|digest| format!("on {}", digest.text())));
        if let Some(classes) = &self.classes {
            lines.push(format!("labels {:?}", classes.of_fine));
        }
        // What is not read is not said, so that digests of older files stay.
        lines.extend(self.within.iter().map(|it| format!("within {:?}", it.of_fine)));
        lines.extend(self.groups.iter().map(|it| format!("groups {:?}", it.of_fine)));
        lines.join("\n")
    }
}

fn versioned(bound: &Bound) -> String {
    format!("@{} {}", bound.spec.version, bound.canonical())
}
