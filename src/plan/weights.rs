//! Files of weights that encoders begin with, held against what they need.

use schemars::JsonSchema;
use serde::Serialize;

use super::amount::grouped;
use crate::catalog::{Bound, Facts, ImageShape, Place, Tensors, Value, WeightsFacts};
use crate::diag::{Diagnostic, closest, codes};
use crate::resolve::{Called, Stage};

/// What names of a classifier, and of nothing else in an encoder, begin with.
const CLASSIFIER: &[&str] = &["fc.", "head.", "heads.", "classifier."];

/// More parameters than an encoder in a file has; the names of more cannot be asked for.
const MOST_PARAMETERS: u64 = 1 << 31;

/// What PyTorch counts and nobody reads.
const COUNTER: &str = "num_batches_tracked";

/// The file of weights that an encoder begins with.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Initial {
    /// The digest of its content.
    pub digest: String,
    /// The tensors of a classifier, which are not used.
    pub left_out: Vec<String>,
}

impl Initial {
    /// What `encoder` begins with; none where its weights are drawn.
    pub(super) fn of(encoder: &Bound, facts: &Facts) -> Option<Self> {
        let known = facts.weights.get(&encoder.weights()?.path)?.as_ref().ok()?;
        Some(Self { digest: known.digest.clone(), left_out: left_out(known) })
    }
}

fn is_of_classifier(name: &str) -> bool {
    CLASSIFIER.iter().any(|prefix| name.starts_with(prefix))
}

fn left_out(known: &WeightsFacts) -> Vec<String> {
    known.tensors.keys().filter(|name| is_of_classifier(name)).cloned().collect()
}

/// What is wrong with the weights that the encoder of `stage` begins with, and what of them is not
/// used.
pub(super) fn of_stage(stage: &Stage, image: ImageShape, facts: &Facts) -> Option<Diagnostic> {
    let encoder = &stage.encoder;
    if let Some(unread) = unread(encoder) {
        return Some(unread);
    }
    let file = encoder.bound.weights()?;
    let place = encoder.place("init");
    let known = match facts.weights.get(&file.path)? {
        Ok(known) => known,
        Err(why) => {
            let message = format!("the weights `{}` cannot be read", file.written);
            return Some(
                Diagnostic::new(&codes::WEIGHTS, message)
                    .at(place, why.clone())
                    .help("a path is seen from the folder of the file that says it"),
            );
        }
    };
    let another = |label: String| {
        let message = format!("`{}` holds the weights of another encoder", file.written);
        Diagnostic::new(&codes::WEIGHTS, message)
            .at(place, label)
            .at(stage.data.span, format!("images are {image}"))
    };
    let parameters = encoder.bound.network(&Place::of_encoder(image)).ok()?.parameters();
    if parameters > MOST_PARAMETERS {
        let parameters = grouped(parameters);
        return Some(another(format!("the encoder has {parameters} parameters")));
    }
    let differences = Differences::of(&encoder.bound.stored(image)?, &known.tensors);
    if !differences.is_empty() {
        let diagnostic = another(differences.counts());
        return Some(differences.listed().into_iter().fold(diagnostic, Diagnostic::help));
    }
    let left_out = left_out(known);
    (!left_out.is_empty()).then(|| {
        let message = format!("a classifier in `{}` is not used", file.written);
        let names: Vec<_> = left_out.iter().map(|name| format!("`{name}`")).collect();
        Diagnostic::new(&codes::LEFT_OUT, message)
            .at(place, format!("left out: {}", names.join(", ")))
    })
}

/// Where the weights of a file could not be used as they are.
fn unread(encoder: &Called) -> Option<Diagnostic> {
    let new = |message: &str| Diagnostic::new(&codes::WEIGHTS, message);
    if encoder.bound.args.iter().any(|arg| matches!(arg, Value::Component(it) if begins(it))) {
        let message = "the parts of an encoder do not begin with the weights of files";
        return Some(
            new(message)
                .at(encoder.span, "`init` of a part is not read")
                .help("train the parts in stages of their own, and evaluate `concat(…)` of both"),
        );
    }
    let is_bounded = encoder.bound.value("lipschitz").is_some_and(|bound| *bound != Value::None);
    (is_bounded && encoder.bound.weights().is_some()).then(|| {
        new("the weights of a file keep no Lipschitz bound")
            .at(encoder.place("init"), "as they are in the file")
            .at(encoder.place("lipschitz"), "would change them")
            .help("leave out one of them")
    })
}

/// Whether an encoder, or a part of it, begins with the weights of a file.
fn begins(encoder: &Bound) -> bool {
    let is_part = |arg: &Value| matches!(arg, Value::Component(part) if begins(part));
    encoder.weights().is_some() || encoder.args.iter().any(is_part)
}

/// How a file differs from what an encoder needs; every text is one tensor.
struct Differences {
    missing: Vec<String>,
    reshaped: Vec<String>,
    left_over: Vec<String>,
}

impl Differences {
    fn of(needed: &Tensors, found: &Tensors) -> Self {
        let is_left_over = |name: &&String| {
            !needed.contains_key(*name) && !name.ends_with(COUNTER) && !is_of_classifier(name)
        };
        let left_over: Vec<&String> = found.keys().filter(is_left_over).collect();
        let (mut missing, mut reshaped) = (Vec::new(), Vec::new());
        for (name, shape) in needed {
            match found.get(name) {
                Some(other) if other == shape => {}
                Some(other) => {
                    reshaped.push(format!("`{name}` is {other:?}, and {shape:?} is needed"));
                }
                None => {
                    let near = closest(name, left_over.iter().map(|it| it.as_str()));
                    let near = near.map_or(String::new(), |near| format!(" (near: `{near}`)"));
                    missing.push(format!("`{name}`{near}"));
                }
            }
        }
        let left_over = left_over.into_iter().map(|name| format!("`{name}`")).collect();
        Self { missing, reshaped, left_over }
    }

    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.reshaped.is_empty() && self.left_over.is_empty()
    }

    /// `2 tensors are missing, 1 has another shape`
    fn counts(&self) -> String {
        let tensors = |count: usize, one: &str, many: &str| {
            (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
        };
        let parts = [
            tensors(self.missing.len(), "is missing", "are missing"),
            tensors(self.reshaped.len(), "has another shape", "have other shapes"),
            tensors(self.left_over.len(), "is left over", "are left over"),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        format!("of its tensors {}", parts.join(", "))
    }

    /// All of them, by what is wrong.
    fn listed(&self) -> Vec<String> {
        let parts = [
            ("missing", &self.missing),
            ("of another shape", &self.reshaped),
            ("left over", &self.left_over),
        ];
        let parts = parts.into_iter().filter(|(_, tensors)| !tensors.is_empty());
        parts.map(|(what, tensors)| format!("{what}: {}", tensors.join(", "))).collect()
    }
}
