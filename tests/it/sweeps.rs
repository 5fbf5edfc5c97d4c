//! Facts of sweeps: which layer of a value wins, which cells run, what follows the seed.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use balance::diag::Sources;
use balance::graph::{build, stage_stream};
use balance::library::Library;
use balance::plan::Plan;
use balance::resolve::{Options, load, searches};
use candle_core::{DType, Device};
use expect_test::expect;

use crate::worked::{Asked, catalog, plan_of, work_all, work_text};

const BASE: &str = r#"edition 1

param alpha: fraction = 50%

experiment base {
  data = digits(labels=coarse)
  encoder = mlp(widths=[16], out=8)
  augment { turn = rotation(degrees=15) }
  loss { class = cross_entropy() }
  train { optimizer = adamw(lr=1e-3); batch = 10; for = 3 epochs }
  eval { fine = linear(labels=fine) }
}
"#;

fn asked(set: &[&str], levels: &[&str], seeds: Option<&str>) -> Asked {
    let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let seeds = seeds.map(str::to_owned);
    Asked { set: all(set), levels: all(levels), seeds, ..Asked::default() }
}

/// The plan of a file as the command line changes it.
fn plan_as(text: &str, asked: &Asked) -> Plan {
    let worked = work_all(&[("a.exp", text)], asked);
    assert_eq!(worked.plans.len(), 1, "{}", worked.rendered());
    worked.plans.into_iter().next().unwrap()
}

fn labels(plan: &Plan) -> Vec<String> {
    (0..plan.cells.len()).map(|cell| plan.cell_label(cell)).collect()
}

/// Each layer is taken away in turn, from the top.
#[test]
fn the_command_line_beats_the_cell_beats_the_sweep_beats_the_child_beats_the_base() {
    let child = "experiment child extends base { train.batch = 20 }\n";
    let sweep = |body: &str| format!("{BASE}{child}sweep s of child {{ {body} }}\n");
    let batch = |text: &str, set: &[&str]| plan_as(text, &asked(set, &[], None)).stages[0].batch;
    let level = r#"choose size { "large" { train { batch = 40 } } }"#;
    let other = r#"choose rate { "high" { train.optimizer.lr = 1e-2 } }"#;
    assert_eq!(batch(&sweep(&format!("train.batch = 30; {other}")), &["train.batch=50"]), 50);
    assert_eq!(batch(&sweep(&format!("train.batch = 30; {level}")), &[]), 40);
    assert_eq!(batch(&sweep("train.batch = 30"), &[]), 30);
    assert_eq!(batch(&sweep(""), &[]), 20);
    assert_eq!(batch(BASE, &[]), 10);
    assert_eq!(batch(BASE, &["train.batch=50"]), 50);
}

#[test]
fn only_keeps_cells_as_they_were() {
    let text = format!(
        "{BASE}sweep s of base {{
  grid {{ encoder.out = [8, 16, 32] }}
  zip {{ train.batch = [10, 20]; train.optimizer.lr = [1e-3, 2e-3] }}
  choose length {{ \"as it is\" {{ }} \"long = slow\" {{ train.for = 9 epochs }} }}
  seeds = 0..4
}}"
    );
    let whole = plan_of(&text);
    let levels = ["out=8", "encoder.out = 32", "lr=0.002", "length=\"long = slow\""];
    let part = plan_as(&text, &asked(&[], &levels, Some("3, 1")));
    expect![[r#"
        [
            "8, 20, 2e-3, long = slow",
            "32, 20, 2e-3, long = slow",
        ]
    "#]]
    .assert_debug_eq(&labels(&part));
    assert_eq!(part.seeds, [3, 1]);
    let known: Vec<&str> = whole.stages.iter().map(|stage| stage.digest.text()).collect();
    assert!(part.stages.iter().all(|stage| known.contains(&stage.digest.text())));
}

#[test]
fn seeds_are_asked_of_a_bare_experiment() {
    let seeds = |text| plan_as(BASE, &asked(&[], &[], Some(text))).seeds;
    assert_eq!(seeds("0..3"), [0, 1, 2]);
    assert_eq!(seeds("2..=3"), [2, 3]);
    assert_eq!(seeds("7"), [7]);
    assert_eq!(seeds("[4, 2]"), [4, 2]);
}

#[test]
fn a_design_runs_the_cells_it_says() {
    let cells = |design: &str| {
        let body = format!(
            "toggle a {{ encoder.out = 16 }} toggle b {{ train.batch = 20 }}
             toggle c {{ train.for = 9 epochs }} design = {design}"
        );
        let text = format!("{BASE}sweep s of base {{\n{}\n}}", body.replace("} ", "}\n"));
        labels(&plan_of(&text))
            .join(" | ")
            .replace(", ", " ")
            .replace("off", "-")
            .replace("on", "+")
    };
    expect![["+ + + | - + + | + - + | + + -"]].assert_eq(&cells("leave_one_out"));
    expect![["- - - | + - - | - + - | - - +"]].assert_eq(&cells("add_one"));
    expect![["+ + + | + - - | - + - | - - +"]].assert_eq(&cells("fraction(resolution=3)"));
    assert_eq!(cells("fraction"), cells("fraction(resolution=3)"));
    assert_eq!(cells("factorial").split(" | ").count(), 8);
}

/// Every axis that is not switched by the design is crossed with it.
#[test]
fn a_design_leaves_other_axes_crossed() {
    let text = format!(
        "{BASE}sweep s of base {{
  toggle a {{ encoder.out = 16 }}
  grid {{ train.batch = [20, 30, 40] }}
  toggle b {{ train.for = 9 epochs }}
  design = leave_one_out
}}"
    );
    assert_eq!(plan_of(&text).cells.len(), 9);
}

#[test]
fn a_union_has_the_cells_of_its_sweeps_once() {
    let text = format!(
        "{BASE}
sweep sizes of base {{ grid {{ train.batch = [10, 20] }} seeds = 0..2 }}
sweep more of base {{ grid {{ train.batch = [20, 30] }} seeds = 0..2 }}
sweep wide of base {{ toggle wide {{ encoder.out = 16 }} seeds = 0..2 }}
sweep all of base {{ union = [sizes, more, wide] }}
"
    )
    .replace("] } seeds", "] }; seeds")
    .replace("16 } seeds", "16 }; seeds");
    let whole = Asked { only: Some("all".into()), ..Asked::default() };
    let plan = plan_as(&text, &whole);
    expect![[r#"
        [
            "10, -",
            "20, -",
            "30, -",
            "-, on",
            "-, off",
        ]
    "#]]
    .assert_debug_eq(&labels(&plan));
    assert_eq!(plan.seeds, [0, 1]);
    // The cell that is 10 of one sweep and `off` of another is one training.
    assert_eq!(plan.stages.len(), 2 * 4);
    let part = Asked { levels: vec!["wide=on".into()], ..whole };
    assert_eq!(labels(&plan_as(&text, &part)), ["-, on"]);
}

/// Initial weights of a stage, and the order of ten items.
fn beginnings(plan: &Plan, stage: usize) -> (Vec<f32>, Vec<u32>) {
    let stage = &plan.stages[stage];
    let model = build(stage, &Library::standard(), DType::F32, &Device::Cpu).unwrap();
    let vars = model.params().vars();
    let weights = |it: &candle_core::Var| it.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let weights = vars.iter().flat_map(|(_, var)| weights(var)).collect();
    (weights, stage_stream(stage, "order").permutation(10))
}

#[test]
fn a_pinned_stream_is_the_same_for_every_seed_and_the_others_are_not() {
    let two = |extra: &str| {
        let text = format!("{BASE}sweep s of base {{ {extra}\nseeds = 0..2 }}");
        let plan = plan_of(&text);
        (beginnings(&plan, 0), beginnings(&plan, 1), plan)
    };
    let (first, second, free) = two("");
    assert!(first.0 != second.0 && first.1 != second.1);
    let (first, second, plan) = two("seed.init = 0");
    assert!(first.0 == second.0 && first.1 != second.1);
    let (first, second, _) = two("seed { order = 5 }");
    assert!(first.0 != second.0 && first.1 == second.1);
    // What is computed is another thing, also for the seed that is pinned to itself.
    assert!(plan.stages.iter().zip(&free.stages).all(|(a, b)| a.digest != b.digest));
}

#[test]
fn a_division_may_follow_the_seed() {
    let seeds = |data: &str, extra: &str| -> Vec<u64> {
        let text = BASE.replace("digits(labels=coarse)", data);
        let plan = plan_of(&format!("{text}sweep s of base {{ {extra}\nseeds = 3..5 }}"));
        plan.stages.iter().map(|stage| stage.data.division.seed).collect()
    };
    assert_eq!(seeds("digits()", ""), [42, 42]);
    assert_eq!(seeds("digits(split_seed=7)", ""), [7, 7]);
    assert_eq!(seeds("digits(split_seed=seed)", ""), [3, 4]);
    assert_eq!(seeds("digits(split_seed=seed)", "seed.split = 9"), [9, 9]);
}

#[test]
fn a_pin_can_be_an_axis() {
    let text =
        format!("{BASE}sweep s of base {{ grid {{ seed.init = 0..3; seed.order = 0..2 }} }}");
    assert_eq!(plan_of(&text).stages.len(), 6);
    let worked = work_text(&text.replace("seed.order", "seed.sampler"));
    expect![[r#"
        B0101 unknown-block

          × `seed` has no field `sampler`
            ╭─[a.exp:13:49]
         12 │ }
         13 │ sweep s of base { grid { seed.init = 0..3; seed.sampler = 0..2 } }
            ·                                                 ───┬───
            ·                                                    ╰── expected `split`, `init`, `order`, `augment` or `dropout`
            ╰────

    "#]]
    .assert_eq(&worked.rendered());
}

const MIXED: &str = r#"
sweep s of base {
  loss { class = (1 - alpha) * cross_entropy() }
  choose size { "small" { encoder.out = 4 } "deep" { encoder = mlp(widths=[8, 8]) } "as it is" { } }
  grid { seed.init = 0..2; fine.batch = [32, 64]; alpha = [0%, 25%] }
  toggle turned { } else { augment.turn = none }
}
"#;

/// What was worked out for another cell is never taken for what differs.
#[test]
fn a_cell_is_what_it_is_without_the_others() {
    let text = format!("{BASE}{MIXED}");
    let whole = plan_of(&text);
    assert_eq!(whole.cells.len(), 48);
    for (at, cell) in whole.cells.iter().enumerate() {
        let levels = cell.levels.iter().zip(&whole.axes);
        let levels: Vec<String> = levels
            .map(|(level, axis)| format!("{}={}", axis.names[0], axis.levels[*level][0]))
            .collect();
        let part = plan_as(&text, &Asked { levels, ..Asked::default() });
        let digest = |plan: &Plan, trial: usize| {
            plan.evaluations[plan.trials[trial].evaluations[0]].digest.clone()
        };
        assert_eq!(digest(&whole, at), digest(&part, 0), "{}", whole.cell_label(at));
    }
}

#[test]
fn what_cells_in_a_row_have_in_common_is_worked_out_once() {
    let text = format!(
        "{BASE}sweep s of base {{ grid {{ train.batch = [10, 20]; fine.batch = [32, 64, 128] }} }}"
    );
    let worked = work_text(&text);
    let stages = worked.designs[0].cells.iter().flat_map(|cell| &cell.experiment.stages);
    let distinct: BTreeSet<_> = stages.map(Rc::as_ptr).collect();
    assert_eq!(distinct.len(), 2);
}

#[test]
fn a_search_is_checked_and_listed() {
    let text = format!(
        "{BASE}search t of base {{
  maximize = val.fine.accuracy
  space {{ train.batch = [10, 20]; train.optimizer.lr = log_uniform(1e-5, 1e-2) }}
  where train.batch * 2 <= 512
  method = grid(points=5)
  seeds = 0..3
}}
experiment other extends base {{ }}"
    );
    let reader = |_: &Path| Ok(text.as_bytes().to_vec());
    let (program, _) = load(Path::new("a.exp"), &mut Sources::default(), &reader);
    let (found, said) = searches(&program, &catalog(), &Options::default());
    assert_eq!(said.iter().map(|it| it.code.number).collect::<Vec<_>>(), ["B0590"]);
    expect![[r#"
        t  10 trials × 3 seeds, a search
          maximize val.fine.accuracy
          by grid(points=5)
          over train.batch = [10, 20]
          over train.optimizer.lr = log_uniform(1e-5, 1e-2)
    "#]]
    .assert_eq(&found[0].to_string());
    let asked = Options { only: Some("other".into()), ..Options::default() };
    assert!(searches(&program, &catalog(), &asked).0.is_empty());
    let asked = Asked { only: Some("t".into()), ..Asked::default() };
    let worked = work_all(&[("a.exp", &text)], &asked);
    assert_eq!(worked.codes(), ["B0590"], "{}", worked.rendered());
}
