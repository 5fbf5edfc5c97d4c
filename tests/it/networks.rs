//! Laws of every encoder, projector and decoder, on instances small enough for finite differences.

use balance::catalog::{Bound, Entry, ImageShape, Place, Spec, Type, Value};
use balance::library::decoder::{DECODERS, Decoder};
use balance::library::encoder::{ENCODERS, Encoder, Network};
use balance::library::projector::{PROJECTORS, Projector};
use balance::nn::Mode;
use balance::seed::Stream;
use balance::tensor::{Params, Scope};
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};

use crate::numeric::{difference, normal, values, weighted};

/// Width of the embeddings decoders are given.
const DIM: usize = 6;

pub const IMAGES: [ImageShape; 3] = [
    ImageShape { height: 8, width: 8, channels: 3 },
    ImageShape { height: 6, width: 10, channels: 1 },
    ImageShape { height: 28, width: 28, channels: 1 },
];

/// Arguments that make a component small, where it has parameters of these names.
fn tiny(spec: &'static Spec) -> Bound {
    let part = |name: &str| Some(Value::Component(Box::new(tiny(&entry(name).spec))));
    let small = |param: &str| match (spec.name, param) {
        ("concat", "a") => part("mlp"),
        ("concat", "b") => part("resnet"),
        (_, "hidden") => Some(Value::Int(7)),
        (_, "out") => Some(Value::Int(4)),
        (_, "width") => Some(Value::Int(2)),
        (_, "patch" | "heads" | "groups") => Some(Value::Int(2)),
        ("cnn", "widths") => Some(Value::List(vec![Value::Int(4), Value::Int(6)])),
        (_, "widths") => Some(Value::List(vec![Value::Int(7), Value::Int(5)])),
        ("wide_resnet", "depth") => Some(Value::Int(10)),
        (_, "widen") => Some(Value::Int(1)),
        (_, "dim") => Some(Value::Int(8)),
        ("resnet", "depth") => Some(Value::Int(8)),
        (_, "depth") => Some(Value::Int(2)),
        _ => None,
    };
    let params = spec.params.iter().filter_map(|param| Some((param.name, small(param.name)?)));
    params.fold(Bound::defaults(spec), |bound, (name, value)| bound.with(name, value))
}

type Make = dyn Fn(&Scope) -> Result<Box<dyn Network>> + Sync;

/// A network to be made for images of one shape, with the shapes of its rows.
struct Case {
    name: String,
    image: ImageShape,
    input: Vec<usize>,
    output: Vec<usize>,
    make: Box<Make>,
}

fn encoder_case(entry: &'static Entry<dyn Encoder>, bound: &Bound, image: ImageShape) -> Case {
    let declared = bound.network(&Place::of_encoder(image)).unwrap();
    let encoder = (entry.build)(bound);
    Case {
        name: format!("{bound} on {image}"),
        image,
        input: vec![image.height, image.width, image.channels],
        output: declared.shape().to_vec(),
        make: Box::new(move |scope| encoder.build(image, scope)),
    }
}

fn projector_case(entry: &'static Entry<dyn Projector>, bound: &Bound) -> Case {
    let place = Place { dim: DIM, ..Place::of_encoder(IMAGES[0]) };
    let projector = (entry.build)(bound);
    Case {
        name: bound.to_string(),
        image: IMAGES[0],
        input: vec![DIM],
        output: bound.network(&place).unwrap().shape().to_vec(),
        make: Box::new(move |scope| projector.build(DIM, scope)),
    }
}

fn decoder_case(entry: &'static Entry<dyn Decoder>, bound: &Bound, image: ImageShape) -> Case {
    let decoder = (entry.build)(bound);
    Case {
        name: format!("{bound} to {image}"),
        image,
        input: vec![DIM],
        output: vec![image.height, image.width, image.channels],
        make: Box::new(move |scope| decoder.build(DIM, image, scope)),
    }
}

/// What keeps a Lipschitz bound is not normalised.
fn unnormalised(bound: Bound) -> Bound {
    let keeps = bound.value("lipschitz").is_some_and(|value| *value != Value::None);
    match bound.value("norm").filter(|_| keeps) {
        Some(_) => bound.with("norm", Value::None),
        None => bound,
    }
}

/// A small component, and the same with each other word and switch it can be given.
pub fn variants(spec: &'static Spec) -> Vec<Bound> {
    let plain = tiny(spec);
    let mut all = vec![plain.clone()];
    for param in spec.params {
        let values = match param.ty {
            Type::Choice(words) => words.iter().map(|it| Value::Word((*it).to_owned())).collect(),
            Type::Bool => vec![Value::Bool(false), Value::Bool(true)],
            _ if param.name == "lipschitz" => vec![Value::Real(1.5)],
            Type::Optional(Type::Choice(words)) => {
                let words = words.iter().map(|it| Value::Word((*it).to_owned()));
                words.chain([Value::None]).collect()
            }
            _ => Vec::new(),
        };
        let other = values.into_iter().filter(|value| plain.value(param.name) != Some(value));
        all.extend(other.map(|value| plain.clone().with(param.name, value)).map(unnormalised));
    }
    if spec.name == "resnet" {
        all.push(plain.with("depth", Value::Int(50)));
    }
    all
}

/// Every variant of every encoder and decoder for every image shape, and of every projector.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for entry in PROJECTORS {
        let variants = variants(&entry.spec);
        cases.extend(variants.iter().map(|bound| projector_case(entry, bound)));
    }
    for image in IMAGES {
        for entry in ENCODERS {
            let variants = variants(&entry.spec);
            cases.extend(variants.iter().map(|bound| encoder_case(entry, bound, image)));
        }
        for entry in DECODERS {
            let variants = variants(&entry.spec);
            cases.extend(variants.iter().map(|bound| decoder_case(entry, bound, image)));
        }
    }
    cases
}

impl Case {
    fn build(&self, seed: u64, dtype: DType) -> (Params, Box<dyn Network>) {
        let params = Params::new(Stream::new(seed), dtype, Device::Cpu);
        let network = (self.make)(&params.root()).unwrap();
        (params, network)
    }

    /// Whether norms are found by iteration.
    fn keeps_bound(&self) -> bool {
        self.name.contains("lipschitz=1.5")
    }

    fn input(&self, rows: usize, dtype: DType) -> Tensor {
        let shape = [&[rows], &self.input[..]].concat();
        normal(&self.name, &shape).to_dtype(dtype).unwrap()
    }
}

fn training() -> Mode {
    Mode::Train(Stream::new(5))
}

#[test]
fn the_output_has_the_declared_shape() {
    for case in cases() {
        let (_, network) = case.build(1, DType::F32);
        for mode in [training(), Mode::Eval] {
            let output = network.forward(&case.input(3, DType::F32), &mode).unwrap();
            assert_eq!(output.dims(), [&[3], &case.output[..]].concat(), "{}", case.name);
        }
    }
}

#[test]
fn a_batch_is_its_rows_one_by_one_in_evaluation() {
    for case in cases() {
        let (_, network) = case.build(1, DType::F64);
        let input = case.input(4, DType::F64);
        // So that running statistics are not those of the start.
        network.forward(&input, &training()).unwrap();
        let whole = network.forward(&input, &Mode::Eval).unwrap();
        let rows = (0..4)
            .map(|row| network.forward(&input.narrow(0, row, 1).unwrap(), &Mode::Eval).unwrap());
        let rows = Tensor::cat(&rows.collect::<Vec<_>>(), 0).unwrap();
        let deviation = difference(&whole, &rows);
        assert!(deviation < 1e-12, "{}: {deviation:e}", case.name);
        assert!(values(&whole).iter().all(|value| value.is_finite()), "{}", case.name);
    }
}

#[test]
fn every_variable_gets_a_gradient() {
    for case in cases() {
        let (params, network) = case.build(1, DType::F32);
        let output = network.forward(&case.input(3, DType::F32), &training()).unwrap();
        let grads = weighted(&output).unwrap().backward().unwrap();
        assert_eq!(params.without_gradient(&grads), Vec::<String>::new(), "{}", case.name);
        for (name, var) in params.vars() {
            let moved = values(grads.get(&var).unwrap()).iter().any(|value| *value != 0.0);
            assert!(moved, "{}: the gradient of `{name}` is zero", case.name);
        }
    }
}

/// The value of the weighted output, and what it was computed from.
fn slope(network: &dyn Network, input: &Tensor, mode: &Mode) -> (f64, Tensor) {
    let value = weighted(&network.forward(input, mode).unwrap()).unwrap();
    (value.to_scalar().unwrap(), value)
}

/// Compares some elements of the gradient of `var` with central differences.
fn check_slope(case: &Case, name: &str, var: &Var, grads: &GradStore, value: impl Fn() -> f64) {
    let gradient = values(grads.get(var).unwrap());
    let start = var.copy().unwrap();
    let base = values(&start);
    let scale = gradient.iter().fold(1.0, |scale: f64, g| scale.max(g.abs()));
    for element in (0..base.len()).step_by(base.len().div_ceil(5)) {
        let at = |step: f64| {
            let mut moved = base.clone();
            moved[element] += step;
            var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap()).unwrap();
            value()
        };
        // A rectifier's corner within the step spoils long steps, rounding spoils short ones.
        let differences = [1e-5, 1e-6, 1e-7].map(|h| (at(h) - at(-h)) / (2.0 * h));
        let error = |found: f64| (found - gradient[element]).abs() / scale;
        assert!(
            differences.iter().any(|found| error(*found) < 1e-6),
            "{}: `{name}`, element {element}: {differences:?} by differences, {} by backward",
            case.name,
            gradient[element]
        );
    }
    var.set(&start).unwrap();
}

#[test]
fn gradients_are_the_differences() {
    // Of a convolution the largest singular values are so close that its vectors are found slowly;
    // the gradient at vectors that were found is looked at in `spectral`.
    let is_settled = |case: &Case| !(case.keeps_bound() && case.name.starts_with("cnn"));
    for case in cases().into_iter().filter(|it| it.image.size() < 200 && is_settled(it)) {
        let (params, network) = case.build(2, DType::F64);
        let input = Var::from_tensor(&case.input(3, DType::F64)).unwrap();
        // Each step of training moves the vectors that norms are computed from.
        let mode = if case.keeps_bound() { Mode::Eval } else { training() };
        let (_, loss) = slope(&*network, &input, &mode);
        let grads = loss.backward().unwrap();
        let mut vars = params.vars();
        vars.push(("the input".to_owned(), input.clone()));
        for (name, var) in vars {
            check_slope(&case, &name, &var, &grads, || slope(&*network, &input, &mode).0);
        }
    }
}

/// The released decoder makes 24 pixels of 28.
#[test]
fn decoders_make_images_of_any_side() {
    let sides = [(1, 1), (5, 9), (24, 24), (28, 28), (32, 32), (64, 64), (96, 96), (100, 37)];
    for entry in DECODERS {
        for (height, width) in sides {
            for channels in [1, 3] {
                let image = ImageShape { height, width, channels };
                let case = decoder_case(entry, &tiny(&entry.spec), image);
                let place = Place { image, dim: DIM, classes: 0, train: 0 };
                assert_eq!(tiny(&entry.spec).network(&place).unwrap().shape(), case.output);
                let (_, network) = case.build(1, DType::F32);
                for mode in [training(), Mode::Eval] {
                    let output = network.forward(&case.input(2, DType::F32), &mode).unwrap();
                    assert_eq!(output.dims(), [2, height, width, channels], "{}", case.name);
                }
            }
        }
    }
}

/// The bits of a network's output and gradients, and of all it was made of.
fn bits(case: &Case, seed: u64) -> Vec<u64> {
    let (params, network) = case.build(seed, DType::F32);
    let output = network.forward(&case.input(5, DType::F32), &training()).unwrap();
    let grads = weighted(&output).unwrap().backward().unwrap();
    let mut tensors: Vec<Tensor> = params.state().unwrap().into_values().collect();
    tensors.push(output);
    tensors.extend(params.vars().iter().map(|(_, var)| grads.get(var).unwrap().clone()));
    tensors.iter().flat_map(values).map(f64::to_bits).collect()
}

#[test]
fn one_seed_gives_one_network_at_any_thread_count() {
    for case in cases() {
        let at = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bits(&case, 3))
        };
        let one = at(1);
        assert!(one == at(1) && one == at(4), "{}", case.name);
        assert!(one != bits(&case, 4), "{}: the seed does not matter", case.name);
    }
}

fn entry(name: &str) -> &'static Entry<dyn Encoder> {
    ENCODERS.iter().find(|entry| entry.spec.name == name).unwrap()
}

fn square(side: usize, channels: usize) -> ImageShape {
    ImageShape { height: side, width: side, channels }
}

/// Trained scalars, in all and below the names that begin with `part`.
fn counts(case: &Case, part: &str) -> (usize, usize) {
    let (params, _) = case.build(1, DType::F32);
    let below = params.vars().into_iter().filter(|(name, _)| name.starts_with(part));
    (params.count(), below.map(|(_, var)| var.elem_count()).sum())
}

#[test]
fn the_transformer_has_the_released_parameters() {
    let bound = Bound::defaults(&entry("vit").spec);
    for (image, transformer, patches) in [
        (square(32, 3), 3_241_728, 13_056),
        (square(28, 1), 3_237_888, 4_864),
        (square(64, 3), 3_290_880, 13_056),
    ] {
        let (all, embedding) = counts(&encoder_case(entry("vit"), &bound, image), "embed");
        assert_eq!((all - embedding, embedding), (transformer, patches), "{image}");
    }
}

/// The networks of the literature with 1000 classes, less their classifiers: by torchvision 0.29,
/// timm 1.0 and the usual code of wide residual networks.
#[test]
fn networks_have_the_parameters_of_the_literature() {
    let int = Value::Int;
    let imagenet = ("stem", Value::Word("imagenet".to_owned()));
    let standard = ("form", Value::Word("standard".to_owned()));
    let transformer = |patch, dim, depth, heads| {
        let sizes = [("patch", patch), ("dim", dim), ("depth", depth), ("heads", heads)];
        let sizes = sizes.map(|(name, size)| (name, int(size)));
        [&sizes[..], &[("mlp_ratio", int(4)), standard.clone()]].concat()
    };
    let residual = |depth| vec![("depth", int(depth)), imagenet.clone()];
    let cases = [
        ("resnet", residual(18), 224, 11_689_512 - 513_000),
        ("resnet", residual(34), 224, 21_797_672 - 513_000),
        ("resnet", residual(50), 224, 25_557_032 - 2_049_000),
        ("vit", transformer(16, 768, 12, 12), 224, 86_567_656 - 769_000),
        ("vit", transformer(32, 768, 12, 12), 224, 88_224_232 - 769_000),
        ("vit", transformer(16, 192, 12, 3), 224, 5_717_416 - 193_000),
        ("wide_resnet", vec![], 32, 36_479_194 - 6_410),
        ("wide_resnet", vec![("depth", int(16)), ("widen", int(4))], 32, 2_748_890 - 2_570),
    ];
    for (name, args, side, parameters) in cases {
        let bound = Bound::defaults(&entry(name).spec);
        let bound = args.into_iter().fold(bound, |bound, (name, value)| bound.with(name, value));
        let layers = bound.network(&Place::of_encoder(square(side, 3))).unwrap();
        assert_eq!(layers.parameters(), parameters, "{bound}");
    }
}

#[test]
fn residual_networks_have_torchvisions_parameters() {
    let resnet = Bound::defaults(&entry("resnet").spec);
    let eight = resnet.clone().with("depth", Value::Int(8)).with("width", Value::Int(16));
    let thirty_four = resnet.clone().with("depth", Value::Int(34));
    // torchvision's counts less its classifier, with 3 × 3 instead of 7 × 7 weights at the start.
    for (bound, parameters) in [
        (resnet, 11_689_512 - 513_000 - 3 * 64 * (49 - 9)),
        (thirty_four, 21_797_672 - 513_000 - 3 * 64 * (49 - 9)),
        // The stem and the three stages.
        (eight, 464 + 4_672 + 14_528 + 57_728),
    ] {
        let case = encoder_case(entry("resnet"), &bound, square(32, 3));
        assert_eq!(counts(&case, "").0, parameters, "{bound}");
    }
}

#[test]
fn the_decoder_has_the_released_parameters_and_sizes() {
    let entry = DECODERS.iter().find(|entry| entry.spec.name == "resnet18_decoder").unwrap();
    let decoder = (entry.build)(&Bound::defaults(&entry.spec));
    let params = Params::new(Stream::new(1), DType::F32, Device::Cpu);
    decoder.build(256, square(32, 3), &params.root()).unwrap();
    assert_eq!(params.count(), 8_625_600);
}

#[test]
fn a_misfit_says_what_would_fit() {
    let misfit = |name: &str, args: &[(&str, i64)]| {
        let spec = &entry(name).spec;
        let bound = args.iter().fold(Bound::defaults(spec), |bound, (name, value)| {
            bound.with(name, Value::Int(*value))
        });
        let misfit = bound.network(&Place::of_encoder(square(32, 3))).unwrap_err();
        (misfit.param.unwrap(), misfit.message, misfit.label, misfit.help)
    };
    let expected = |param, message: &str, label: &str, help: &str| {
        (param, message.to_owned(), label.to_owned(), help.to_owned())
    };
    assert_eq!(
        misfit("vit", &[("patch", 5)]),
        expected(
            "patch",
            "an image of 32 x 32 cannot be cut into patches of 5",
            "32 / 5 leaves 2 pixels over",
            "patch sizes that fit: 1, 2, 4, 8, 16, 32; \
             `patch=4` makes 64 patches + 1 class token = 65 tokens"
        )
    );
    assert_eq!(
        misfit("vit", &[("dim", 10), ("heads", 3)]),
        expected(
            "heads",
            "a width of 10 cannot be divided among 3 heads",
            "10 / 3 leaves 1 over",
            "numbers of heads that fit: 1, 2, 5, 10"
        )
    );
    assert_eq!(
        misfit("resnet", &[("depth", 19)]),
        expected(
            "depth",
            "there is no residual network of depth 19",
            "no stages are laid out for this depth",
            "depths there are: 8, 14, 18, 20, 32, 34, 44, 50, 56"
        )
    );
}

/// How far training mode is from evaluation, and one training step from another.
fn noise(args: &[(&str, Value)]) -> (f64, f64) {
    let spec = &entry("vit").spec;
    let quiet = ["dropout", "head_dropout", "drop_path", "embed_dropout"];
    let bound = quiet.iter().fold(tiny(spec), |bound, name| bound.with(name, Value::Real(0.0)));
    let bound = args.iter().fold(bound, |bound, (name, value)| bound.with(name, value.clone()));
    let case = encoder_case(entry("vit"), &bound, IMAGES[0]);
    let (_, network) = case.build(1, DType::F64);
    let input = case.input(8, DType::F64);
    let output = |mode| network.forward(&input, &mode).unwrap();
    let [one, other] = [1, 2].map(|seed| output(Mode::Train(Stream::new(seed))));
    (difference(&one, &output(Mode::Eval)), difference(&one, &other))
}

#[test]
fn each_dropout_of_the_transformer_acts_in_training_alone() {
    assert_eq!(noise(&[]), (0.0, 0.0));
    for name in ["dropout", "head_dropout", "drop_path", "embed_dropout"] {
        let (from_evaluation, between) = noise(&[(name, Value::Real(0.4))]);
        assert!(from_evaluation > 1e-3 && between > 1e-3, "{name}");
    }
    // The first block keeps all its paths.
    assert_eq!(noise(&[("drop_path", Value::Real(0.4)), ("depth", Value::Int(1))]), (0.0, 0.0));
}
