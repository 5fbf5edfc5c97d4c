//! Weights and temperatures that change over training: their numbers, their text, and what they do.

use std::fs;

use balance::catalog::{ClassWeights, Course, Duration, Horizon, Join, Shape};
use serde_json::Value;

use crate::lab::Lab;
use crate::worked::plan_of;

const HORIZON: Horizon = Horizon { steps: 200, steps_per_epoch: 20, batch: 64 };

fn ramp(shape: Shape, from: f64, to: f64, over: Option<Duration>) -> Course {
    Course::Ramp { shape, from, to, over }
}

#[track_caller]
fn check(course: &Course, expected: &[(usize, f64)]) {
    for (step, expected) in expected {
        let found = course.at(*step, &HORIZON);
        assert!((found - expected).abs() < 1e-12, "{course} at {step}: {found}");
    }
}

#[test]
fn a_ramp_begins_at_its_first_number_and_stays_at_its_second() {
    let over = Some(Duration::epochs(5.0));
    let linear = ramp(Shape::Linear, 0.0, 0.5, over);
    check(&linear, &[(0, 0.0), (1, 0.005), (50, 0.25), (99, 0.495), (100, 0.5), (199, 0.5)]);
    let cosine = ramp(Shape::Cosine, 1.0, 0.0, over);
    let early = (1.0 + (std::f64::consts::PI * 0.1).cos()) / 2.0;
    check(&cosine, &[(0, 1.0), (10, early), (50, 0.5), (100, 0.0), (150, 0.0)]);
    let whole = ramp(Shape::Linear, 1.0, 0.0, None);
    check(&whole, &[(0, 1.0), (100, 0.5), (199, 0.005)]);
    assert!((whole.last(&HORIZON) - 0.005).abs() < 1e-12);
}

#[test]
fn steps_change_at_their_times() {
    let at = vec![Duration::epochs(1.0), Duration::epochs(3.0)];
    let steps = Course::Step { values: vec![0.0, 0.3, 0.1], at };
    check(&steps, &[(0, 0.0), (19, 0.0), (20, 0.3), (59, 0.3), (60, 0.1), (199, 0.1)]);
    assert_eq!(steps.bounds(), (0.0, 0.3));
}

#[test]
fn courses_are_joined_step_by_step() {
    let alpha = ramp(Shape::Linear, 0.0, 0.5, None);
    let rest = Course::joined(Join::Minus, 1.0.into(), alpha.clone());
    check(&rest, &[(0, 1.0), (100, 0.75)]);
    assert_eq!(rest.bounds(), (0.5, 1.0));
    assert_eq!(rest.to_string(), "(1 - linear(0, 0.5))");
    let square = Course::joined(Join::Times, alpha.clone(), alpha.clone());
    check(&square, &[(100, 0.0625)]);
    let ratio = Course::joined(Join::Over, 1.0.into(), alpha);
    assert!(!ratio.bounds().1.is_finite());
    assert_eq!(Course::joined(Join::Plus, 1.0.into(), 2.0.into()), Course::Constant(3.0));
}

/// One stage; `loss` in place of its own, with `alpha` a parameter.
fn text(alpha: &str, loss: &str) -> String {
    format!(
        "edition 1\nparam alpha: fraction in 0%..=50% = {alpha}\nexperiment a {{\n  \
         data = digits(labels=coarse, val=10%, test=25%, train=160 samples)\n  \
         augment {{ turn = rotation(degrees=15) }}\n  encoder = mlp(widths=[16], out=8)\n  \
         views = 2\n  loss {{ {loss} }}\n  \
         train {{ optimizer = adamw(lr=3e-3); batch = 48; for = 4 epochs }}\n  \
         eval {{ near = knn(labels=fine) }}\n}}\n"
    )
}

const SPREAD: &str = "sup = (1 - alpha) * supcon(); cnce = alpha * class_infonce()";

#[test]
fn a_plan_says_how_a_number_changes_and_its_address_depends_on_it() {
    let plans = ["50%", "linear(0%, 50%)", "linear(0%, 50%, over=2 epochs)", "cosine(0%, 50%)"];
    let plans = plans.map(|alpha| plan_of(&text(alpha, SPREAD)));
    let mut digests: Vec<&str> = plans.iter().map(|it| it.stages[0].digest.text()).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), plans.len());
    let ramp = &plans[2].stages[0];
    let weights: Vec<String> = ramp.terms.iter().map(|it| it.weight.to_string()).collect();
    assert_eq!(weights, ["(1 - linear(0, 0.5, over=2 epochs))", "linear(0, 0.5, over=2 epochs)"]);
    assert!(plans[2].to_string().contains("cnce = linear(0, 0.5, over=2 epochs) * class_infonce("));
    // What is printed reads back as the same training.
    let written = format!(
        "sup = {} * supcon(temperature=0.5); cnce = {} * class_infonce()",
        weights[0], weights[1]
    );
    let again = plan_of(&text("0%", &written));
    assert_eq!(again.stages[0].digest, ramp.digest);
}

fn log(loss: &str) -> Vec<Value> {
    log_of(&text("0%", loss))
}

fn log_of(experiment: &str) -> Vec<Value> {
    let lab = Lab::new();
    lab.complete(experiment);
    let text = fs::read_to_string(lab.stage("main").join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_ramp_between_equal_numbers_is_a_constant() {
    let class = "class = 0.5 * cross_entropy()";
    let constant = log(&format!("sup = 0.3 * supcon(temperature=0.4); {class}"));
    let ramp = "sup = linear(0.3, 0.3) * supcon(temperature=cosine(0.4, 0.4))";
    assert_eq!(constant, log(&format!("{ramp}; {class}")));
    let single = "class = linear(0.5, 0.5, over=1 epochs) * cross_entropy()";
    assert_eq!(constant, log(&format!("sup = 0.3 * supcon(temperature=0.4); {single}")));
}

/// One digit of ten against the rest: a tenth of the training images.
fn uneven(loss: &str) -> f64 {
    let groups = r#"labels=group({"rare" = [0], "common" = [1, 2, 3, 4, 5, 6, 7, 8, 9]})"#;
    let lines = log_of(&text("0%", loss).replace("labels=coarse", groups));
    lines[3]["loss"].as_f64().unwrap()
}

/// Balanced weights are those of the training images; equal ones are none.
#[test]
fn balanced_classes_count_alike() {
    let weighed = |weights: &str| {
        let weights = format!("(class_weights={weights})");
        uneven(&format!("sup = supcon{weights}; class = cross_entropy{weights}"))
    };
    let plain = uneven("sup = supcon(); class = cross_entropy()");
    assert!((weighed("[2, 2]") - plain).abs() < 1e-6);
    assert!((weighed("balanced") - weighed("[9, 1]")).abs() < 1e-6);
    assert!((weighed("balanced") - plain).abs() > 1e-6);
    let counted = ClassWeights::Balanced.by_class(&[10, 30, 0]).unwrap();
    assert_eq!(counted, [2.0, 40.0 / 60.0, 0.0]);
}

/// A classifier that counts for nothing at first stays where it is, and learns afterwards.
#[test]
fn a_term_that_begins_at_zero_is_trained_once_it_counts() {
    let lines = log("class = step(0, 1, at=[2 epochs]) * cross_entropy()");
    let loss = |at: usize| lines[at]["loss"].as_f64().unwrap();
    let class = |at: usize| lines[at]["terms"]["class"].as_f64().unwrap();
    assert_eq!([loss(0), loss(1)], [0.0, 0.0]);
    assert!(class(0) > 0.0);
    assert!((loss(2) - class(2)).abs() < 1e-6 && (loss(3) - class(3)).abs() < 1e-6);
    assert!(class(3) < class(1), "{lines:?}");
    // A contrastive term likewise.
    let lines = log("sup = step(0, 1, at=[2 epochs]) * supcon(); class = cross_entropy()");
    let sup = |at: usize| lines[at]["terms"]["sup"].as_f64().unwrap();
    assert!(
        (lines[0]["loss"].as_f64().unwrap() - lines[0]["terms"]["class"].as_f64().unwrap()).abs()
            < 1e-6
    );
    assert!(sup(3) < sup(0));
}
