//! Laws every component keeps, checked by walking the registry: the next one is covered on arrival.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use balance::catalog::{Amount, Bound, Catalog, Kind, Spec, Type, Value};
use balance::diag::{ALL, Severity};
use balance::library::Library;
use balance::resolve::{Experiment, Stage};
use expect_test::expect_file;

use crate::worked::{Asked, Worked, work_all, work_text};

fn catalog() -> Catalog {
    Library::standard().catalog()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn names_are_unique_and_snake_case() {
    let mut names = BTreeSet::new();
    for spec in catalog().all() {
        assert!(spec.name.split('.').all(is_snake_case), "{}", spec.name);
        assert!(names.insert(spec.name), "two components are called `{}`", spec.name);
        let mut params = BTreeSet::new();
        for param in spec.params {
            assert!(is_snake_case(param.name), "{}.{}", spec.name, param.name);
            assert!(params.insert(param.name), "{}.{} is doubled", spec.name, param.name);
        }
    }
}

fn is_snake_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn every_file_with_a_component_is_registered_under_its_name() {
    for kind in Kind::ALL {
        let folder = root().join("src/library").join(kind.folder());
        let files: BTreeSet<String> = stems(&folder, "rs")
            .into_iter()
            .filter(|(_, path)| fs::read_to_string(path).unwrap().contains("\ncomponent! {"))
            .map(|(stem, _)| stem)
            .collect();
        let names = catalog().of(*kind).map(|spec| spec.name.replace('.', "_")).collect();
        assert_eq!(files, names, "files of {} and the registered names", folder.display());
    }
}

/// The names of a folder's files of one extension, and their paths.
fn stems(folder: &Path, extension: &str) -> Vec<(String, PathBuf)> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|it| it == extension));
    paths.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect()
}

#[test]
fn everything_is_documented() {
    for spec in catalog().all() {
        assert!(is_sentence(spec.summary()), "`{}` begins: {}", spec.name, spec.summary());
        assert!(spec.examples().count() > 0, "`{}` has no example", spec.name);
        for param in spec.params {
            let docs = param.docs.trim();
            assert!(is_sentence(docs), "`{}`, parameter `{}`: {docs}", spec.name, param.name);
        }
        let is_evaluation = spec.kind == Kind::Evaluation;
        assert_eq!(is_evaluation, !spec.metrics.is_empty(), "the metrics of `{}`", spec.name);
    }
}

fn is_sentence(text: &str) -> bool {
    text.starts_with(|c: char| c.is_uppercase() || c == '`') && text.ends_with('.')
}

#[test]
fn defaults_are_of_their_type() {
    for spec in catalog().all() {
        for param in spec.params {
            if let Some(default) = param.default {
                let value = default();
                assert!(fits(&param.ty, &value), "{}.{} = {value}", spec.name, param.name);
            }
        }
    }
}

fn fits(ty: &Type, value: &Value) -> bool {
    match (ty, value) {
        (Type::Optional(_), Value::None) => true,
        (Type::Optional(inner) | Type::Varying(inner), value) => fits(inner, value),
        (Type::ClassWeights, Value::None) => true,
        (Type::Bool, Value::Bool(_)) | (Type::Text, Value::Text(_)) => true,
        (Type::Path, Value::Path(_)) => true,
        (Type::Int { min, max, .. }, Value::Int(value)) => (min..=max).contains(&value),
        (Type::Real { min, max, open, .. }, Value::Real(value)) => {
            value <= max && if *open { value > min } else { value >= min }
        }
        (Type::Part, Value::Word(_)) => true,
        (Type::Choice(words), Value::Word(word)) => words.contains(&word.as_str()),
        (Type::Duration, Value::Duration(length)) => length.amount >= 0.0,
        (Type::Amount, Value::Amount(Amount::Fraction(share))) => (0.0..=1.0).contains(share),
        (Type::Amount, Value::Amount(Amount::Samples(_))) => true,
        (Type::Interval { min, max }, Value::Interval(it)) => {
            *min <= it.low && it.low <= it.high && it.high <= *max
        }
        (Type::Labels, Value::Labels(_)) | (Type::Features, Value::Features(_)) => true,
        (Type::Seed, Value::Int(seed)) => *seed >= 0,
        (Type::Seed, Value::Word(word)) => word == "seed",
        (Type::Side, Value::Int(pixels)) => *pixels >= 1,
        (Type::Side, Value::Word(word)) => word == "input",
        (Type::List(item), Value::List(values)) => values.iter().all(|value| fits(item, value)),
        (Type::Several(item), Value::List(values)) => {
            !values.is_empty() && values.iter().all(|value| fits(item, value))
        }
        (Type::Component(kind), Value::Component(bound)) => {
            bound.spec.kind == *kind
                && bound
                    .spec
                    .params
                    .iter()
                    .zip(bound.args.iter())
                    .all(|(it, arg)| fits(&it.ty, arg))
        }
        _ => false,
    }
}

#[test]
fn documented_examples_check_and_use_their_component() {
    for spec in catalog().all() {
        for example in spec.examples() {
            let worked = work_text(&example);
            assert!(worked.diagnostics.is_empty(), "`{}`:\n{}", spec.name, worked.rendered());
            assert!(use_of(&worked, spec).is_some(), "an example of `{}` lacks it", spec.name);
        }
    }
}

#[test]
fn a_call_reads_back_as_it_prints() {
    for spec in catalog().all() {
        let example = spec.examples().next().unwrap();
        let before = work_text(&example);
        let (path, bound) = use_of(&before, spec).unwrap();
        let set = format!("{path} = {bound}");
        let asked = Asked { set: vec![set.clone()], ..Asked::default() };
        let after = work_all(&[("a.exp", &example)], &asked);
        assert!(after.diagnostics.is_empty(), "{set}\n{}", after.rendered());
        assert_eq!(use_of(&after, spec).unwrap().1, bound, "{set}");
    }
}

/// Where an experiment uses a component, and with which arguments.
fn use_of(worked: &Worked, spec: &Spec) -> Option<(String, Bound)> {
    let cells = worked.designs.iter().flat_map(|design| &design.cells);
    let mut uses = cells.flat_map(|cell| uses(&cell.experiment));
    uses.find(|(_, bound)| *bound.spec == *spec)
}

fn uses(experiment: &Experiment) -> Vec<(String, Bound)> {
    let mut uses: Vec<(String, Bound)> =
        experiment.stages.iter().flat_map(|stage| uses_in_stage(stage)).collect();
    for entry in &experiment.evaluations {
        uses.push((entry.name.node.clone(), entry.call.bound.clone()));
    }
    let nested: Vec<_> = uses.iter().flat_map(|(path, bound)| arguments(path, bound)).collect();
    [uses, nested].concat()
}

fn uses_in_stage(stage: &Stage) -> Vec<(String, Bound)> {
    let mut uses = vec![
        ("data".to_owned(), stage.data.bound.clone()),
        ("encoder".to_owned(), stage.encoder.bound.clone()),
        ("train.optimizer".to_owned(), stage.train.optimizer.bound.clone()),
        ("train.schedule".to_owned(), stage.train.schedule.bound.clone()),
        ("train.sampler".to_owned(), stage.train.method.sampler.bound.clone()),
    ];
    if let Some(projector) = &stage.projector {
        uses.push(("projector".to_owned(), projector.bound.clone()));
    }
    if let Some(groups) = &stage.groups {
        uses.push((format!("{}.groups", stage.name.node), groups.bound.clone()));
    }
    for entry in &stage.augment {
        uses.push((format!("augment.{}", entry.name.node), entry.call.bound.clone()));
    }
    for term in &stage.terms {
        uses.push((format!("loss.{}", term.name.node), term.call.bound.clone()));
    }
    uses
}

fn arguments(path: &str, bound: &Bound) -> Vec<(String, Bound)> {
    let args = bound.spec.params.iter().zip(bound.args.iter());
    let calls = args.filter_map(|(param, arg)| match arg {
        Value::Component(inner) => Some((format!("{path}.{}", param.name), (**inner).clone())),
        _ => None,
    });
    calls.collect()
}

#[test]
fn reference_pages_are_fresh() {
    for kind in Kind::ALL {
        let folder = reference().join(kind.folder());
        fs::create_dir_all(&folder).unwrap();
        for spec in catalog().of(*kind) {
            let path = folder.join(format!("{}.md", spec.name));
            expect_file![path].assert_eq(&spec.page());
        }
        let pages: BTreeSet<String> = stems(&folder, "md").into_iter().map(|it| it.0).collect();
        let names = catalog().of(*kind).map(|spec| spec.name.to_owned()).collect();
        assert_eq!(pages, names, "the pages of {}", folder.display());
    }
    expect_file![reference().join("README.md")].assert_eq(&index());
    expect_file![reference().join("diagnostics.md")].assert_eq(&diagnostics());
}

fn reference() -> PathBuf {
    root().join("docs/reference")
}

fn index() -> String {
    let mut page = "# Reference\n\nEvery component an experiment can name, from the declarations \
        in the program itself; `balance explain NAME` prints the same page.\n\
        What each diagnostic means stands in [diagnostics](diagnostics.md).\n"
        .to_owned();
    for kind in Kind::ALL {
        let heading = kind.folder();
        page.push_str(&format!("\n## {heading}\n\n"));
        for spec in catalog().of(*kind) {
            let name = spec.name;
            page.push_str(&format!("- [`{name}`]({heading}/{name}.md): {}\n", spec.summary()));
        }
    }
    page
}

fn diagnostics() -> String {
    let mut page = "# Diagnostics\n\nEvery problem `balance` reports has a number to search for \
        and a name to remember; \
        `balance explain B0102` prints its page, and so does `balance explain unknown-name`.\n\
        Errors stop before any training; warnings and notes do not.\n\n\
        | number | name | severity | what it says |\n|---|---|---|---|\n"
        .to_owned();
    for code in ALL {
        let severity = match code.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let (name, summary) = (code.name, code.summary);
        let link = format!("[`{name}`](diagnostics/{name}.md)");
        page.push_str(&format!("| {} | {link} | {severity} | {summary} |\n", code.number));
    }
    page
}

#[test]
fn codes_are_unique_and_in_order() {
    let numbers: Vec<&str> = ALL.iter().map(|code| code.number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let names: BTreeSet<&str> = ALL.iter().map(|code| code.name).collect();
    assert_eq!(names.len(), ALL.len());
}
