//! Views that a card paints are those of one pass on the CPU.

use balance::catalog::{Bound, ImageShape, Interval, Value};
use balance::kernel;
use balance::library::augment::{AUGMENTS, Augment, ChannelStats, Pass};
use balance::library::{Library, build};
use balance::run::{Order, Pool, Transforms};
use balance::seed::Stream;
use candle_core::{DType, Device, Tensor};

use crate::beside::card;
use crate::planned::plan;

/// Most that a number may be off before it is scaled.
const ROUNDING: f32 = 1e-5;

/// Area of crops.
const SHARES: Interval = Interval { low: 0.1, high: 1.0 };

/// Images of each shape.
const IMAGES: usize = 5;

const SHAPES: [(usize, usize, usize); 9] = [
    (28, 28, 1),
    (28, 28, 3),
    (32, 32, 1),
    (32, 32, 3),
    (33, 31, 1),
    (33, 31, 3),
    (6, 5, 2),
    (9, 8, 5),
    (1, 1, 3),
];

fn augment(name: &str, args: &[(&str, Value)]) -> Box<dyn Augment> {
    let entry = AUGMENTS.iter().find(|it| it.spec.name == name).unwrap();
    let bound = Bound::defaults(&entry.spec);
    let bound = args.iter().fold(bound, |bound, (name, value)| bound.with(name, value.clone()));
    build(AUGMENTS, &bound)
}

/// A random part, in the size of the image.
fn crop() -> Box<dyn Augment> {
    augment("resized_crop", &[("scale", Value::Interval(SHARES))])
}

/// The same in another size.
fn crop_to(size: i64) -> Box<dyn Augment> {
    let args = [("scale", Value::Interval(SHARES)), ("size", Value::Int(size))];
    augment("resized_crop", &args)
}

/// A change of colour alone, always.
fn jitter(strengths: [f64; 4]) -> Box<dyn Augment> {
    let names = ["brightness", "contrast", "saturation", "hue"];
    let strengths = names.into_iter().zip(strengths.map(Value::Real));
    augment("color_jitter", &strengths.chain([("p", Value::Real(1.0))]).collect::<Vec<_>>())
}

fn mirror(p: f64) -> Box<dyn Augment> {
    augment("hflip", &[("p", Value::Real(p))])
}

fn gray(p: f64) -> Box<dyn Augment> {
    augment("grayscale", &[("p", Value::Real(p))])
}

fn stats(channels: usize) -> ChannelStats {
    ChannelStats {
        mean: (0..channels).map(|at| 0.3 + 0.1 * at as f32).collect(),
        std: (0..channels).map(|at| 0.2 + 0.05 * at as f32).collect(),
    }
}

/// Bytes of images, with runs of one grey and of black and white in them.
fn bytes(shape: ImageShape, stream: &mut Stream) -> Vec<u8> {
    let image = |_| {
        let kind = stream.below(4);
        let byte = |stream: &mut Stream| match kind {
            0 => (255 * stream.below(2)) as u8,
            1 => 60,
            _ => stream.below(256) as u8,
        };
        (0..shape.size()).map(|_| byte(stream)).collect::<Vec<_>>()
    };
    (0..IMAGES).flat_map(image).collect()
}

/// Asserts that views by `steps` on the card are those of the CPU, of images of `shape`; how many
/// there were.
fn check(name: &str, shape: ImageShape, steps: &[Box<dyn Augment>], count: u64) -> usize {
    let ImageShape { height, width, channels } = shape;
    let stats = stats(channels);
    let bytes = bytes(shape, &mut Stream::new(shape.size() as u64));
    let images = Tensor::from_slice(&bytes, (IMAGES, height, width, channels), &card()).unwrap();
    let (mut pass, mut size) = (Pass::default(), None);
    let (mut views, mut expected) = (Vec::new(), Vec::new());
    for seed in 0..count {
        let stream = Stream::new(seed);
        let image = seed as usize % IMAGES;
        pass.read(&bytes[image * shape.size()..][..shape.size()], shape);
        pass.begin();
        let takes = |at: usize| pass.takes(&*steps[at], &stats, stream.at(at as u64));
        if !(0..steps.len()).all(takes) {
            continue;
        }
        let made = pass.shape();
        assert_eq!(*size.get_or_insert(made), made);
        expected.extend(pass.image().values);
        views.push(pass.view(image as u32).expect("a card can paint it"));
    }
    let Some(made) = size else { return 0 };
    let most = ROUNDING * stats.std.iter().map(|std| 1.0 / std).fold(1.0, f32::max);
    for (dtype, most) in [(DType::F32, most), (DType::BF16, 2e-2)] {
        let found = kernel::paint(&images, &views, [made.height, made.width], dtype).unwrap();
        assert_eq!(found.dims4().unwrap(), (views.len(), made.height, made.width, channels));
        let found = found.to_device(&Device::Cpu).unwrap().to_dtype(DType::F32).unwrap();
        let found: Vec<f32> = found.flatten_all().unwrap().to_vec1().unwrap();
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let close = (found - expected).abs() <= most * expected.abs().max(1.0);
            let (view, place) = (at / made.size(), at % made.size());
            assert!(close, "{name} {shape:?} {dtype:?} {view}, {place}: {found} {expected}");
        }
    }
    views.len()
}

fn shapes() -> impl Iterator<Item = ImageShape> {
    let shape = |(height, width, channels)| ImageShape { height, width, channels };
    SHAPES.into_iter().map(shape)
}

#[test]
fn every_stroke_is_that_of_the_cpu() {
    let alone = [
        ("nothing", mirror(0.0)),
        ("a mirror", mirror(1.0)),
        ("a crop", crop()),
        ("brightness", jitter([0.6, 0.0, 0.0, 0.0])),
        ("contrast", jitter([0.0, 0.6, 0.0, 0.0])),
        ("saturation", jitter([0.0, 0.0, 0.6, 0.0])),
        ("hue", jitter([0.0, 0.0, 0.0, 0.4])),
        ("gray", gray(1.0)),
        ("scale", augment("normalize", &[])),
    ];
    for (name, step) in alone {
        let steps = [step];
        for shape in shapes() {
            assert_eq!(check(name, shape, &steps, 40), 40);
        }
    }
}

#[test]
fn strokes_one_after_the_other_are_those_of_the_cpu() {
    let steps = || jitter([0.4, 0.4, 0.4, 0.1]);
    let all = [mirror(0.5), crop(), mirror(0.5), steps(), mirror(0.5), gray(0.3)];
    let all: Vec<_> = all.into_iter().chain([augment("normalize", &[])]).collect();
    for shape in shapes() {
        // Sometimes more than are copied to the card at once.
        let count = if shape.size() < 1000 { 900 } else { 60 };
        assert_eq!(check("all", shape, &all, count), count as usize);
    }
    let early: Vec<_> = [gray(0.5), steps(), crop()].into_iter().collect();
    let twice: Vec<_> = [steps(), steps()].into_iter().collect();
    for shape in shapes() {
        assert!(check("a crop that comes too late", shape, &early, 40) < 40);
        assert_eq!(check("colours twice", shape, &twice, 40), 40);
    }
}

#[test]
fn crops_of_another_size_are_those_of_the_cpu() {
    let steps = [crop_to(40), mirror(0.5), jitter([0.4, 0.4, 0.4, 0.1])];
    for shape in shapes() {
        assert_eq!(check("a larger size", shape, &steps, 40), 40);
    }
    // Read where it is, since no block has room for it. Of so many pixels the CPU, which adds them one
    // by one, has another mean.
    let large = ImageShape { height: 130, width: 121, channels: 3 };
    assert_eq!(check("a large image", large, &[crop(), jitter([0.4, 0.0, 0.4, 0.1])], 12), 12);
}

#[test]
fn no_views_are_none() {
    let images = Tensor::zeros((1, 4, 4, 3), DType::U8, &card()).unwrap();
    assert_eq!(kernel::paint(&images, &[], [4, 4], DType::F32).unwrap().dims(), [0, 4, 4, 3]);
}

const VIEWS: &str = r#"
edition 1
experiment views {
  data = digits(labels=coarse)
  encoder = mlp()
  views = 2
  augment { AUGMENT }
  loss { class = cross_entropy() }
  train { optimizer = adamw(lr=1e-3); batch = 37; for = 1 epochs }
  eval { fine = linear(labels=fine) }
}
"#;

/// Asserts that the batches of a training whose views are made by `augment` are those of the CPU.
fn check_batches(augment: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("views.exp");
    std::fs::write(&file, VIEWS.replace("AUGMENT", augment)).unwrap();
    let library = Library::standard();
    let mut plan = plan(&library, file.to_str().unwrap(), folder.path(), "views");
    let stage = plan.stages.remove(0);
    let pool = Pool::load(&stage.data, &library, folder.path()).unwrap();
    assert!(pool.resident(&card()).unwrap().is_some());
    let transforms = Transforms::new(&stage, &library, true);
    let drawing = Order::new(&stage, &library, &pool, &[]).step(1);
    let made = |device: &Device| {
        let batch = transforms.batch(&pool, &drawing, device).unwrap();
        let plain = transforms.untouched(&pool, &drawing.items, device).unwrap();
        let drawn = transforms.augmented(&pool, &drawing.items, &Stream::new(5), device).unwrap();
        let all = [batch.images, batch.clean.unwrap(), plain, drawn];
        all.map(|images| {
            assert!(images.device().same_device(device));
            images.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        })
    };
    for (found, expected) in made(&card()).iter().zip(&made(&Device::Cpu)) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 5e-5, "{augment}: {found} {expected}");
        }
    }
}

#[test]
fn batches_are_those_of_the_cpu() {
    check_batches("crop = resized_crop(); flip = hflip(); jitter = color_jitter()");
    check_batches("flip = hflip(); crop = resized_crop(); norm = normalize()");
    // What the CPU makes: a blur, a smaller image, images that are mixed.
    check_batches("crop = resized_crop(); blur = gaussian_blur(); norm = normalize()");
    check_batches("small = resize(size=6); crop = resized_crop()");
    check_batches("norm = normalize(); mix = mixup()");
}
