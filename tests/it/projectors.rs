//! Who sees embeddings through a projector, and who does not.

use balance::graph::{Batch, Model, build};
use balance::kernel::{Denominator, PairKind, PairTerm, Sum, contrastive};
use balance::library::Library;
use balance::nn::Mode;
use balance::plan::Plan;
use balance::seed::Stream;
use candle_core::{DType, Device, Tensor};

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
    let expected = contrastive(&projected, &[0, 0, 1, 1], 2, &[term]).unwrap().1[0];
    let (images, fine) = (images.clone(), fine.clone());
    let batch = Batch { images, clean: None, fine, groups: Vec::new(), views: 2 };
    let loss = model.loss(batch, &Mode::Train(Stream::new(1))).unwrap();
    assert!((loss.terms[0].1 - expected).abs() < 1e-12, "{} {expected}", loss.terms[0].1);
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
