//! Laws over the registry of loss terms, and values that can be computed by hand.

use balance::catalog::{Bound, ImageShape, Port, Type, Value};
use balance::component;
use balance::kernel::{PairTerm, contrastive, contrastive_weighted, cross_entropy_weighted};
use balance::library::decoder::{DECODERS, Decoder};
use balance::library::encoder::Network;
use balance::library::loss::{Activations, LOSSES, Site, Term};
use balance::library::{Library, build};
use balance::nn::{Linear, Mode};
use balance::seed::Stream;
use balance::tensor::{Params, Scope};
use candle_core::{DType, Device, Result, Tensor, Var};

use crate::numeric::{check_gradients, values};

const DIM: usize = 5;
const CLASSES: usize = 4;
const IMAGE: ImageShape = ImageShape { height: 2, width: 3, channels: 2 };

component! {
    /// A linear decoder, for tests.
    Decoder as dyn Decoder, version 1;
    toy => Toy {}
}

impl Decoder for Toy {
    fn build(&self, dim: usize, image: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        Ok(Box::new(ToyNetwork(Linear::new(scope, dim, image.size())?, image)))
    }
}

struct ToyNetwork(Linear, ImageShape);

impl Network for ToyNetwork {
    fn forward(&self, embedding: &Tensor, _mode: &Mode) -> Result<Tensor> {
        let Self(linear, ImageShape { height, width, channels }) = self;
        linear.forward(embedding)?.reshape(((), *height, *width, *channels))
    }
}

/// A term with its variables.
struct Model {
    params: Params,
    term: Term,
    /// Whether its value depends on the steps before.
    moves: bool,
}

impl Model {
    fn new(bound: &Bound) -> Self {
        let mut library = Library::standard();
        library.decoders.push(&ENTRY);
        let params = Params::new(Stream::new(5), DType::F64, Device::Cpu);
        let site = Site { library: &library, dim: DIM, image: IMAGE, classes: CLASSES, groups: 2 };
        let term = build(LOSSES, bound).build(&site, &params.root()).unwrap();
        Self { params, term, moves: needs(bound, Port::Groups) }
    }

    fn value(&self, batch: &Batch) -> Result<Tensor> {
        match &self.term {
            Term::Pairwise(parts) => pairwise(parts, batch),
            Term::Single(term) => {
                let activations = Activations {
                    embedding: batch.embedding.clone(),
                    input: batch.input.clone(),
                    clean: Some(batch.clean.clone()),
                    labels: batch.labels.clone(),
                    class_weights: None,
                    groups: batch.labels.iter().map(|label| label % 2).collect(),
                    group_sizes: vec![9, 4],
                    views: batch.views,
                    mixed: None,
                };
                // In training each value moves the weights of groups, and is none of the batch alone.
                let mode = if self.moves { Mode::Eval } else { Mode::Train(Stream::new(0)) };
                term.value(&activations, &mode)
            }
        }
    }

    fn number(&self, batch: &Batch) -> f64 {
        self.value(batch).unwrap().to_scalar().unwrap()
    }
}

fn pairwise(parts: &[PairTerm], batch: &Batch) -> Result<Tensor> {
    Ok(contrastive(&batch.embedding, &batch.labels, batch.views, parts)?.0)
}

#[derive(Clone)]
struct Batch {
    embedding: Tensor,
    input: Tensor,
    clean: Tensor,
    labels: Vec<u32>,
    views: usize,
}

impl Batch {
    fn random(labels: &[u32], views: usize) -> Self {
        let mut stream = Stream::new(labels.len() as u64).at(views as u64);
        let mut draw = |shape: &[usize]| {
            let values: Vec<f64> = (0..shape.iter().product()).map(|_| stream.normal()).collect();
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        let (rows, ImageShape { height, width, channels }) = (views * labels.len(), IMAGE);
        Self {
            embedding: draw(&[rows, DIM]),
            input: draw(&[rows, height, width, channels]),
            clean: draw(&[labels.len(), height, width, channels]),
            labels: labels.to_vec(),
            views,
        }
    }

    fn with(&self, embedding: Vec<f64>) -> Self {
        let embedding = Tensor::from_vec(embedding, self.embedding.dims(), &Device::Cpu).unwrap();
        Self { embedding, ..self.clone() }
    }

    /// The embeddings of item `order[i]` in place of those of item `i`.
    fn reordered(&self, order: &[u32]) -> Self {
        Self { embedding: reorder(&self.embedding, order, self.views), ..self.clone() }
    }
}

fn reorder(rows: &Tensor, order: &[u32], views: usize) -> Tensor {
    let items = order.len() as u32;
    let rows_of = |view: u32| order.iter().map(move |item| view * items + item);
    let index: Vec<u32> = (0..views as u32).flat_map(rows_of).collect();
    rows.index_select(&Tensor::new(index, &Device::Cpu).unwrap(), 0).unwrap()
}

/// Every term, under every combination of its choices and switches.
fn variants() -> Vec<Bound> {
    LOSSES.iter().flat_map(|entry| combinations(&Bound::defaults(&entry.spec))).collect()
}

fn combinations(defaults: &Bound) -> Vec<Bound> {
    let mut bounds = vec![defaults.clone()];
    let is_form = |name: &str| defaults.spec.forms.is_some_and(|forms| forms.param == name);
    // A form changes nothing that is written beside it, and here everything is.
    for param in defaults.spec.params.iter().filter(|param| !is_form(param.name)) {
        let values = match param.ty {
            Type::Choice(words) => words.iter().map(|it| Value::Word((*it).into())).collect(),
            Type::Bool => vec![Value::Bool(true), Value::Bool(false)],
            Type::Real { name: "fraction", .. } => vec![Value::Real(0.0), Value::Real(0.3)],
            Type::Optional(Type::Real { .. }) => vec![Value::None, Value::Real(0.4)],
            Type::Component(_) => vec![Value::Component(Box::new(Bound::defaults(&ENTRY.spec)))],
            _ => continue,
        };
        let with = |bound: &Bound| {
            let set = |value: &Value| bound.clone().with(param.name, value.clone());
            values.iter().map(set).collect::<Vec<_>>()
        };
        bounds = bounds.iter().flat_map(with).collect();
    }
    bounds
}

fn word<'a>(bound: &'a Bound, name: &str) -> Option<&'a str> {
    match bound.value(name) {
        Some(Value::Word(word)) => Some(word),
        _ => None,
    }
}

fn needs(bound: &Bound, port: Port) -> bool {
    bound.needs(port)
}

/// Whether one view of each item is enough.
fn works_with_one_view(bound: &Bound) -> bool {
    !needs(bound, Port::Views) && word(bound, "pairs") != Some("cross")
}

const LABELS: [u32; 7] = [0, 1, 0, 3, 1, 0, 1];

#[test]
fn gradients_are_those_of_differences() {
    let batch = Batch::random(&LABELS, 2);
    for bound in variants() {
        let model = Model::new(&bound);
        let var = Var::from_tensor(&batch.embedding).unwrap();
        let tracked = Batch { embedding: var.as_tensor().clone(), ..batch.clone() };
        let grads = model.value(&tracked).unwrap().backward().unwrap();
        assert_eq!(model.params.without_gradient(&grads), Vec::<String>::new(), "{bound}");
        let mut vars = model.params.vars();
        vars.push(("the embedding".to_owned(), var));
        for (name, var) in vars {
            let gradient = grads.get(&var).unwrap_or_else(|| panic!("{bound}: none for {name}"));
            for (n, gradient) in values(gradient).iter().enumerate() {
                let expected = difference(&var, n, || model.number(&tracked));
                let error = (gradient - expected).abs();
                assert!(error < 1e-8, "{bound}: {name}[{n}] {gradient} {expected}");
            }
        }
    }
}

/// The central difference of `f` over element `n` of `var`.
fn difference(var: &Var, n: usize, f: impl Fn() -> f64) -> f64 {
    let (base, h) = (values(var), 1e-5);
    let set = |step: f64| {
        let mut moved = base.clone();
        moved[n] += step;
        var.set(&Tensor::from_vec(moved, var.dims(), &Device::Cpu).unwrap()).unwrap();
    };
    let [above, below] = [h, -h].map(|step| {
        set(step);
        f()
    });
    set(0.0);
    (above - below) / (2.0 * h)
}

#[test]
fn the_order_of_the_batch_does_not_matter() {
    let order = [3, 6, 0, 5, 1, 4, 2];
    for bound in variants() {
        for views in if works_with_one_view(&bound) { 1..4 } else { 2..4 } {
            let batch = Batch::random(&LABELS, views);
            let moved = Batch {
                input: reorder(&batch.input, &order, views),
                clean: reorder(&batch.clean, &order, 1),
                labels: order.iter().map(|item| LABELS[*item as usize]).collect(),
                ..batch.reordered(&order)
            };
            if lonely_allowed(&bound, views) {
                let model = Model::new(&bound);
                let (before, after) = (model.number(&batch), model.number(&moved));
                assert!((before - after).abs() < 1e-12, "{bound}: {before} {after}");
            }
        }
    }
}

/// Whether the one item of its class in [`LABELS`] is no error.
fn lonely_allowed(bound: &Bound, views: usize) -> bool {
    views > 1 || word(bound, "no_positive") != Some("error")
}

#[test]
fn extremes_are_finite() {
    let zero = |batch: Batch| batch.with(vec![0.0; batch.embedding.elem_count()]);
    let equal = |batch: Batch| batch.with(vec![0.7; batch.embedding.elem_count()]);
    let long = |batch: Batch| {
        batch.with(values(&batch.embedding).iter().map(|x| 10.0 * x.signum()).collect())
    };
    let one_zero = |batch: Batch| {
        let mut embedding = values(&batch.embedding);
        embedding[..DIM].fill(0.0);
        batch.with(embedding)
    };
    for bound in variants() {
        let bound = match bound.value("temperature") {
            Some(_) => bound.with("temperature", Value::Real(0.05)),
            None => bound,
        };
        for views in if works_with_one_view(&bound) { 1..3 } else { 2..3 } {
            for labels in [&LABELS[..], &[0; 5], &[2], &[0, 1, 2, 3]] {
                let batch = || Batch::random(labels, views);
                let batches =
                    [batch(), zero(batch()), equal(batch()), long(batch()), one_zero(batch())];
                for batch in batches {
                    check_finite(&bound, &batch);
                }
            }
        }
    }
}

fn check_finite(bound: &Bound, batch: &Batch) {
    let var = Var::from_tensor(&batch.embedding).unwrap();
    let tracked = Batch { embedding: var.as_tensor().clone(), ..batch.clone() };
    let value = match Model::new(bound).value(&tracked) {
        Ok(value) => value,
        Err(error) => {
            assert_eq!(word(bound, "no_positive"), Some("error"), "{bound}: {error}");
            assert!(error.to_string().contains("no positive"), "{error}");
            return;
        }
    };
    let number: f64 = value.to_scalar().unwrap();
    let grads = value.backward().unwrap();
    let gradient = values(grads.get(&var).unwrap());
    let finite = number.is_finite() && gradient.iter().all(|it| it.is_finite());
    assert!(finite, "{bound} on {:?} in {} views: {number}", batch.labels, batch.views);
}

#[test]
fn members_of_a_class_may_trade_places_but_not_of_two() {
    let batch = Batch::random(&LABELS, 2);
    let within = batch.reordered(&[2, 6, 5, 3, 1, 0, 4]);
    let across = batch.reordered(&[1, 0, 2, 3, 4, 5, 6]);
    for bound in variants() {
        let model = Model::new(&bound);
        let changes = |other: &Batch| (model.number(&batch) - model.number(other)).abs() > 1e-9;
        let by_pixels = needs(&bound, Port::Input);
        assert_eq!(changes(&within), by_pixels, "{bound}");
        assert_eq!(changes(&across), by_pixels || needs(&bound, Port::Labels), "{bound}");
    }
}

#[test]
fn normalised_terms_ignore_the_length_of_embeddings() {
    let batch = Batch::random(&LABELS, 2);
    let lengths = |n: usize| 0.1 + (n / DIM) as f64;
    let scaled: Vec<f64> =
        values(&batch.embedding).iter().enumerate().map(|(n, x)| x * lengths(n)).collect();
    let scaled = batch.with(scaled);
    let normalised =
        variants().into_iter().filter(|it| it.value("normalize") == Some(&Value::Bool(true)));
    for bound in normalised {
        let model = Model::new(&bound);
        let (before, after) = (model.number(&batch), model.number(&scaled));
        assert!((before - after).abs() < 1e-12, "{bound}: {before} {after}");
        let var = Var::from_tensor(&scaled.embedding).unwrap();
        let tracked = Batch { embedding: var.as_tensor().clone(), ..scaled.clone() };
        let grads = model.value(&tracked).unwrap().backward().unwrap();
        let outward = (grads.get(&var).unwrap() * var.as_tensor()).unwrap().sum(1).unwrap();
        assert!(values(&outward).iter().all(|it| it.abs() < 1e-12), "{bound}");
    }
}

#[test]
fn names_of_classes_do_not_matter_to_pairs() {
    let batch = Batch::random(&LABELS, 2);
    let labels = LABELS.iter().map(|label| [3, 0, 1, 2][*label as usize]).collect();
    let renamed = Batch { labels, ..batch.clone() };
    for bound in variants() {
        let model = Model::new(&bound);
        if matches!(model.term, Term::Pairwise(_)) {
            let (before, after) = (model.number(&batch), model.number(&renamed));
            assert!((before - after).abs() < 1e-12, "{bound}: {before} {after}");
        }
    }
}

/// Weights of classes are those of a weighted mean over items.
#[test]
fn weights_of_classes_weigh_the_mean() {
    let batch = Batch::random(&LABELS, 2);
    let weights = [0.5, 2.0, 1.0, 0.0];
    let of_items: Vec<f64> = LABELS.iter().map(|label| weights[*label as usize]).collect();
    let value = |term: &PairTerm, of_items: &[f64]| {
        let weights = [Some(of_items.to_vec())];
        let (z, terms) = (&batch.embedding, std::slice::from_ref(term));
        values(&contrastive_weighted(z, &batch.labels, 2, terms, &weights).unwrap().1)[0]
    };
    for bound in variants().into_iter().filter(|it| !it.spec.name.starts_with("thanos")) {
        let model = Model::new(&bound);
        let Term::Pairwise(parts) = &model.term else { continue };
        let plain = model.number(&batch);
        let alike = value(&parts[0], &[3.0; 7]);
        assert!((alike - plain).abs() < 1e-12, "{bound}: {alike} {plain}");
        // Each item alone, put together.
        let alone = |item: usize| {
            let one: Vec<f64> = (0..7).map(|it| f64::from(u8::from(it == item))).collect();
            of_items[item] * value(&parts[0], &one)
        };
        let expected = (0..7).map(alone).sum::<f64>() / of_items.iter().sum::<f64>();
        let found = value(&parts[0], &of_items);
        assert!((found - expected).abs() < 1e-12, "{bound}: {found} {expected}");
        assert_eq!(value(&parts[0], &[0.0; 7]), 0.0);
        check_gradients(std::slice::from_ref(&batch.embedding), |z| {
            let weights = [Some(of_items.clone())];
            Ok(contrastive_weighted(&z[0], &batch.labels, 2, &parts[..1], &weights)?.0)
        });
    }
    let logits = batch.embedding.narrow(1, 0, CLASSES).unwrap();
    let labels = LABELS.repeat(2);
    let of = |weights: Option<&[f64]>| {
        let found = cross_entropy_weighted(&logits, &labels, 0.1, weights).unwrap();
        found.to_scalar::<f64>().unwrap()
    };
    let expected = |weights: &[f64]| {
        let one = |label: u32| {
            let only: Vec<f64> =
                (0..CLASSES).map(|it| f64::from(u8::from(it == label as usize))).collect();
            let items = LABELS.iter().filter(|it| **it == label).count() as f64;
            (of(Some(&only)) * items * weights[label as usize], items * weights[label as usize])
        };
        let (sums, all): (Vec<f64>, Vec<f64>) = [0, 1, 3].map(one).into_iter().unzip();
        sums.iter().sum::<f64>() / all.iter().sum::<f64>()
    };
    assert!((of(Some(&weights)) - expected(&weights)).abs() < 1e-12);
    assert!((of(Some(&[2.0; 4])) - of(None)).abs() < 1e-12);
    assert_eq!(of(Some(&[0.0; 4])), 0.0);
    check_gradients(std::slice::from_ref(&logits), |z| {
        cross_entropy_weighted(&z[0], &labels, 0.1, Some(&weights))
    });
    assert!(cross_entropy_weighted(&logits, &labels, 0.1, Some(&[1.0])).is_err());
}

#[test]
fn three_views_across_are_the_mean_over_their_pairs() {
    let batch = Batch::random(&LABELS, 3);
    let view = |n: usize| batch.embedding.narrow(0, n * LABELS.len(), LABELS.len()).unwrap();
    let is_across =
        |it: &Bound| word(it, "pairs") == Some("cross") || it.spec.name == "thanos_release";
    for bound in variants().into_iter().filter(is_across) {
        let model = Model::new(&bound);
        let pair = |(a, b): (usize, usize)| {
            let embedding = Tensor::cat(&[view(a), view(b)], 0).unwrap();
            model.number(&Batch { embedding, views: 2, ..batch.clone() })
        };
        let mean = [(0, 1), (0, 2), (1, 2)].map(pair).iter().sum::<f64>() / 3.0;
        let found = model.number(&batch);
        assert!((found - mean).abs() < 1e-12, "{bound}: {found} {mean}");
    }
}

fn named(name: &str, args: &[(&str, Value)]) -> Bound {
    let entry = LOSSES.iter().find(|it| it.spec.name == name).expect("registered");
    let mut bound = combinations(&Bound::defaults(&entry.spec)).remove(0);
    for param in entry.spec.params {
        if let Some(default) = param.default {
            bound = bound.with(param.name, default());
        }
    }
    args.iter().fold(bound, |bound, (name, value)| bound.with(name, value.clone()))
}

fn words(word: &str) -> Value {
    Value::Word(word.to_owned())
}

/// Items with embeddings along the first axes, the same in both views.
fn axes(items: &[(usize, f64)], labels: &[u32]) -> Batch {
    let view = items
        .iter()
        .flat_map(|(axis, sign)| (0..DIM).map(move |d| if d == *axis { *sign } else { 0.0 }));
    let view: Vec<f64> = view.collect();
    Batch::random(labels, 2).with([view.clone(), view].concat())
}

#[track_caller]
fn check(bound: Bound, batch: &Batch, expected: f64) {
    let found = Model::new(&bound).number(batch);
    assert!((found - expected).abs() < 1e-6, "{bound}: {found}, not {expected}");
}

#[test]
fn small_batches_have_the_values_of_hand_computation() {
    let cross = || ("pairs", words("cross"));
    let tau = |tau: f64| ("temperature", Value::Real(tau));
    // Two classes of one item, at right angles.
    let right = axes(&[(0, 1.0), (1, 1.0)], &[0, 1]);
    check(named("supcon", &[tau(1.0), cross()]), &right, (-1f64).exp().ln_1p());
    check(named("supcon", &[tau(1.0)]), &right, (2.0 * (-1f64).exp()).ln_1p());
    check(named("class_infonce", &[tau(1.0), cross()]), &right, 0.0);
    check(named("class_infonce", &[tau(1.0)]), &right, 0.0);
    // Two collapsed classes of two items, opposite to each other.
    let collapsed = axes(&[(0, 1.0), (0, 1.0), (0, -1.0), (0, -1.0)], &[0, 0, 1, 1]);
    check(named("supcon", &[cross()]), &collapsed, 0.0359763);
    check(named("class_infonce", &[cross()]), &collapsed, 2f64.ln());
    check(named("class_infonce", &[]), &collapsed, 3f64.ln());
    // Two classes of 64.
    let sides: Vec<(usize, f64)> =
        (0..128).map(|it| (0, if it % 2 == 0 { 1.0 } else { -1.0 })).collect();
    let labels: Vec<u32> = (0..128).map(|it| it % 2).collect();
    check(named("supcon", &[cross()]), &axes(&sides, &labels), 0.7757409);
    check(named("class_infonce", &[cross()]), &axes(&sides, &labels), 4.1588831);
}

#[test]
fn one_class_has_nothing_to_repel_and_singletons_nothing_to_spread() {
    let one = Batch::random(&[1; 6], 2);
    for pairs in ["pooled", "cross"] {
        let args = [("pairs", words(pairs))];
        assert_eq!(Model::new(&named("supcon", &args)).number(&one), 0.0);
        let infonce = Model::new(&named("infonce", &args)).number(&one);
        check(named("class_infonce", &args), &one, infonce);
        let alone = Batch::random(&[0, 1, 2, 3], 2);
        check(named("class_infonce", &args), &alone, 0.0);
    }
}

#[test]
fn cross_entropy_is_that_of_naive_sums() {
    let batch = Batch::random(&LABELS, 2);
    for smoothing in [0.0, 0.2] {
        let model = Model::new(&named("cross_entropy", &[("smoothing", Value::Real(smoothing))]));
        let Term::Single(term) = &model.term else { panic!("cross-entropy is a single term") };
        let logits = term.logits(&batch.embedding).unwrap().expect("it has a classifier");
        let logits: Vec<Vec<f64>> = logits.to_vec2().unwrap();
        let losses = logits.iter().zip(LABELS.iter().cycle()).map(|(row, label)| {
            let total: f64 = row.iter().map(|x| x.exp()).sum();
            let log_p = |k: usize| row[k] - total.ln();
            let spread = (0..CLASSES).map(log_p).sum::<f64>() / CLASSES as f64;
            -(1.0 - smoothing) * log_p(*label as usize) - smoothing * spread
        });
        let expected = losses.sum::<f64>() / 14.0;
        assert!((model.number(&batch) - expected).abs() < 1e-12);
        let names: Vec<String> = model.params.vars().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["head.bias", "head.weight"]);
    }
}

#[test]
fn restoring_is_measured_over_all_numbers_and_views() {
    let batch = Batch::random(&LABELS, 2);
    for target in ["input", "clean"] {
        let model = Model::new(&named("class_autoencoder", &[("target", words(target))]));
        let vars = model.params.vars();
        let [bias, weight] = [0, 1].map(|n: usize| values(&vars[n].1));
        assert!(vars[0].0 == "decoder.bias" && vars[1].0 == "decoder.weight");
        let (input, clean) = (values(&batch.input), values(&batch.clean));
        let mut sum = 0.0;
        for (row, z) in values(&batch.embedding).chunks(DIM).enumerate() {
            for n in 0..IMAGE.size() {
                let restored: f64 =
                    bias[n] + (0..DIM).map(|d| weight[n * DIM + d] * z[d]).sum::<f64>();
                let wanted = match target {
                    "input" => input[row * IMAGE.size() + n],
                    _ => clean[row % LABELS.len() * IMAGE.size() + n],
                };
                sum += (restored - wanted).powi(2);
            }
        }
        let expected = sum / (14 * IMAGE.size()) as f64;
        assert!((model.number(&batch) - expected).abs() < 1e-12, "{target}");
    }
}

fn autoencoder(condition: &str) -> Model {
    let decoder = Value::Component(Box::new(Bound::defaults(&ENTRY.spec)));
    let spec = LOSSES.iter().find(|it| it.spec.name == "class_autoencoder").unwrap();
    let bound = Bound::defaults(&spec.spec).with("decoder", decoder);
    Model::new(&bound.with("condition", Value::Word(condition.to_owned())))
}

/// The mean squared error of a batch by loops, with the toy decoder of each row.
fn restored_by_loops(batch: &Batch, decode: impl Fn(&[f64], u32) -> Vec<f64>) -> f64 {
    let (rows, images) = (values(&batch.embedding), values(&batch.input));
    let labels = batch.labels.repeat(batch.views);
    let rows = rows.chunks(DIM).zip(images.chunks(IMAGE.size())).zip(&labels);
    let error = |((row, image), label): ((&[f64], &[f64]), &u32)| {
        let restored = decode(row, *label);
        restored.iter().zip(image).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
    };
    rows.map(error).sum::<f64>() / images.len() as f64
}

/// `W x + b` with the variables that begin with `name`.
fn affine(model: &Model, name: &str, x: &[f64]) -> Vec<f64> {
    let state = model.params.state().unwrap();
    let (weight, bias) =
        (values(&state[&format!("{name}.weight")]), values(&state[&format!("{name}.bias")]));
    let dot = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
    weight.chunks(x.len()).zip(bias).map(|(row, bias)| dot(row) + bias).collect()
}

#[test]
fn a_decoder_that_is_told_the_class_sees_it_behind_the_embedding() {
    let (model, batch) = (autoencoder("label"), Batch::random(&[2, 0, 2, 3, 1], 2));
    let expected = restored_by_loops(&batch, |row, label| {
        let told = (0..CLASSES as u32).map(|class| f64::from(u8::from(class == label)));
        let row: Vec<f64> = row.iter().copied().chain(told).collect();
        affine(&model, "decoder", &row)
    });
    assert!((model.number(&batch) - expected).abs() < 1e-12 * expected);
}

#[test]
fn each_class_has_a_decoder_of_its_own() {
    let (model, batch) = (autoencoder("per_class"), Batch::random(&[2, 0, 2, 3, 1, 0], 2));
    let decode = |row: &[f64], label| affine(&model, &format!("decoder.{label}"), row);
    let expected = restored_by_loops(&batch, decode);
    assert!((model.number(&batch) - expected).abs() < 1e-12 * expected);
}

#[test]
fn the_decoder_of_a_class_that_a_batch_lacks_has_the_gradient_zero() {
    let (model, batch) = (autoencoder("per_class"), Batch::random(&[2, 0, 2], 1));
    let decode = |row: &[f64], label| affine(&model, &format!("decoder.{label}"), row);
    let expected = restored_by_loops(&batch, decode);
    let value = model.value(&batch).unwrap();
    assert!((value.to_scalar::<f64>().unwrap() - expected).abs() < 1e-12 * expected);
    let grads = value.backward().unwrap();
    for (name, var) in model.params.vars() {
        let gradient = values(grads.get(&var).unwrap());
        let is_absent = name.starts_with("decoder.1.") || name.starts_with("decoder.3.");
        assert_eq!(gradient.iter().all(|it| *it == 0.0), is_absent, "{name}");
    }
}

#[test]
fn a_class_that_no_decoder_knows_is_an_error() {
    for condition in ["label", "per_class"] {
        let error = autoencoder(condition).value(&Batch::random(&[0, 4], 1)).unwrap_err();
        assert!(error.to_string().contains("there is no class 4 among 4"), "{error}");
    }
}

/// Batch statistics of one pixel of one image would be an error.
#[test]
fn a_class_of_one_image_is_restored_with_recorded_statistics() {
    let small = Bound::defaults(
        &DECODERS.iter().find(|it| it.spec.name == "resnet18_decoder").unwrap().spec,
    )
    .with("width", Value::Int(2));
    let spec = LOSSES.iter().find(|it| it.spec.name == "class_autoencoder").unwrap();
    let bound = Bound::defaults(&spec.spec)
        .with("decoder", Value::Component(Box::new(small)))
        .with("condition", Value::Word("per_class".to_owned()));
    let (model, batch) = (Model::new(&bound), Batch::random(&[2, 0, 2], 1));
    let value = model.value(&batch).unwrap();
    assert!(value.to_scalar::<f64>().unwrap().is_finite());
    assert!(model.params.without_gradient(&value.backward().unwrap()).is_empty());
    let state = model.params.state().unwrap();
    let is_recorded = |class: u32| {
        let mean = values(&state[&format!("decoder.{class}.layer1.0.bn1.running_mean")]);
        mean.iter().any(|it| *it != 0.0)
    };
    assert_eq!([0, 1, 2, 3].map(is_recorded), [false, false, true, false]);
}
