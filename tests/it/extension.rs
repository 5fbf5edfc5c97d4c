//! Components declared outside the crate: those of the program in `tests/extension`, which is a
//! whole one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use balance::catalog::Kind;
use balance::graph::{Batch, build};
use balance::nn::Mode;
use balance::seed::Stream;
use candle_core::{DType, Device};

use crate::completions::offered;
use crate::lab::Lab;
use crate::numeric::{normal, values};
use crate::worked::{Asked, work_with};

#[path = "../extension/components.rs"]
mod components;

use components::library;

const OWN: [(Kind, &str); 3] =
    [(Kind::Dataset, "stripes"), (Kind::Encoder, "fourier"), (Kind::Loss, "uniformity")];

#[test]
fn components_of_ones_own_are_checked_like_any_other() {
    let library = library();
    for (kind, name) in OWN {
        let catalog = library.catalog();
        let spec = catalog.find(kind, name).unwrap();
        let example = spec.examples().next().unwrap();
        let worked = work_with(&library, &[("own.exp", &example)], &Asked::default());
        assert!(worked.diagnostics.is_empty(), "{}", worked.rendered());
        let slip = example.replace(name, &format!("{}{}", &name[..2], &name[3..]));
        let shown = work_with(&library, &[("own.exp", &slip)], &Asked::default()).rendered();
        assert!(shown.contains(&format!("did you mean `{name}`?")), "{shown}");
        let parameter = spec.params[0].name;
        assert!(spec.page().contains(&format!("`{parameter}: ")), "{}", spec.page());
    }
}

#[test]
fn a_loss_of_ones_own_is_part_of_a_model() {
    let library = library();
    let catalog = library.catalog();
    let example = catalog.find(Kind::Loss, "uniformity").unwrap().examples().next().unwrap();
    let worked = work_with(&library, &[("own.exp", &example)], &Asked::default());
    let stage = &worked.plans[0].stages[0];
    let model = build(stage, &library, DType::F64, &Device::Cpu).unwrap();
    let images = normal("images", &[4, 8, 8, 1]);
    let batch = Batch {
        images,
        clean: None,
        fine: vec![0, 3, 5, 9],
        groups: Vec::new(),
        views: 1,
        mixed: None,
    };
    let loss = model.loss(batch, &Mode::Train(Stream::new(1))).unwrap();
    let names: Vec<&str> = loss.terms.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["even", "class"]);
    let [even, class] = [0, 1].map(|at| values(&loss.terms[at].1)[0]);
    let total = 0.5 * even + class;
    assert!((values(&loss.total)[0] - total).abs() < 1e-12);
    assert!(even < 0.0);
    let grads = loss.total.backward().unwrap();
    assert!(model.params().without_gradient(&grads).is_empty());
}

#[test]
fn groups_are_part_of_an_address_where_a_sampler_reads_them() {
    let library = library();
    let digest = |groups: &str, by: &str| {
        let text = include_str!("../extension/stripes.exp")
            .replace("groups=[fine]", groups)
            .replace("by=group", by);
        let worked = work_with(&library, &[("own.exp", &text)], &Asked::default());
        assert!(worked.diagnostics.is_empty(), "{}", worked.rendered());
        worked.plans[0].stages[0].digest.clone()
    };
    let grouped = digest("groups=[fine]", "by=group");
    assert_ne!(grouped, digest("groups=[coarse]", "by=group"));
    assert_ne!(grouped, digest("groups=[fine]", "by=class"));
    assert_eq!(digest("groups=[fine]", "by=class"), digest("groups=[coarse]", "by=class"));
}

/// The program, built if it is not there yet, in the profile of this test.
fn program() -> PathBuf {
    let balance = Path::new(env!("CARGO_BIN_EXE_balance"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--offline", "--example", "extension"]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    if balance.parent().is_some_and(|folder| folder.ends_with("release")) {
        cargo.arg("--release");
    }
    // What cargo tells a test of its package would have build scripts run again, and all that
    // depends on them be compiled again.
    let is_told = |name: &String| {
        name == "OUT_DIR" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    };
    std::env::vars().map(|(name, _)| name).filter(is_told).for_each(|name| {
        cargo.env_remove(name);
    });
    assert!(cargo.status().unwrap().success());
    balance.with_file_name("examples").join("extension")
}

fn said(output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    text
}

#[test]
fn a_program_of_ones_own_explains_checks_and_runs() {
    let lab = Lab::new();
    let file = lab.file("stripes.exp", include_str!("../extension/stripes.exp"));
    let program = program();
    let say = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).env("BALANCE_STORE", lab.store()).env("LC_ALL", "C.UTF-8");
        said(command.output().unwrap())
    };
    let list = say(&["explain"]);
    for (kind, name) in OWN {
        let line = list.lines().find(|line| line.contains(&format!(" {name} "))).unwrap();
        assert!(line.starts_with(kind.name()), "{line}");
        assert!(say(&["explain", name]).contains("```exp"));
        assert_eq!(offered(&program, &["explain", name]), [name]);
    }
    say(&["check", &file, "--deny", "warnings"]);
    let table = say(&["run", &file]);
    assert!(table.contains("1 training, 1 evaluation"), "{table}");
    let again = say(&["run", &file]);
    assert!(again.contains("1 training (1 from the store)"), "{again}");
}
