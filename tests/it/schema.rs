//! The JSON of plans, against the schema that is published with them.

use std::fs;
use std::path::{Path, PathBuf};

use balance::plan::{Plan, schema};
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::worked::{Asked, plan_of, work};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// The plans of the `.exp` files of a folder.
fn plans(folder: &str) -> Vec<(PathBuf, Plan)> {
    let mut plans = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "exp") {
            continue;
        }
        let asked = Asked::of(&fs::read_to_string(&path).unwrap());
        let worked = work(path.to_str().unwrap(), &|path| fs::read(path), &asked);
        plans.extend(worked.plans.into_iter().map(|plan| (path.clone(), plan)));
    }
    plans
}

#[test]
fn the_published_schema_is_fresh() {
    expect_file![root().join("docs/reference/plan-1.schema.json")].assert_eq(&schema());
}

#[test]
fn every_plan_follows_the_schema() {
    let validator = validator();
    let plans = [plans("tests/golden/plan"), plans("experiments")].concat();
    assert!(plans.len() > 20, "{} plans", plans.len());
    for (path, plan) in plans {
        let plan = serde_json::to_value(&plan).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&plan).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
    }
}

/// A schema that everything follows would say nothing.
#[test]
fn what_is_no_plan_does_not_follow_it() {
    let validator = validator();
    let text = "edition 1\nexperiment a {\n  data = digits()\n  encoder = mlp()\n  \
                loss { class = cross_entropy() }\n  \
                train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }\n  \
                eval { fine = linear(labels=fine) }\n}\n";
    let plan = serde_json::to_value(plan_of(text)).unwrap();
    assert!(validator.is_valid(&plan));
    let spoilt = |at: &str, value: Value| {
        let mut plan = plan.clone();
        *plan.pointer_mut(at).unwrap() = value;
        plan
    };
    let wrong = [
        ("/plan_version", json!("1")),
        ("/stages/0/model/component", json!("mlp")),
        ("/stages/0/model/parameters", json!(-1)),
        ("/stages/0/cost", json!({ "flops": 1.0 })),
        ("/stages/0/encoder", json!("mlp()")),
        ("/evaluations/0/digest", json!(null)),
        ("/source/files", json!({})),
    ];
    for (at, value) in wrong {
        assert!(!validator.is_valid(&spoilt(at, value)), "{at}");
    }
    // What a later version adds is let through.
    let mut later = plan.clone();
    later["added_later"] = json!({});
    assert!(validator.is_valid(&later));
}

/// As the language's page writes it.
#[test]
fn a_stage_says_what_its_model_is() {
    let text = "edition 1\nexperiment a {\n  data = cifar10(labels=coarse)\n  encoder = vit()\n  \
                loss { class = cross_entropy() }\n  \
                train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }\n  \
                eval { fine = linear(labels=fine) }\n}\n";
    let plan = serde_json::to_value(plan_of(text)).unwrap();
    let model = &plan["stages"][0]["model"];
    assert_eq!(model["component"], "vit@1");
    assert_eq!(model["args"]["patch"], 4);
    assert_eq!(model["in"], json!([3, 32, 32]));
    assert_eq!((&model["tokens"], &model["out"]), (&json!(65), &json!(256)));
    assert_eq!(model["parameters"], 3_254_784);
    assert_eq!(plan["$schema"], "plan-1.schema.json");
}
