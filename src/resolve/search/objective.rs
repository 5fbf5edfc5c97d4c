//! By which measure a search picks.

use super::super::Experiment;
use super::super::draft::as_path;
use super::super::sweep::Reader;
use super::Parts;
use crate::diag::{Diagnostic, codes, or_list};
use crate::syntax::{Block, Field, Name};

impl Reader<'_> {
    /// `maximize = val.EVALUATION.METRIC`; the measure must be one of `base`.
    pub(super) fn objective(
        &mut self,
        search: &Block,
        parts: &Parts,
        base: Option<&Experiment>,
    ) -> Option<String> {
        let (direction, field) = match (&parts.maximize, &parts.minimize) {
            (Some(field), None) => ("maximize", field),
            (None, Some(field)) => ("minimize", field),
            (None, None) => {
                return self.lacks(search, "what is best", "maximize = val.EVALUATION.METRIC");
            }
            (Some(first), Some(second)) => {
                self.out.push(
                    Diagnostic::new(&codes::DUPLICATE, "a search has one objective")
                        .at(first.path.span, "one")
                        .at(second.path.span, "another"),
                );
                return None;
            }
        };
        let path = self.measure(field)?;
        let [split, evaluation, metric] = path else {
            self.out.push(not_val(field, path));
            return None;
        };
        if split.node != "val" {
            self.out.push(not_val(field, path));
            return None;
        }
        self.measured(evaluation, metric, base?)?;
        Some(format!("{direction} val.{}.{}", evaluation.node, metric.node))
    }

    /// The names of the measure: two or three.
    fn measure<'f>(&mut self, field: &'f Field) -> Option<&'f [Name]> {
        match as_path(&field.value).map(|path| &path.parts[..]) {
            Some(parts @ ([_, _] | [_, _, _])) => Some(parts),
            _ => {
                let message = format!("`{}` names a measure", field.path.text());
                self.out.push(
                    Diagnostic::new(&codes::WRONG_TYPE, message)
                        .at(field.value.span, "cannot be read as one")
                        .help("write `val.EVALUATION.METRIC`, for example `val.fine.accuracy`"),
                );
                None
            }
        }
    }

    /// Whether `base` has the evaluation, and it the metric.
    fn measured(&mut self, evaluation: &Name, metric: &Name, base: &Experiment) -> Option<()> {
        let found = base.evaluations.iter().find(|it| it.name.node == evaluation.node);
        let Some(entry) = found else {
            let message = format!("no evaluation is called `{}`", evaluation.node);
            let names = base.evaluations.iter().map(|it| it.name.node.as_str());
            let diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, message);
            self.out.push(diagnostic.expected(evaluation.span, &evaluation.node, names));
            return None;
        };
        let spec = entry.call.bound.spec;
        if spec.metrics.contains(&metric.node.as_str()) {
            return Some(());
        }
        let message = format!("`{}` does not measure `{}`", evaluation.node, metric.node);
        self.out.push(
            Diagnostic::new(&codes::UNKNOWN_NAME, message)
                .expected(metric.span, &metric.node, spec.metrics.iter().copied())
                .at(entry.call.span, format!("it measures {}", or_list(spec.metrics))),
        );
        None
    }
}

/// A measure of another split than the one for choosing; without a split it is that of `test`.
fn not_val(field: &Field, path: &[Name]) -> Diagnostic {
    let (split, rest) = match path {
        [split, rest @ ..] if rest.len() == 2 => (split.node.as_str(), rest),
        rest => ("test", rest),
    };
    let names: Vec<&str> = rest.iter().map(|name| name.node.as_str()).collect();
    let better = format!("{} = val.{}", field.path.text(), names.join("."));
    let span = field.value.span;
    match split {
        "test" => {
            let message = "the model is selected on the data it is reported on";
            let label = match path.len() {
                2 => "without a split this is the test split's",
                _ => "the point would be chosen with test labels",
            };
            Diagnostic::new(&codes::TEST_SELECTION, message)
                .at(span, label)
                .help(format!("use `{better}`"))
        }
        "train" => {
            let message = "a search does not choose on the data it trains on";
            Diagnostic::new(&codes::TEST_SELECTION, message)
                .at(span, "the point that overfits most would win")
                .help(format!("use `{better}`"))
        }
        split => Diagnostic::new(&codes::UNKNOWN_NAME, format!("no split is called `{split}`"))
            .expected(path[0].span, split, ["val"]),
    }
}
