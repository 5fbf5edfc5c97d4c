//! What is asked of results, as it stands in the plan.

use balance::plan::{Analysis, Plan};

use crate::worked::{plan_of, work_text};

const STUDY: &str = "edition 1
experiment study {
  data = digits(labels=coarse)
  encoder = mlp
  loss { class = cross_entropy() }
  train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
  eval { fine = linear(labels=fine); near = knn() }
}
";

/// The plan of a sweep with this body.
fn swept(body: &str) -> Plan {
    plan_of(&format!("{STUDY}sweep s of study {{\n{body}\n}}\n"))
}

const AXES: &str =
    "choose method { \"a\" { encoder.out = 16 } \"b\" { encoder.out = 32 } \"c\" { } }
grid { train.batch = [64, 128] }
where not (method == \"c\" and batch == 128)
seeds = 0..10
";

#[test]
fn analyses_are_part_of_no_digest() {
    let plain = swept(AXES);
    let asked = swept(&format!(
        "{AXES}table t {{ rows = method; columns = batch; cell = fine.accuracy }}
         compare {{ metric = fine.accuracy; baseline = \"a\" }}
         expect fine.accuracy >= 50%"
    ));
    assert!(plain.analysis.is_empty() && !asked.analysis.is_empty());
    let analysis = plain.analysis.clone();
    assert_eq!(Plan { analysis, ..asked }, plain);
}

/// Cells of the other axes stay as they are; a cell whose baseline is filtered out has none.
#[test]
fn cells_are_paired_with_the_baseline_of_their_other_levels() {
    let pairs = |baseline: &str| {
        let plan = swept(&format!(
            "{AXES}compare {{ metric = fine.accuracy; baseline = {baseline}; test = none }}"
        ));
        let label = |at: usize| plan.cell_label(at);
        let pairs = &plan.analysis.comparisons[0].pairs;
        pairs.iter().map(|[a, b]| format!("{} - {}", label(*a), label(*b))).collect::<Vec<_>>()
    };
    assert_eq!(pairs("\"a\""), ["b, 64 - a, 64", "b, 128 - a, 128", "c, 64 - a, 64"]);
    assert_eq!(pairs("\"c\""), ["a, 64 - c, 64", "b, 64 - c, 64"]);
    assert_eq!(pairs("128"), ["a, 64 - a, 128", "b, 64 - b, 128"]);
    assert_eq!(
        pairs("{ method = \"b\", batch = 64 }"),
        ["a, 64 - b, 64", "a, 128 - b, 64", "b, 128 - b, 64", "c, 64 - b, 64"]
    );
}

#[test]
fn the_plan_says_what_a_design_can_see() {
    let told = |body: &str| {
        let plan = swept(body);
        plan.analysis.power.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let axis = "grid { encoder.out = [16, 32, 64] }";
    assert_eq!(
        told(&format!("{axis}\nseeds = 0..3")),
        ["paired design sees differences of 3.3 sd or more (3 seeds, 80% power)"]
    );
    let compare = "compare { metric = fine.accuracy; baseline = 16; test =";
    assert_eq!(
        told(&format!("{axis}\nseeds = 0..10\n{compare} sign_flip() }}\n{compare} welch() }}")),
        [
            "paired design sees differences of 1.1 sd or more (10 seeds, 80% power, level 2.5%)",
            "unpaired comparison sees differences of 1.5 sd of the runs or more (10 seeds, 80% \
             power, level 2.5%)",
        ]
    );
    assert!(told(axis).is_empty(), "one seed sees nothing");
    assert!(told("seeds = 0..3").is_empty(), "one cell is compared with nothing");
}

#[test]
fn a_plan_s_analysis_is_what_its_schema_says() {
    let plan = swept(&format!(
        "{AXES}
         table t {{ rows = method; columns = batch; cell = fine; show = mean_ci(95%); mark = best }}
         figure f {{ x = batch; y = median(val.near.accuracy); series = method; band = ci(90%) }}
         compare {{ metric = fine.accuracy[batch == 64]; baseline = \"a\"; margin = 1 pp }}
         expect fine.accuracy in 50% ± 2 pp
         expect fine.accuracy > near.accuracy
         claim \"it grows\" monotone(fine.accuracy, over=batch, direction=up)
         claim \"it is good\" every(fine.accuracy) >= 50%"
    ));
    let schema = serde_json::to_value(schemars::schema_for!(Analysis)).unwrap();
    let written = serde_json::to_value(&plan.analysis).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> = validator.iter_errors(&written).map(|it| it.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{written:#}");
    assert!(!validator.is_valid(&serde_json::json!({ "tables": 3 })));
    assert_eq!(written["tables"][0]["show"]["mean_ci"], 0.95);
    assert_eq!(written["comparisons"][0]["test"]["correct"], "holm");
    assert_eq!(written["comparisons"][0]["metric"]["cells"], serde_json::json!([0, 2, 4]));
}

/// Where no cell could be worked out, nothing is said of metrics that may well be there.
#[test]
fn what_depends_on_a_mistake_is_not_reported() {
    let broken = STUDY.replace("encoder = mlp", "encoder = mlpp");
    let worked = work_text(&format!("{broken}sweep s of study {{ expect fine.accuracy >= 50% }}"));
    assert_eq!(worked.codes(), ["B0102", "B0590"], "{}", worked.rendered());
}
