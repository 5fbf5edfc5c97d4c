//! Images mixed in a batch: as torchvision and PyTorch do it, from the batch to the gradient.

use std::fs;

use balance::catalog::{Bound, ImageShape, Value};
use balance::graph::{Batch, build, gradient, scalar};
use balance::kernel::{Portion, cross_entropy, cross_entropy_mixed};
use balance::library::Library;
use balance::library::augment::{AUGMENTS, Crop, Mix, before};
use balance::library::loss::Mixed;
use balance::nn::Mode;
use balance::run::{Pool, Preview};
use balance::seed::Stream;
use candle_core::{DType, Device, Tensor, Var};

use crate::lab::Lab;
use crate::numeric::{check_gradients, normal, values};
use crate::worked::plan_of;

fn fixture() -> serde_json::Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parity/fixtures/mix.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
}

fn sizes(value: &serde_json::Value) -> Vec<usize> {
    numbers(value).into_iter().map(|it| it as usize).collect()
}

fn crop(corners: &serde_json::Value) -> Crop {
    let [left, top, right, bottom] = sizes(corners)[..] else { panic!("{corners}") };
    Crop { top, left, height: bottom - top, width: right - left }
}

/// The mixture of a batch that a transform draws.
fn drawn(name: &str, alpha: f64, shape: ImageShape, stream: Stream) -> Mix {
    let entry = AUGMENTS.iter().find(|it| it.spec.name == name).unwrap();
    let bound = Bound::defaults(&entry.spec).with("alpha", Value::Real(alpha));
    (entry.build)(&bound).mix(shape, stream).unwrap()
}

#[test]
fn mixtures_are_torchvisions() {
    let fixture = fixture();
    let [height, width, channels] = sizes(&fixture["shape"])[..] else { panic!() };
    let shape = ImageShape { height, width, channels };
    let labels = sizes(&fixture["labels"]);
    let blended = fixture["mixup"].as_array().unwrap().iter();
    let blended = blended.map(|case| (case, Mix::blended(case["own"].as_f64().unwrap())));
    let pasted = fixture["cutmix"].as_array().unwrap().iter().map(|case| {
        let area = crop(&case["box"]);
        let share = (area.height * area.width) as f64 / (height * width) as f64;
        (case, Mix { own: 1.0 - share, area: Some(area) })
    });
    for (case, mix) in blended.chain(pasted) {
        let of = |name| numbers(&case[name]).into_iter().map(|it| it as f32).collect::<Vec<_>>();
        let mut images: Vec<f32> =
            numbers(&fixture["images"]).into_iter().map(|it| it as f32).collect();
        mix.all(&mut images, shape);
        assert_eq!(images, of("images"), "{mix:?}");
        let classes = fixture["classes"].as_u64().unwrap() as usize;
        let mut targets = vec![0.0; labels.len() * classes];
        for (at, (own, other)) in labels.iter().zip(before(&labels)).enumerate() {
            targets[at * classes + own] += mix.own;
            targets[at * classes + other] += 1.0 - mix.own;
        }
        for (found, expected) in targets.iter().zip(numbers(&case["targets"])) {
            assert!((found - expected).abs() < 1e-6, "{mix:?}: {found} {expected}");
        }
    }
}

#[test]
fn boxes_are_torchvisions() {
    let boxes = &fixture()["boxes"];
    let size = |name: &str| boxes[name].as_u64().unwrap() as usize;
    let shape = ImageShape { height: size("height"), width: size("width"), channels: 1 };
    for case in boxes["cases"].as_array().unwrap() {
        let centre = ["column", "row"].map(|name| case[name].as_u64().unwrap() as usize);
        let mix = Mix::pasted(case["own"].as_f64().unwrap(), centre.into(), shape);
        assert_eq!(mix.area, Some(crop(&case["box"])), "{case}");
        assert!((mix.own - case["adjusted"].as_f64().unwrap()).abs() < 1e-12, "{case}");
    }
}

#[test]
fn shares_are_drawn_from_the_beta_distribution() {
    let fixture = fixture();
    let (shares, shape) = (numbers(&fixture["shares"]), ImageShape::default());
    for case in fixture["beta"].as_array().unwrap() {
        let alpha = case["alpha"].as_f64().unwrap();
        let draw = |seed| drawn("mixup", alpha, shape, Stream::new(1).at(seed)).own;
        let draws: Vec<f64> = (0..40_000).map(draw).collect();
        assert!(draws.iter().all(|it| (0.0..=1.0).contains(it)));
        for (share, quantile) in shares.iter().zip(numbers(&case["quantiles"])) {
            let below = draws.iter().filter(|it| **it <= quantile).count() as f64 / 40_000.0;
            // Where a double has no room for the difference to 1, all below it are there.
            let is_told = quantile < 1.0 - 1e-12 && quantile > 0.0;
            assert!(!is_told || (below - share).abs() < 0.01, "{alpha}: {share} is {below}");
        }
    }
    for (alpha, distance) in [(1e-300, 0.5), (1e300, 0.0)] {
        let draw = |seed| drawn("mixup", alpha, shape, Stream::new(2).at(seed)).own;
        let draws: Vec<f64> = (0..1000).map(draw).collect();
        assert!(draws.iter().all(|it| ((it - 0.5).abs() - distance).abs() < 1e-9), "{alpha}");
        let mean = draws.iter().sum::<f64>() / 1000.0;
        assert!((mean - 0.5).abs() < 0.05, "{alpha}: {mean}");
    }
}

#[test]
fn boxes_are_distributed_as_torchvisions() {
    let fixture = fixture();
    let shape = ImageShape { height: 9, width: 13, channels: 1 };
    let draw = |seed| {
        let mix = drawn("cutmix", 1.0, shape, Stream::new(3).at(seed));
        let Crop { top, left, height, width } = mix.area.unwrap();
        let corners = [left, top, left + width, top + height].map(|it| it as f64);
        [corners[0], corners[1], corners[2], corners[3], mix.own]
    };
    let draws: Vec<[f64; 5]> = (0..40_000).map(draw).collect();
    for (at, expected) in fixture["cutmix_draws"].as_array().unwrap().iter().enumerate() {
        let mut of_draws: Vec<f64> = draws.iter().map(|it| it[at]).collect();
        of_draws.sort_by(f64::total_cmp);
        for (share, expected) in numbers(&fixture["shares"]).iter().zip(numbers(expected)) {
            let found = of_draws[(share * 39_999.0).round() as usize];
            let allowed = if at < 4 { 1.0 } else { 0.02 };
            assert!((found - expected).abs() <= allowed, "{at}: {share} is {found}, {expected}");
        }
    }
}

#[test]
fn mixed_cross_entropy_is_pytorchs() {
    let fixture = fixture();
    let labels: Vec<u32> = sizes(&fixture["labels"]).into_iter().map(|it| it as u32).collect();
    let others = before(&labels);
    for case in fixture["entropy"].as_array().unwrap() {
        let (own, smoothing) = (&case["own"], &case["smoothing"]);
        let (own, smoothing) = (own.as_f64().unwrap(), smoothing.as_f64().unwrap());
        let parts = [(&labels, own), (&others, 1.0 - own)];
        let parts = parts.map(|(labels, share)| Portion { labels, share });
        for (dtype, allowed) in [(DType::F64, 1e-12), (DType::F32, 2e-6)] {
            let logits = Tensor::from_vec(numbers(&case["logits"]), (4, 3), &Device::Cpu).unwrap();
            let logits = Var::from_tensor(&logits.to_dtype(dtype).unwrap()).unwrap();
            let loss = cross_entropy_mixed(&logits, &parts, smoothing, None).unwrap();
            let expected = case["value"].as_f64().unwrap();
            assert!((scalar(&loss).unwrap() - expected).abs() < allowed * 10.0);
            let found = values(loss.backward().unwrap().get(&logits).unwrap());
            for (found, expected) in found.iter().zip(numbers(&case["gradient"])) {
                assert!((found - expected).abs() < allowed, "{found} {expected}");
            }
        }
    }
}

#[test]
fn a_row_counts_for_its_parts() {
    let (rows, classes, own, smoothing) = (70, 5, 0.35, 0.1);
    let logits = normal("logits", &[rows, classes]);
    let labels: Vec<u32> = (0..70).map(|at| at * 7 % 5).collect();
    let others = before(&labels);
    let weights = [0.5, 2.0, 0.0, 1.0, 3.0];
    let parts = [(&labels, own), (&others, 1.0 - own)];
    let parts = parts.map(|(labels, share)| Portion { labels, share });
    let scores = values(&logits);
    let log_p = |row: usize, class: usize| {
        let of_row = &scores[row * classes..][..classes];
        of_row[class] - of_row.iter().map(|it| it.exp()).sum::<f64>().ln()
    };
    let (mut sum, mut all) = (0.0, 0.0);
    for row in 0..rows {
        for (label, share) in [(labels[row], own), (others[row], 1.0 - own)] {
            let even = (0..classes).map(|class| log_p(row, class)).sum::<f64>() / classes as f64;
            let value = (smoothing - 1.0) * log_p(row, label as usize) - smoothing * even;
            let weight = share * weights[label as usize];
            sum += weight * value;
            all += weight;
        }
    }
    let mixed = |logits: &Tensor| cross_entropy_mixed(logits, &parts, smoothing, Some(&weights));
    assert!((scalar(&mixed(&logits).unwrap()).unwrap() - sum / all).abs() < 1e-12);
    check_gradients(std::slice::from_ref(&logits), |logits| mixed(&logits[0]));
    check_gradients(std::slice::from_ref(&logits), |logits| {
        cross_entropy_mixed(&logits[0], &parts, smoothing, None)
    });
    let whole = [Portion { labels: &labels, share: 1.0 }, Portion { labels: &others, share: 0.0 }];
    let [found, expected] = [
        cross_entropy_mixed(&logits, &whole, smoothing, None).unwrap(),
        cross_entropy(&logits, &labels, smoothing).unwrap(),
    ];
    assert_eq!(values(&found), values(&expected));
}

const WEIGHTS: &str = "[1, 2, 1, 1, 3, 1, 1, 1, 1, 0]";

/// A training on images that are mixed; `lines` are added to it.
fn text(mix: &str, lines: &str) -> String {
    format!(
        "edition 1
experiment mixed {{
  data = digits(labels=coarse, train=40 samples)
  augment {{ {mix} }}
  encoder = mlp(widths=[16], out=8)
  views = 2
  loss {{
    class = cross_entropy(smoothing=10%)
    fine = 0.5 * cross_entropy(labels=fine, class_weights={WEIGHTS})
    image = class_autoencoder(decoder=mlp_decoder(), target=clean)
  }}
  train {{ optimizer = sgd(lr=0.1); batch = 40; {lines}for = 1 epochs }}
  eval {{ near = knn(labels=fine) }}
}}
"
    )
}

/// A batch is mixed before it is divided, so that the gradient of its parts is that of all of it.
#[test]
fn a_divided_batch_is_mixed_whole() {
    let plan = |weights: &str, lines: &str| {
        let text = text("mix = cutmix()", lines);
        plan_of(&text.replace(WEIGHTS, weights))
    };
    let batch = || {
        let fine: Vec<u32> = (0..22).map(|item| item * 7 % 10).collect();
        let mixed = Some(Mixed { own: 0.3, others: before(&fine) });
        let images = normal("images", &[44, 8, 8, 1]);
        let clean = Some(normal("clean", &[22, 8, 8, 1]));
        Batch { images, clean, fine, groups: Vec::new(), views: 2, mixed }
    };
    let of = |plan: &balance::plan::Plan| {
        let stage = &plan.stages[0];
        let model = build(stage, &Library::standard(), DType::F64, &Device::Cpu).unwrap();
        let (loss, grads) = gradient(&model, &stage.method, batch(), Stream::new(1)).unwrap();
        let vars = model.params().vars();
        let grads: Vec<Vec<f64>> =
            vars.iter().map(|(_, var)| values(grads.get(var).unwrap())).collect();
        (scalar(&loss.total).unwrap(), grads)
    };
    for (weights, lines) in [(WEIGHTS, "chunk = 7; "), ("none", "accumulate = 3; ")] {
        let (whole, parts) = (of(&plan(weights, "")), of(&plan(weights, lines)));
        assert!((whole.0 - parts.0).abs() < 1e-12 * whole.0.abs(), "{lines}");
        for (found, expected) in parts.1.iter().flatten().zip(whole.1.iter().flatten()) {
            assert!((found - expected).abs() < 1e-12, "{lines}: {found} {expected}");
        }
    }
}

#[test]
fn a_training_sees_what_the_preview_shows() {
    for mix in ["mixup(alpha=0.7)", "cutmix()"] {
        let lab = Lab::new();
        let plan = lab.plan(&text(&format!("mix = {mix}"), ""));
        let stage = &plan.stages[0];
        let pool = Pool::load(&stage.data, &lab.library, &lab.path("")).unwrap();
        let shown = Preview::of(stage, &lab.library, &pool, (40, 1)).unwrap();
        assert_eq!(shown.rows.len(), 40);
        let image = |item: u32| pool.image(item).unwrap().to_vec();
        let (mut images, mut fine, mut others, mut share) = (Vec::new(), vec![], vec![], 0.0);
        for (row, before) in shown.rows.iter().zip(shown.rows[39..].iter().chain(&shown.rows)) {
            let (other, class, own) = row.mixed.unwrap();
            assert_eq!((other, class), (before.item, before.fine));
            // What evaluations see is not mixed.
            assert_eq!(row.images[0], image(row.item));
            if mix.starts_with("mixup") {
                let pairs = image(row.item).into_iter().zip(image(other)).zip(&row.images[1]);
                for ((a, b), found) in pairs {
                    let mean = own * f64::from(a) + (1.0 - own) * f64::from(b);
                    assert!((mean - f64::from(*found)).abs() <= 0.51, "{mean} {found}");
                }
            }
            let value = |byte: &u8| f32::from(*byte) / 255.0;
            images.push(image(row.item).iter().map(value).collect::<Vec<f32>>());
            fine.push(row.fine);
            others.push(class);
            share = own;
        }
        let area = drawn("cutmix", 1.0, pool.shape, augment_stream(stage));
        let mixture = if mix == "cutmix()" { area } else { Mix::blended(share) };
        assert!((mixture.own - share).abs() < 1e-12);
        let mut images = images.concat();
        mixture.all(&mut images, pool.shape);
        let clean = Tensor::from_vec(images, (40, 8, 8, 1), &Device::Cpu).unwrap();
        let model = build(stage, &lab.library, DType::F32, &Device::Cpu).unwrap();
        let batch = Batch {
            images: Tensor::cat(&[&clean, &clean], 0).unwrap(),
            clean: Some(clean),
            fine,
            views: 2,
            mixed: Some(Mixed { own: share, others }),
            groups: Vec::new(),
        };
        let loss = model.loss(batch, &Mode::Train(Stream::new(0))).unwrap();
        lab.run(&plan, &mut crate::lab::Watch::default());
        let log = fs::read_to_string(lab.stage("main").join("metrics.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        let (found, expected) = (line["loss"].as_f64().unwrap(), scalar(&loss.total).unwrap());
        assert!((found - expected).abs() < 1e-6, "{mix}: {found} {expected}");
    }
}

/// Where the mixture of the first step is drawn.
fn augment_stream(stage: &balance::plan::Stage) -> Stream {
    balance::graph::stage_stream(stage, "augment").named("mix").at(0)
}
