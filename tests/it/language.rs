//! Facts of the language, each by small files: what an address depends on, and what it does not.

use std::fs;
use std::path::Path;

use balance::catalog::{Kind, ParamSpec, Port, Spec, Type, Value};
use balance::diag::has_errors;
use balance::plan::Plan;
use balance::syntax;
use expect_test::expect;

use crate::worked::{Asked, catalog, plan_of, work, work_all, work_text};

/// What everything in a plan is addressed by.
fn digests(plan: &Plan) -> Vec<String> {
    let stages = plan.stages.iter().map(|stage| stage.digest.text().to_owned());
    let evaluations = plan.evaluations.iter().map(|it| it.digest.text().to_owned());
    stages.chain(evaluations).collect()
}

fn digests_of(text: &str) -> Vec<String> {
    digests(&plan_of(text))
}

const PLAIN: &str = r#"edition 1

param alpha: fraction = 50%

experiment plain {
  data = digits(labels=coarse, val=10%, test=25%)
  encoder = mlp(widths=[64], out=16)
  augment { turn = rotation(degrees=15); move = shift(by=10%) }
  views = 2
  loss {
    supcon = (1 - alpha) * supcon(temperature=0.5, pairs=pooled)
    class = cross_entropy()
  }
  train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
  eval { fine = linear(labels=fine) }
}

sweep all of plain { grid { alpha = [25%, 50%] }; seeds = 0..2 }
"#;

#[test]
fn an_address_ignores_how_it_is_written() {
    let other = r#"
# The same, written otherwise.
edition 1;

let size = 8 * 2
dataset images = digits(test=0.25, val=135 samples - 0 samples, labels=coarse)
encoder small = mlp(out=size, widths=[size * 4])
param share: fraction in 0%..=100% = 50% doc "the weight"
augment moved { turn = rotation(degrees=(15)); move = shift(by=0.1) }
loss spread { supcon = (100% - share) * supcon(pairs=pooled); class = 1.0 * cross_entropy() }

experiment base {
  encoder = small; views = 2; loss = spread
  train { for = 5 epoch; batch = 64; optimizer = adamw(lr=0.001); schedule = constant; drop_last = false }
}

experiment renamed extends base {
  data = images
  data.val = 10%
  augment = moved
  eval { fine = linear(on=main.encoder, labels=fine, for=100 epochs) }
  note = "whatever"
  run { device = cpu }
}

sweep reversed of renamed {
  choose weight { "a quarter" { share = 25% } "half" { share = 1 / 2 } }
  seeds = [0, 1]
}
"#;
    assert_eq!(digests_of(PLAIN), digests_of(other));
    let with_crlf = PLAIN.replace('\n', "\r\n");
    let with_bom = format!("\u{feff}{PLAIN}");
    let with_tabs = PLAIN.replace("  ", "\t");
    let commented = PLAIN.replace('\n', "  # (a comment \" {\n");
    for text in [with_crlf, with_bom, with_tabs, commented] {
        assert_eq!(digests_of(PLAIN), digests_of(&text), "{text}");
    }
}

#[test]
fn an_address_ignores_which_file_it_is_written_in() {
    let (library, sweep) = PLAIN.split_once("sweep").unwrap();
    let sweep = format!("edition 1\nimport \"parts/lib.exp\" as lib\nsweep{sweep}");
    let sweep = sweep.replace("of plain", "of lib.plain").replace("alpha", "lib.alpha");
    let files = [("main.exp", sweep.as_str()), ("parts/lib.exp", library)];
    let worked = work_all(&files, &Asked::default());
    assert!(!has_errors(&worked.diagnostics), "{}", worked.rendered());
    assert_eq!(digests_of(PLAIN), digests(&worked.plans[0]));
}

#[test]
fn an_address_depends_on_what_is_computed() {
    let plain = digests_of(PLAIN);
    let changes = [
        ("labels=coarse", "labels=fine"),
        ("turn = ", "turned = "),
        (
            "rotation(degrees=15); move = shift(by=10%)",
            "shift(by=10%); move = rotation(degrees=15)",
        ),
        ("views = 2", "views = 3"),
        ("25%, 50%", "25%, 51%"),
        ("supcon = (1", "attract = (1"),
        ("batch = 64", "batch = 65"),
        ("5 epochs", "6 epochs"),
        ("5 epochs }", "5 epochs; drop_last = true }"),
        ("5 epochs }", "5 epochs; keep = best(val.class.accuracy) }"),
        ("5 epochs }", "5 epochs; sampler = balanced() }"),
        ("5 epochs }", "5 epochs; clip = 1 }"),
        ("5 epochs }", "5 epochs; accumulate = 2 }"),
        ("5 epochs }", "5 epochs; chunk = 32 }"),
        ("5 epochs }", "5 epochs; ema = 0.99 }"),
        ("5 epochs }", "5 epochs; swa = 3 epochs }"),
        ("5 epochs }", "5 epochs; freeze = [encoder] }"),
        ("lr=1e-3", "lr=2e-3"),
        ("seeds = 0..2", "seeds = 1..3"),
        ("linear(labels=fine)", "linear(labels=coarse)"),
        ("linear(labels=fine)", "knn(labels=fine)"),
        ("fine = linear", "probe = linear"),
    ];
    for (from, to) in changes {
        assert!(PLAIN.contains(from), "{from}");
        let changed = digests_of(&PLAIN.replacen(from, to, 1));
        assert_ne!(plain, changed, "`{to}` for `{from}`");
    }
}

#[test]
fn what_is_not_asked_for_is_in_no_address() {
    let plain = digests_of(PLAIN);
    for said in [
        "sampler = shuffled(); clip = none; ema = none; swa = none",
        "accumulate = 1",
        "chunk = 64",
    ] {
        let said = format!("5 epochs; {said} }}");
        assert_eq!(plain, digests_of(&PLAIN.replacen("5 epochs }", &said, 1)), "{said}");
    }
}

#[test]
fn a_term_of_weight_0_is_a_term_that_is_not_there() {
    let with = |term: &str| {
        digests_of(&PLAIN.replace("    class = cross", &format!("{term}\n    class = cross")))
    };
    let absent = digests_of(PLAIN);
    assert_eq!(absent, with("    cnce = 0 * class_infonce()"));
    assert_eq!(absent, with("    cnce = (alpha - alpha) * class_infonce()"));
    assert_eq!(absent, with("    cnce = none"));
    assert_ne!(absent, with("    cnce = 1e-9 * class_infonce()"));
}

/// Whether the component of `kind` that is called reads the groups of images.
fn reads_groups(kind: Kind, call: &str) -> bool {
    let name = call.split('(').next().unwrap_or_default();
    catalog().find(kind, name).is_some_and(|spec| spec.needs.contains(&Port::Groups))
}

/// An experiment that calls `call`, a component of `kind`, with everything else fixed.
fn calling(kind: Kind, call: &str) -> String {
    // What takes no steps trains a classifier in an evaluation.
    let is_at_once = call.starts_with("lbfgs(");
    let of = |wanted: Kind, other: &'static str| {
        if kind == wanted && !is_at_once { call.to_owned() } else { other.to_owned() }
    };
    let loss = match kind {
        // Another term sees the parts of the encoder that this one may not see.
        Kind::Loss => format!("term = {call}; rest = cross_entropy()"),
        Kind::Projector => "term = supcon()".to_owned(),
        Kind::Decoder => format!("term = class_autoencoder(decoder={call})"),
        _ => "term = cross_entropy()".to_owned(),
    };
    let projector = if kind == Kind::Projector { call } else { "none" };
    format!(
        r#"edition 1
experiment calling {{
  data = {data}
  encoder = {encoder}
  projector = {projector}
  augment {{ step = {augment} }}
  views = 2
  loss {{ {loss} }}
  train {{
    optimizer = {optimizer}
    schedule = {schedule}
    sampler = {sampler}
    batch = 32
    for = 9 epochs
  }}
  stage a {{ }}
  stage b {{ {groups}train {{ batch = 16{drawn} }} }}
  eval {{ entry = {evaluation}; other = linear(on=b.encoder) }}
}}
"#,
        data = match kind {
            Kind::Dataset => call,
            _ if reads_groups(kind, call) => "waterbirds(labels=bird, groups=[bird, background])",
            _ if call.starts_with("noisy_labels(") => "cifar10(labels=coarse, label_noise=10%)",
            _ => "cifar10(labels=coarse)",
        },
        encoder = match kind {
            Kind::Encoder => call,
            Kind::Loss => "concat(a=mlp(), b=mlp())",
            _ => "mlp()",
        },
        augment = of(Kind::Augment, "hflip()"),
        optimizer = of(Kind::Optimizer, "adamw(lr=1e-3)"),
        schedule = of(Kind::Schedule, "constant()"),
        sampler = of(Kind::Sampler, "shuffled()"),
        groups = match kind {
            Kind::Grouping => format!("groups = {call}; "),
            _ => String::new(),
        },
        drawn = if kind == Kind::Grouping { "; sampler = balanced(by=group)" } else { "" },
        evaluation = match is_at_once {
            true => format!("linear(on=a.encoder, optimizer={call})"),
            false => of(Kind::Evaluation, "linear(on=a.encoder)"),
        },
    )
}

/// Other values a parameter might take, as a user writes them; not all of them fit.
fn others(ty: &Type, default: &Value) -> Vec<String> {
    let number = match default {
        Value::Int(value) => *value as f64,
        Value::Real(value) => *value,
        _ => 1.0,
    };
    let list = |values: &[&str]| values.iter().map(|it| (*it).to_owned()).collect();
    match ty {
        Type::Bool => list(&["true", "false"]),
        Type::Int { .. } => {
            [number + 1.0, number + 2.0, number * 2.0, number + 6.0, 2.0, 8.0, 14.0]
                .iter()
                .map(f64::to_string)
                .collect()
        }
        Type::Real { .. } => {
            [number / 2.0, number + 0.1, 0.25].iter().map(f64::to_string).collect()
        }
        Type::Choice(words) => list(words),
        Type::Duration => list(&["3 epochs", "40 steps", "30 epochs"]),
        Type::Amount => list(&["20%", "77 samples"]),
        Type::Interval { .. } => list(&["0.3..=0.9"]),
        Type::Labels => list(&["fine", "coarse"]),
        Type::Seed => list(&["1", "seed"]),
        Type::Side => list(&["32", "input"]),
        Type::Part => list(&["a", "b"]),
        Type::Weights => ["mlp", "cnn", "resnet", "wide_resnet", "vit", "free"]
            .map(|encoder| format!("weights(\"{encoder}.safetensors\")"))
            .to_vec(),
        Type::Features => list(&["b.encoder", "concat(a.encoder, b.encoder)"]),
        Type::List(item) | Type::Several(item) => {
            others(item, default).iter().map(|value| format!("[{value}]")).collect()
        }
        Type::Component(Kind::Encoder) => list(&["mlp(out=8)", "mlp(out=9)"]),
        Type::Component(Kind::Decoder) => list(&["mlp_decoder(widths=[7])", "resnet18_decoder()"]),
        Type::Component(Kind::Optimizer) => list(&["sgd(lr=0.5)", "adamw(lr=0.5)"]),
        Type::Component(Kind::Schedule) => list(&["constant()", "cosine(to=0.5)"]),
        Type::Path => list(&["\"here\"", "\"there\""]),
        Type::Component(Kind::Dataset) => {
            list(&["digits()", "mnist()", "colored(images=digits())"])
        }
        Type::Text => list(&[
            "\"Smiling\"",
            "\"Young\"",
            "\"animal\"",
            "\"vehicle\"",
            "\"waterbird × land\"",
            "\"landbird × water\"",
        ]),
        Type::ClassWeights => list(&["balanced", "none"]),
        Type::Varying(inner) => {
            let mut all = others(inner, default);
            all.push("linear(0.4, 0.2)".to_owned());
            all
        }
        Type::Component(_) => Vec::new(),
        Type::Optional(inner) => others(inner, default),
    }
}

fn default(param: &ParamSpec) -> Value {
    param.default.map_or(Value::None, |it| it())
}

/// The arguments a component cannot do without, and, for an evaluation, what it reads.
fn needed(spec: &Spec, but: &str) -> Vec<String> {
    let given = |param: &&ParamSpec| {
        param.name != but && (param.default.is_none() || param.ty == Type::Features)
    };
    let write = |param: &ParamSpec| {
        let value = match param.ty {
            Type::Features => "a.encoder".to_owned(),
            Type::Int { .. } => "9".to_owned(),
            _ => others(&param.ty, &Value::Real(0.1)).remove(0),
        };
        format!("{}={value}", param.name)
    };
    let mut all: Vec<String> = spec.params.iter().filter(given).map(write).collect();
    // What is normalised keeps no bound.
    all.extend(
        (but == "lipschitz" && spec.param("norm").is_some()).then(|| "norm=none".to_owned()),
    );
    // Only what is seen anew is dropped from.
    all.extend(
        (but == "dropout" && spec.name == "linear").then(|| "features=augmented".to_owned()),
    );
    // Without a stage that finds groups, those of the data are drawn.
    let is_named = but != "group" && spec.name == "upweighted";
    all.extend(is_named.then(|| "group=\"waterbird × land\"".to_owned()));
    // The classifier of the stage has the labels of the data.
    all.extend((but == "head" && spec.name == "corruptions").then(|| "labels=coarse".to_owned()));
    // A trained classifier reads its own encoder alone.
    all.extend((but == "on" && spec.name == "classify").then(|| "head=logistic".to_owned()));
    all
}

#[test]
fn an_address_depends_on_every_argument_of_every_component() {
    for spec in catalog().all() {
        // A choice of one word cannot be changed yet.
        // No dataset that comes with balance has groups to balance.
        let is_fixed = |param: &&ParamSpec| {
            matches!(param.ty, Type::Choice([_]))
                || (spec.name, param.name) == ("balanced", "by")
                // What finds groups is a stage before, of which there is one here.
                || (spec.kind, param.name) == (Kind::Grouping, "on")
        };
        for param in spec.params.iter().filter(|param| !is_fixed(param)) {
            let mut found: Vec<Vec<String>> = Vec::new();
            for value in others(&param.ty, &default(param)) {
                let mut args = needed(spec, param.name);
                // How images are drawn matters where only some are.
                args.extend((param.name == "draw").then(|| "subsample=[40]".to_owned()));
                args.push(format!("{}={value}", param.name));
                let mut text = calling(spec.kind, &format!("{}({})", spec.name, args.join(", ")));
                if spec.kind == Kind::Dataset && param.name == "groups" {
                    // A training that does not read them is the same whatever they are.
                    text = text.replace("shuffled()", "balanced(by=group)");
                }
                found.extend(work_text(&text).plans.first().map(digests));
            }
            if param.default.is_some() && param.ty != Type::Features {
                let call = format!("{}({})", spec.name, needed(spec, param.name).join(", "));
                found.extend(work_text(&calling(spec.kind, &call)).plans.first().map(digests));
            }
            found.sort();
            found.dedup();
            assert!(found.len() >= 2, "nothing depends on {}.{}", spec.name, param.name);
        }
    }
}

#[test]
fn every_component_is_worked_out_with_its_defaults() {
    for spec in catalog().all() {
        let call = format!("{}({})", spec.name, needed(spec, "").join(", "));
        let worked = work_text(&calling(spec.kind, &call));
        assert!(!has_errors(&worked.diagnostics), "{}", worked.rendered());
        for example in spec.examples() {
            let worked = work_text(&example);
            assert!(!has_errors(&worked.diagnostics), "{}:\n{}", spec.name, worked.rendered());
            assert!(example.contains(&format!("{}(", spec.name)), "{}", spec.name);
        }
    }
}

#[test]
fn a_plan_is_json_that_says_the_same() {
    let third = 1.0 / 3.0;
    let plan = plan_of(
        &PLAIN
            .replace("alpha: fraction = 50%", "alpha: fraction = 2 / 3")
            .replace("sweep all of plain { grid { alpha = [25%, 50%] }; seeds = 0..2 }", ""),
    );
    let text = serde_json::to_string(&plan).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["plan_version"], 1);
    assert_eq!(json["stages"][0]["digest"], plan.stages[0].digest.text());
    assert_eq!(json["stages"][0]["encoder"]["component"], "mlp@1");
    assert_eq!(json["stages"][0]["encoder"]["args"]["out"], 16);
    let weight = plan.stages[0].terms[0].weight.constant().unwrap();
    assert!((weight - third).abs() < 1e-15);
    let written = json["stages"][0]["terms"][0]["weight"].to_string();
    assert_eq!(written.parse::<f64>().unwrap(), weight);
}

#[test]
fn what_a_plan_prints_tells_it_from_every_other() {
    let plan = plan_of(PLAIN);
    assert_eq!(plan.to_string(), plan_of(&PLAIN.replace("degrees=15", "degrees=15.0")).to_string());
    let other = plan_of(&PLAIN.replace("degrees=15", "degrees=15.000001"));
    assert_ne!(plan.to_string(), other.to_string());
}

#[test]
fn files_that_cannot_be_read_are_said_so() {
    let missing = |name: &str| {
        let reader = |path: &Path| fs::read(Path::new("there/is/no/such/folder").join(path));
        work(name, &reader, &Asked::default()).rendered()
    };
    expect![[r#"
        B0005 unreadable-file

          × `gone.exp` cannot be read: there is no such file

    "#]]
    .assert_eq(&missing("gone.exp"));
}

#[test]
fn a_byte_order_mark_and_carriage_returns_do_not_move_places() {
    let text = "\u{feff}edition 1\r\n\r\nexperimant a {\r\n  data = digits()\r\n}\r\n";
    expect![[r#"
        B0101 unknown-block

          × a file has no block `experimant`
           ╭─[a.exp:3:1]
         2 │ 
         3 │ experimant a {
           · ─────┬────
           ·      ╰── did you mean `experiment`?
         4 │   data = digits()
           ╰────
          help: fix available: `balance check --fix`

    "#]]
    .assert_eq(&work_text(text).rendered().replace('\r', ""));
}

/// Invariant of the architecture: a new component never touches the grammar.
#[test]
fn the_grammar_names_no_component() {
    let grammar = include_str!("../../grammar/experiment.pest");
    let strip = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    let rules: String = grammar.lines().map(|line| strip(line) + "\n").collect();
    for spec in catalog().all() {
        let quoted = format!("\"{}\"", spec.name);
        // `step` is a unit as well as a schedule.
        assert!(!rules.contains(&quoted) || spec.name == "step", "the grammar names {quoted}");
    }
}

/// Invariant of the architecture: only the lowering knows the grammar's rules.
#[test]
fn grammar_rules_do_not_leave_the_parser() {
    for path in rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let is_parser = path.components().any(|part| part.as_os_str() == "syntax")
            && path.to_str().unwrap().contains("parse");
        let text = fs::read_to_string(&path).unwrap();
        let names = text.contains("Rule::") || text.contains("Pair<") || text.contains("use pest");
        assert!(is_parser || !names, "{} knows the grammar", path.display());
    }
}

fn rust_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(rust_files(&path)),
            false if path.extension().is_some_and(|it| it == "rs") => files.push(path),
            false => {}
        }
    }
    files
}

/// Every value prints in a form that is read back as the same tree.
#[test]
fn what_the_tree_prints_can_be_read_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/syntax");
    for name in ["operators", "numbers"] {
        let text = fs::read_to_string(folder.join(format!("{name}.exp"))).unwrap();
        let (tree, _) = syntax::parse(0, &text);
        let printed = syntax::print(&tree);
        let (again, diagnostics) = syntax::parse(0, &printed);
        assert!(diagnostics.is_empty(), "{printed}");
        assert_eq!(printed, syntax::print(&again));
    }
}
