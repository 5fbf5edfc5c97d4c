//! What a stage or an evaluation computes, as a stable address.

use std::fmt::{self, Write};

use serde::{Serialize, Serializer};

use super::{Data, Evaluation, FoundGroups, NUMERICS, Stage, Term};
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
        let mut lines = Lines::new();
        lines.add(format_args!("numerics {NUMERICS}"));
        lines.add(format_args!("stage {}", self.name));
        lines.add(format_args!("seed {}", self.seed));
        for (stream, root) in &self.pins {
            lines.add(format_args!("pin {stream} {root}"));
        }
        self.data.canonical(&mut lines);
        self.canonical_model(&mut lines);
        for transform in &self.augment {
            lines.add(format_args!("augment {} {}", transform.name, Versioned(&transform.call)));
        }
        lines.add(format_args!("views {}", self.views));
        for Term { name, weight, call, classes, .. } in &self.terms {
            let (call, classes) = (Versioned(call), Ids(&classes.of_fine));
            lines.add(format_args!("term {name} {weight} {call} {classes}"));
        }
        self.canonical_training(&mut lines);
        lines.add(format_args!("precision f32"));
        lines.0
    }

    fn canonical_model(&self, lines: &mut Lines) {
        lines.add(format_args!("encoder {}", Versioned(&self.drawn_encoder())));
        // The file's content says more than its name.
        if let Some(initial) = &self.initial {
            lines.add(format_args!("weights {}", initial.digest));
        }
        if let Some(upstream) = &self.begins_with {
            lines.add(format_args!("begins with {}", upstream.digest.text()));
        }
        if let Some(projector) = &self.projector {
            lines.add(format_args!("projector {}", Versioned(&projector.call)));
        }
        if let Some(frozen) = &self.frozen {
            lines.add(format_args!("freeze {}", frozen.networks.join(", ")));
        }
    }

    fn canonical_training(&self, lines: &mut Lines) {
        lines.add(format_args!("optimizer {}", Versioned(&self.optimizer)));
        lines.add(format_args!("schedule {}", Versioned(&self.schedule)));
        lines.add(format_args!("batch {} drop_last {}", self.batch, self.drop_last));
        lines.add(format_args!("steps {}", self.steps));
        lines.add(format_args!("keep {}", self.keep_best.as_deref().unwrap_or("last")));
        if self.keep_worst_group {
            lines.add(format_args!("keep by worst group"));
        }
        if self.keep_worst_found_group {
            lines.add(format_args!("keep by worst found group"));
        }
        let found = self.groups.iter().flat_map(FoundGroups::canonical);
        for line in found.chain(self.method.canonical()).chain(self.named_group()) {
            lines.add(format_args!("{line}"));
        }
        if let Some(groups) = self.data.groups.as_ref().filter(|_| self.reads_groups()) {
            lines.add(format_args!("groups {}", Ids(&groups.of_fine)));
        }
    }
}

impl Stage {
    /// Which group its sampler names: a name says so only beside the other names.
    fn named_group(&self) -> Option<String> {
        Some(format!("draws group {}", self.drawn_group()?))
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
    fn canonical(&self, lines: &mut Lines) {
        let Self { call, content, division, classes, .. } = self;
        lines.add(format_args!("data {}@{} {content}", call.spec.name, call.spec.version));
        lines.add(format_args!(
            "division train {} val {} test {} seed {}",
            division.train, division.val, division.test, division.seed
        ));
        lines.add(format_args!("labels {}", Ids(&classes.of_fine)));
        // What is not asked for is not said, so that digests of older files stay.
        if call.value("size").is_some() {
            lines.add(format_args!("image {}", self.image));
        }
        if let Some(it) = &self.subsample {
            let with = it.with_replacement;
            lines.add(format_args!("subsample {:?} with_replacement {with}", it.most));
        }
        if self.label_noise > 0.0 {
            lines.add(format_args!("label_noise {}", self.label_noise));
        }
    }
}

impl Evaluation {
    /// Everything that changes this evaluation's numbers; `upstream` are the digests of the stages
    /// it reads.
    pub fn canonical(&self, upstream: &[&Digest]) -> String {
        let mut lines = Lines::new();
        lines.add(format_args!("numerics {NUMERICS}"));
        lines.add(format_args!("evaluation {}", self.name));
        lines.add(format_args!("seed {}", self.seed));
        lines.add(format_args!("{}", Versioned(&self.call)));
        for digest in upstream {
            lines.add(format_args!("on {}", digest.text()));
        }
        // What is not read is not said, so that digests of older files stay.
        let maps = [("labels", &self.classes), ("within", &self.within), ("groups", &self.groups)];
        for (what, map) in maps {
            if let Some(map) = map {
                lines.add(format_args!("{what} {}", Ids(&map.of_fine)));
            }
        }
        lines.0
    }
}

/// A component as its version and its canonical call.
struct Versioned<'a>(&'a Bound);

impl fmt::Display for Versioned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "@{} {}", self.0.spec.version, self.0.canonical())
    }
}

/// Numbers of classes as a list.
struct Ids<'a>(&'a [u32]);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut before = "[";
        for id in self.0 {
            f.write_str(before)?;
            id.fmt(f)?;
            before = ", ";
        }
        f.write_str(if self.0.is_empty() { "[]" } else { "]" })
    }
}

/// A text, line by line.
struct Lines(String);

impl Lines {
    /// None yet, with room for those of most stages.
    fn new() -> Self {
        Self(String::with_capacity(2048))
    }

    fn add(&mut self, line: fmt::Arguments) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.write_fmt(line).expect("a text can be written to");
    }
}
