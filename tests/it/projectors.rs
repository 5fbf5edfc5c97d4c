//! Who sees embeddings through a projector, and who does not.

use balance::graph::{Batch, Model, build};
use balance::kernel::{Denominator, PairKind, PairTerm, Sum, contrastive};
use balance::library::Library;
use balance::library::eval::Split;
use balance::nn::Mode;
use balance::plan::Plan;
use balance::run::Pool;
use balance::seed::Stream;
use candle_core::{DType, Device, Tensor};

use crate::lab::Lab;
use crate::numeric::{normal, values};
use crate::worked::{plan_of, work_text};

/// An experiment with a projector and `loss`.
fn text(projector: &str, loss: &str) -> String {
    format!(
        "edition 1\nexperiment projected {{\n  data = digits(labels=coarse)\n  \
         encoder = mlp(widths=[12], out=7)\n  projector = {projector}\n  views = 2\n  \
         loss {{ {loss} }}\n  train {{ optimizer = adamw(lr=1e-3); batch = 64; for = 1 epochs }}\n  \
         eval {{ fine = linear(labels=fine) }}\n}}\n"
    )
}

const HEAD: &str = "mlp_projector(hidden=9, out=5)";

fn model(plan: &Plan) -> Model {
    build(&plan.stages[0], &Library::standard(), DType::F64, &Device::Cpu).unwrap()
}

#[test]
fn contrastive_terms_see_the_projection_and_others_the_embedding() {
    let plan = plan_of(&text(HEAD, "sup = supcon(temperature=0.2); class = cross_entropy()"));
    let model = model(&plan);
    let images = normal("images", &[8, 8, 8, 1]);
    let fine = vec![0, 1, 5, 6];
    let embedding = model.embed(&images).unwrap();
    assert_eq!((embedding.dims(), plan.stages[0].dim), (&[8, 7][..], 7));
    let projected = model.project(&embedding, &Mode::Eval).unwrap();
    assert_eq!(projected.dims(), [8, 5]);
    let kind = PairKind::SupCon { sum: Sum::Out, denominator: Denominator::Own };
    let term = PairTerm { temperature: 0.2, ..PairTerm::new(kind) };
    let expected = values(&contrastive(&projected, &[0, 0, 1, 1], 2, &[term]).unwrap().1)[0];
    let (images, fine) = (images.clone(), fine.clone());
    let batch = Batch { images, clean: None, fine, groups: Vec::new(), views: 2, mixed: None };
    let loss = model.loss(batch, &Mode::Train(Stream::new(1))).unwrap();
    let found = values(&loss.terms[0].1)[0];
    assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    let shapes: Vec<_> = model.params().vars();
    let shape = |name: &str| {
        let (_, var) = shapes.iter().find(|(it, _)| it == name).unwrap();
        var.dims().to_vec()
    };
    assert_eq!(shape("projector.layer1.weight"), [9, 7]);
    assert_eq!(shape("projector.layer2.weight"), [5, 9]);
    // The classifier reads the embedding.
    assert!(
        shapes
            .iter()
            .any(|(name, var)| { name.starts_with("loss.class.") && var.dims() == [2, 7] })
    );
    let grads = loss.total.backward().unwrap();
    assert!(model.params().without_gradient(&grads).is_empty());
}

#[test]
fn a_projector_is_layers_with_rectifiers_between_them() {
    let plan = plan_of(&text(HEAD, "sup = supcon()"));
    let model = model(&plan);
    let embedding = normal("embedding", &[3, 7]);
    let state = model.params().state().unwrap();
    let linear = |x: &Tensor, name: &str| {
        let weight = &state[&format!("projector.{name}.weight")];
        let bias = &state[&format!("projector.{name}.bias")];
        x.matmul(&weight.t().unwrap()).unwrap().broadcast_add(bias).unwrap()
    };
    let hidden = linear(&embedding, "layer1").relu().unwrap();
    let (expected, found) =
        (linear(&hidden, "layer2"), model.project(&embedding, &Mode::Eval).unwrap());
    for (a, b) in values(&expected).iter().zip(values(&found)) {
        assert!((a - b).abs() < 1e-12);
    }
}

#[test]
fn a_projector_that_no_term_reads_is_refused_or_left_out() {
    let unread = work_text(&text(HEAD, "class = cross_entropy()"));
    assert_eq!(unread.codes(), ["B0311"], "{}", unread.rendered());
    // At the end of an axis its term has no weight, and it is not trained.
    let loss = "sup = 0 * supcon(); class = cross_entropy()";
    let (with, without) = (plan_of(&text(HEAD, loss)), plan_of(&text("none", loss)));
    assert_eq!(with.stages[0].digest, without.stages[0].digest);
    let loss = "sup = supcon(); class = cross_entropy()";
    let (with, without) = (plan_of(&text(HEAD, loss)), plan_of(&text("none", loss)));
    assert_ne!(with.stages[0].digest, without.stages[0].digest);
}

/// The share of test images whose nearest training image by cosine is of their fine class.
fn nearest(lab: &Lab, plan: &Plan, is_projected: bool) -> f64 {
    let stage = &plan.stages[0];
    let model = build(stage, &lab.library, DType::F32, &Device::Cpu).unwrap();
    let bytes = std::fs::read(lab.stage("main").join("checkpoint.safetensors")).unwrap();
    let kept = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).unwrap();
    let kept = kept
        .into_iter()
        .filter_map(|(name, it)| Some((name.strip_prefix("model/")?.to_owned(), it)));
    model.params().restore(&kept.collect()).unwrap();
    let pool = Pool::load(&stage.data, &lab.library, &lab.path("data")).unwrap();
    let rows = |split| -> Vec<(Vec<f64>, u32)> {
        let items = pool.indices(split).iter();
        items
            .map(|item| {
                let image = pool.image(*item).unwrap();
                let image: Vec<f32> = image.iter().map(|it| f32::from(*it) / 255.0).collect();
                let image = Tensor::from_vec(image, (1, 8, 8, 1), &Device::Cpu).unwrap();
                let embedding = model.embed(&image).unwrap();
                let seen = match is_projected {
                    true => model.project(&embedding, &Mode::Eval).unwrap(),
                    false => embedding,
                };
                let row = values(&seen.to_dtype(DType::F64).unwrap());
                let length = row.iter().map(|it| it * it).sum::<f64>().sqrt();
                (row.iter().map(|it| it / length).collect(), pool.fine[*item as usize])
            })
            .collect()
    };
    let (known, asked) = (rows(Split::Train), rows(Split::Test));
    let right = asked.iter().filter(|(row, class)| {
        let cosine = |other: &Vec<f64>| row.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
        let nearest = known.iter().max_by(|a, b| cosine(&a.0).total_cmp(&cosine(&b.0)));
        nearest.unwrap().1 == *class
    });
    right.count() as f64 / asked.len() as f64
}

#[test]
fn an_evaluation_reads_the_projection_where_it_is_asked_to() {
    let lab = Lab::new();
    let text = text(HEAD, "sup = supcon(temperature=0.2)")
        .replace("labels=coarse", "labels=coarse, val=10%, test=25%, train=200 samples")
        .replace(
            "fine = linear(labels=fine)",
            "before = knn(labels=fine, k=1); behind = knn(on=main.projector, labels=fine, k=1)",
        );
    let plan = lab.plan(&text);
    assert_ne!(plan.evaluations[0].digest, plan.evaluations[1].digest);
    assert!(plan.evaluations[1].cost.peak_bytes < plan.evaluations[0].cost.peak_bytes);
    let outcome = &lab.complete(&text)[0];
    let score = |at: usize| {
        let evaluated = outcome.trials[0].evaluations[at].as_ref().unwrap();
        evaluated.scores.iter().find(|it| it.split == "test").unwrap().value
    };
    assert_eq!(score(0), nearest(&lab, &plan, false));
    assert_eq!(score(1), nearest(&lab, &plan, true));
    assert_ne!(score(0), score(1));
}
