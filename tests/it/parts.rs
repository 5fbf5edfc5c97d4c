//! Loss terms that see one part of an encoder.

use balance::graph::{Batch, Model, build};
use balance::library::Library;
use balance::nn::Mode;
use balance::plan::Stage;
use balance::seed::Stream;
use candle_core::{DType, Device, Tensor};

use crate::lab::{Act, Lab, Watch, assert_same};
use crate::numeric::values;
use crate::worked::plan_of;

/// An experiment on two encoders with a loss, and one more line of `train`.
fn text(loss: &str, train: &str) -> String {
    format!(
        "edition 1
experiment joint {{
  data = digits(labels=coarse, val=10%, test=25%, train=160 samples)
  encoder = concat(a=mlp(widths=[8], out=6), b=mlp(widths=[7], out=5))
  views = 2
  loss {{ {loss} }}
  train {{ optimizer = sgd(lr=0.1); batch = 40; for = 2 epochs{train} }}
  eval {{ near = knn(labels=fine) }}
}}"
    )
}

fn stage(loss: &str) -> Stage {
    plan_of(&text(loss, "")).stages.remove(0)
}

fn model(stage: &Stage) -> Model {
    build(stage, &Library::standard(), DType::F64, &Device::Cpu).unwrap()
}

fn batch(stage: &Stage) -> Batch {
    let mut stream = Stream::new(1);
    let (rows, image) = (2 * 12, stage.image());
    let values: Vec<f64> = (0..rows * image.size()).map(|_| stream.normal()).collect();
    let shape = (rows, image.height, image.width, image.channels);
    Batch {
        images: Tensor::from_vec(values, shape, &Device::Cpu).unwrap(),
        clean: None,
        fine: (0..12).map(|item| item % 10).collect(),
        mixed: None,
        groups: Vec::new(),
        views: 2,
    }
}

/// The largest gradient of the variables whose names begin with `part`.
fn largest(stage: &Stage, part: &str) -> f64 {
    let model = model(stage);
    let mode = Mode::Train(Stream::new(2));
    let (_, grads) = model.gradients(batch(stage), &mode).unwrap();
    let of_part = model.params().vars().into_iter().filter(|(name, _)| name.starts_with(part));
    let sizes = of_part.map(|(name, var)| {
        let grad = grads.get(&var).unwrap_or_else(|| panic!("no gradient reaches {name}"));
        let most = grad.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        most.to_scalar::<f64>().unwrap()
    });
    sizes.fold(0.0, f64::max)
}

/// Every kind of term, on the part that it is asked to see.
const TERMS: &[&str] = &[
    "supcon(on=PART)",
    "class_infonce(on=PART)",
    "infonce(on=PART)",
    "thanos_release(kind=l_spread, on=PART)",
    "cross_entropy(on=PART)",
    "class_autoencoder(decoder=mlp_decoder(widths=[4]), on=PART)",
];

/// The other part gets none, whatever term it is: the same term of weight 1e-300 on it keeps it in
/// the graph.
#[test]
fn a_term_on_one_part_has_no_gradient_for_the_other() {
    for term in TERMS {
        for (part, other) in [("a", "b"), ("b", "a")] {
            let (seen, unseen) = (term.replace("PART", part), term.replace("PART", other));
            let stage = stage(&format!("seen = {seen}; unseen = 1e-300 * {unseen}"));
            let (own, strange) = (format!("encoder.{part}."), format!("encoder.{other}."));
            assert!(largest(&stage, &own) > 1e-6, "{seen}");
            assert!(largest(&stage, &strange) < 1e-250, "{seen}");
        }
    }
}

/// Such a term is worth what it is for that encoder alone, which draws the same weights where it
/// has the same name.
#[test]
fn a_term_on_one_part_is_that_of_the_part_alone() {
    for term in TERMS {
        let joint = stage(&format!("seen = {}; all = cross_entropy()", term.replace("PART", "a")));
        let plain = term.replace("(on=PART)", "()").replace(", on=PART", "");
        let alone = format!("only = {plain}");
        let alone = text(&alone, "").replace(
            "concat(a=mlp(widths=[8], out=6), b=mlp(widths=[7], out=5))",
            "mlp(widths=[8], out=6)",
        );
        let alone = plan_of(&alone).stages.remove(0);
        let (joined, single) = (model(&joint), model(&alone));
        let all = joined.params().state().unwrap();
        let renamed = single.params().vars().into_iter().chain(single.params().buffers());
        for (name, var) in renamed {
            let there = match name.strip_prefix("encoder.") {
                Some(rest) => format!("encoder.a.{rest}"),
                None => name.replace("loss.only", "loss.seen"),
            };
            var.set(&all[&there]).unwrap();
        }
        let value = |model: &Model, stage: &Stage, name: &str| {
            let loss = model.loss(batch(stage), &Mode::Train(Stream::new(2))).unwrap();
            values(&loss.terms.into_iter().find(|(it, _)| it == name).unwrap().1)[0]
        };
        let (of_part, of_whole) = (value(&joined, &joint, "seen"), value(&single, &alone, "only"));
        assert!((of_part - of_whole).abs() < 1e-12, "{term}: {of_part} {of_whole}");
    }
}

/// Terms keep their names and values in whatever order their parts come.
#[test]
fn terms_of_several_parts_are_told_apart() {
    let loss = "one = supcon(on=b); two = supcon(); three = class_infonce(on=b); four = supcon(on=a); class = cross_entropy()";
    let mixed = stage(loss);
    let found = model(&mixed).loss(batch(&mixed), &Mode::Train(Stream::new(2))).unwrap().terms;
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, model(&mixed).term_names());
    for (name, call) in [("one", "supcon(on=b)"), ("two", "supcon()"), ("four", "supcon(on=a)")] {
        let only = stage(&format!("{name} = {call}; class = cross_entropy()"));
        let alone = model(&only).loss(batch(&only), &Mode::Train(Stream::new(2))).unwrap().terms;
        let value = values(&found.iter().find(|(it, _)| it == name).unwrap().1)[0];
        let alone = values(&alone[0].1)[0];
        assert!((value - alone).abs() < 1e-12, "{name}: {value} {alone}");
    }
}

#[test]
fn what_is_not_written_has_the_address_it_had() {
    let plain = stage("sup = supcon(); class = cross_entropy()");
    let none = stage("sup = supcon(on=none); class = cross_entropy()");
    let part = stage("sup = supcon(on=a); class = cross_entropy()");
    assert_eq!(plain.digest, none.digest);
    assert_ne!(plain.digest, part.digest);
    assert!(!plain.canonical().contains("on="));
    assert!(part.cost.flops < plain.cost.flops);
    assert_eq!(part.cost.parameters, plain.cost.parameters);
}

#[test]
fn it_trains_and_goes_on_with_the_same_bytes() {
    let loss = "sup = supcon(on=a); mse = class_autoencoder(decoder=mlp_decoder(widths=[4]), on=b); class = cross_entropy(on=b)";
    for train in ["", "; keep = best(val.class.accuracy)", "; chunk = 16"] {
        let text = text(loss, train);
        let whole = Lab::new();
        whole.complete(&text);
        let lab = Lab::new();
        let plan = lab.plan(&text);
        assert!(lab.run(&plan, &mut Watch::at_step(3, Act::Stop)).stopped);
        lab.complete(&text);
        assert_same(&whole.contents(), &lab.contents());
    }
}
