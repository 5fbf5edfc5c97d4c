//! Controls of the methods' capacity: what is derived, how large it is, and that it trains.

use balance::plan::{Plan, Stage};

use crate::lab::Lab;
use crate::worked::plan_of;

/// Methods of one and of two encoders; what is written behind them is added.
fn text(encoder: &str, more: &str) -> String {
    format!(
        r#"
edition 1

experiment digits {{
  data = digits(labels=coarse, val=10%, test=25%, train=160 samples)
  encoder = {encoder}
  views = 2
  augment {{ turn = rotation(degrees=15); norm = normalize() }}
  train {{ optimizer = adamw(lr=3e-3); batch = 48; for = 2 epochs }}
  stage contrast {{ loss {{ supcon = supcon(); class = cross_entropy() }} }}
  stage recon {{ loss {{ mse = class_autoencoder(decoder=mlp_decoder(widths=[16])) }} }}
  eval {{
    fine = knn(on=contrast.encoder, labels=fine)
    coarse = knn(on=contrast.encoder, labels=coarse)
  }}
}}

sweep methods of digits {{
  choose method {{
    "SupCon" {{ }}
    "longer" {{ train.for = 3 epochs }}
    "Thanos" {{ fine.on = concat(contrast.encoder, recon.encoder) }}
  }}
  {more}
}}
"#
    )
}

const MLP: &str = "mlp(widths=[24], out=8)";
const CONTROL: &str = "control = capacity_matched(baseline=\"SupCon\")";

/// The trainings that the trial of `cell` with the first seed needs.
fn stages(plan: &Plan, cell: usize) -> Vec<&Stage> {
    let trial = plan.trials.iter().find(|it| it.cell == cell).unwrap();
    trial.stages.iter().map(|at| &plan.stages[*at]).collect()
}

#[test]
fn a_control_is_as_large_as_the_largest_method() {
    for encoder in [MLP, "cnn(widths=[4], out=8)", "concat(a=mlp(out=4), b=mlp(out=4))"] {
        let plan = plan_of(&text(encoder, CONTROL));
        let labels: Vec<String> = plan.axes[0].levels.iter().map(|it| it[0].clone()).collect();
        assert_eq!(labels, ["SupCon", "longer", "Thanos", "SupCon (capacity-matched)"]);
        let size = |cell: usize, evaluation: usize| {
            let at = plan.trials[cell].evaluations[evaluation];
            plan.capacity(&plan.evaluations[at])
        };
        let (baseline, method, control) = (size(0, 0), size(2, 0), size(3, 0));
        assert_eq!(control, method, "{encoder}");
        assert_eq!(control.parameters, 2 * baseline.parameters);
        assert_eq!(control.width, 2 * baseline.width);
        // An evaluation of one encoder everywhere needs no second one.
        assert_eq!(size(3, 1), size(0, 1));
    }
}

#[test]
fn a_control_is_the_baseline_twice_with_other_random_numbers() {
    let plan = plan_of(&text(MLP, CONTROL));
    let ([first, second], baseline) = (&stages(&plan, 3)[..], stages(&plan, 0)) else { panic!() };
    assert_eq!(first.digest, baseline[0].digest);
    assert_eq!((first.name.as_str(), second.name.as_str()), ("contrast", "contrast_2"));
    assert_eq!(second.canonical().replace("contrast_2", "contrast"), first.canonical());
    assert_ne!(first.digest, second.digest);
}

#[test]
fn a_control_that_is_picked_is_the_one_of_the_whole_sweep() {
    let lab = Lab::new();
    let file = lab.file("a.exp", &text(MLP, CONTROL));
    let digests = |args: &[&str]| {
        let said = lab.say(&[&["show", "--json", &file], args].concat()).ended(0);
        let plan: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let stages = plan["stages"].as_array().unwrap();
        let control = stages.iter().filter(|it| it["name"] == "contrast_2");
        control.map(|it| it["digest"].to_string()).collect::<Vec<_>>()
    };
    let picked = digests(&["--only", "method=SupCon (capacity-matched)"]);
    assert_eq!((picked.len(), &picked), (1, &digests(&[])));
}

#[test]
fn the_baseline_is_that_of_the_comparison() {
    let compare = "compare { metric = fine.accuracy; baseline = \"longer\"; test = none }";
    let plan = plan_of(&text(MLP, &format!("control = capacity_matched\n  {compare}")));
    assert_eq!(plan.axes[0].levels[3], ["longer (capacity-matched)"]);
    assert_eq!(stages(&plan, 3)[1].steps, stages(&plan, 1)[0].steps);
    assert_eq!(plan.analysis.comparisons.len(), 1);
}

#[test]
fn rows_need_not_measure_the_same() {
    let text = text(MLP, CONTROL).replace(
        "\"SupCon\" { }",
        "\"SupCon\" { eval { other = knn(on=contrast.encoder, labels=fine) } }",
    );
    let plan = plan_of(&text);
    assert_eq!(plan.trials.iter().map(|it| it.evaluations.len()).collect::<Vec<_>>(), [3, 2, 2, 3]);
}

#[test]
fn a_control_is_trained_and_shown_in_a_row_of_its_own() {
    let lab = Lab::new();
    let file = lab.file("a.exp", &text(MLP, CONTROL));
    let said = lab.say(&["run", &file]).ended(0);
    let row = said.out.lines().find(|line| line.contains("SupCon (capacity-matched)"));
    assert!(row.is_some_and(|row| row.contains("100.0") || row.contains('.')), "{}", said.out);
    let said = lab.say(&["plan", &file]).ended(0);
    let line = "capacity: fine reads 2 encoders, 3,520 parameters, width 16: \
                Thanos; SupCon (capacity-matched)";
    assert!(said.out.contains(line), "{}", said.out);
}
