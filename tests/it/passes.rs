//! Views made in one pass are those of the transforms one after the other, to the last bit.

use balance::catalog::{Bound, ImageShape, Interval, Value};
use balance::graph::stage_stream;
use balance::library::augment::{AUGMENTS, Augment, ChannelStats, Image, Pass};
use balance::library::build;
use balance::plan::Stage;
use balance::run::{Order, Pool, Transforms};
use balance::seed::Stream;
use candle_core::Device;
use rayon::ThreadPoolBuilder;

use crate::lab::Lab;

const SHAPES: [(usize, usize, usize); 9] = [
    (32, 32, 3),
    (28, 28, 1),
    (5, 9, 3),
    (7, 4, 1),
    (33, 31, 3),
    (6, 5, 2),
    (1, 1, 3),
    (2, 1, 1),
    (9, 8, 5),
];

fn augment(name: &str, args: &[(&str, Value)]) -> Box<dyn Augment> {
    let entry = AUGMENTS.iter().find(|it| it.spec.name == name).unwrap();
    let bound = Bound::defaults(&entry.spec);
    let bound = args.iter().fold(bound, |bound, (name, value)| bound.with(name, value.clone()));
    build(AUGMENTS, &bound)
}

/// The transforms that one pass makes, those that it does not, and one that it makes of some
/// images alone.
fn transforms() -> Vec<Box<dyn Augment>> {
    let half = [("p", Value::Real(0.5))];
    let scale = [("scale", Value::Interval(Interval { low: 0.1, high: 1.0 }))];
    let smaller = [scale[0].clone(), ("size", Value::Int(6))];
    vec![
        augment("resized_crop", &scale),
        augment("hflip", &half),
        augment("color_jitter", &half),
        augment("grayscale", &half),
        augment("normalize", &[]),
        augment("solarize", &half),
        augment("vflip", &half),
        augment("resized_crop", &smaller),
    ]
}

/// What the images of a dataset are before they are transformed.
fn lightened(bytes: &[u8], shape: ImageShape) -> Image {
    let values = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
    Image { shape, values }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Bytes, with runs of one grey and of black and white in them.
fn bytes(shape: ImageShape, stream: &mut Stream) -> Vec<u8> {
    let kind = stream.below(4);
    let byte = |_| match kind {
        0 => (255 * stream.below(2)) as u8,
        1 => 60,
        _ => stream.below(256) as u8,
    };
    (0..shape.size()).map(byte).collect()
}

#[test]
fn every_order_of_transforms_is_that_of_one_after_the_other() {
    let all = transforms();
    let (mut whole, mut partly) = (0, 0);
    for (height, width, channels) in SHAPES {
        let shape = ImageShape { height, width, channels };
        let stats = ChannelStats {
            mean: (0..channels).map(|at| 0.3 + 0.1 * at as f32).collect(),
            std: (0..channels).map(|at| 0.2 + 0.05 * at as f32).collect(),
        };
        // One for all images: nothing of one may be left in the next.
        let mut pass = Pass::default();
        for seed in 0..600 {
            let mut stream = Stream::new(seed).at(shape.size() as u64);
            let bytes = bytes(shape, &mut stream);
            let length = 1 + stream.below(all.len());
            let steps: Vec<&dyn Augment> =
                (0..length).map(|_| &*all[stream.below(all.len())]).collect();
            let drawn = |at: usize| stream.at(at as u64);
            let mut expected = lightened(&bytes, shape);
            for (at, step) in steps.iter().enumerate() {
                step.apply(&mut expected, &stats, drawn(at));
            }
            pass.read(&bytes, shape);
            pass.begin();
            let taken = (0..length).take_while(|at| pass.takes(steps[*at], &stats, drawn(*at)));
            let taken = taken.count();
            let mut found = pass.image();
            for (at, step) in steps.iter().enumerate().skip(taken) {
                step.apply(&mut found, &stats, drawn(at));
            }
            assert_eq!(found.shape, expected.shape);
            assert_eq!(bits(&found.values), bits(&expected.values), "{shape:?} seed {seed}");
            if taken == length { whole += 1 } else { partly += 1 }
        }
    }
    assert!(whole > 1000 && partly > 1000, "{whole} {partly}");
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

/// The views of what is drawn for a step, one transform after the other.
fn plain(lab: &Lab, stage: &Stage, pool: &Pool, step: usize) -> Vec<u32> {
    let drawing = Order::new(stage, &lab.library, pool, &[]).step(step);
    let root = stage_stream(stage, "augment").at(drawing.epoch as u64);
    let mut values = Vec::new();
    for view in 0..stage.views as u64 {
        for item in &drawing.items {
            let mut image = lightened(&pool.image(*item).unwrap(), pool.shape);
            for named in &stage.augment {
                let augment = build(&lab.library.augments, &named.call);
                let stream = root.at(u64::from(*item)).at(view).named(&named.name);
                augment.apply(&mut image, &pool.stats, stream);
            }
            values.extend(bits(&image.values));
        }
    }
    values
}

#[test]
fn batches_are_the_same_at_any_number_of_threads() {
    for augment in [
        "crop = resized_crop(); flip = hflip(); jitter = color_jitter(); norm = normalize()",
        "flip = hflip(); crop = resized_crop(); blur = gaussian_blur(); norm = normalize()",
        "small = resize(size=6); crop = resized_crop(); mix = mixup()",
        "norm = normalize()",
    ] {
        let lab = Lab::new();
        let stage = lab.plan(&VIEWS.replace("AUGMENT", augment)).stages.remove(0);
        let pool = Pool::load(&stage.data, &lab.library, &lab.path("")).unwrap();
        let transforms = Transforms::new(&stage, &lab.library, false);
        for step in [0, 1, stage.steps_per_epoch - 1] {
            let made = |threads: usize| {
                let threads = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let drawing = Order::new(&stage, &lab.library, &pool, &[]).step(step);
                let batch = threads.install(|| transforms.batch(&pool, &drawing, &Device::Cpu));
                let images = batch.unwrap().images.flatten_all().unwrap();
                bits(&images.to_vec1::<f32>().unwrap())
            };
            let alone = made(1);
            assert_eq!(made(2), alone, "{augment}");
            assert_eq!(made(4), alone, "{augment}");
            if !augment.contains("mixup") {
                assert_eq!(alone, plain(&lab, &stage, &pool, step), "{augment}");
            }
        }
    }
}
