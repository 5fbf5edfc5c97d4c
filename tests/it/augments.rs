//! Laws over the registry of augmentations.

use balance::catalog::{Bound, Entry, ImageShape, Interval, Picture, Port, Spec, Type, Value};
use balance::library::augment::{AUGMENTS, Augment, ChannelStats, Image};
use balance::library::build;
use balance::seed::Stream;
use rayon::prelude::*;

const SHAPES: [ImageShape; 4] = [
    ImageShape { height: 8, width: 8, channels: 1 },
    ImageShape { height: 28, width: 28, channels: 1 },
    ImageShape { height: 32, width: 32, channels: 3 },
    ImageShape { height: 5, width: 9, channels: 2 },
];

/// Arguments under which a transform must leave every image alone.
const IDENTITIES: &[(&str, &[(&str, Value)])] = &[
    (
        "resized_crop",
        &[
            ("scale", Value::Interval(Interval { low: 1.0, high: 1.0 })),
            ("ratio", Value::Interval(Interval { low: 1.0, high: 1.0 })),
        ],
    ),
    ("random_crop", &[("padding", Value::Int(0))]),
    ("hflip", &[("p", Value::Real(0.0))]),
    ("vflip", &[("p", Value::Real(0.0))]),
    ("rotation", &[("degrees", Value::Real(0.0))]),
    (
        "affine",
        &[
            ("degrees", Value::Real(0.0)),
            ("translate", Value::Real(0.0)),
            ("scale", Value::Interval(Interval { low: 1.0, high: 1.0 })),
        ],
    ),
    ("shift", &[("by", Value::Real(0.0))]),
    ("color_jitter", &[("p", Value::Real(0.0))]),
    (
        "color_jitter",
        &[
            ("brightness", Value::Real(0.0)),
            ("contrast", Value::Real(0.0)),
            ("saturation", Value::Real(0.0)),
            ("hue", Value::Real(0.0)),
        ],
    ),
    ("grayscale", &[("p", Value::Real(0.0))]),
    ("gaussian_blur", &[("p", Value::Real(0.0))]),
    ("solarize", &[("p", Value::Real(0.0))]),
    ("noise", &[("std", Value::Real(0.0))]),
    ("cutout", &[("size", Value::Real(0.0))]),
];

/// The transforms of single images.
fn of_images() -> impl Iterator<Item = &'static Entry<dyn Augment>> {
    AUGMENTS.iter().copied().filter(|entry| !entry.spec.needs.contains(&Port::Batch))
}

fn image(shape: ImageShape, stream: &mut Stream) -> Image {
    Image { shape, values: (0..shape.size()).map(|_| stream.uniform() as f32).collect() }
}

fn stats(channels: usize) -> ChannelStats {
    ChannelStats { mean: vec![0.5; channels], std: vec![0.25; channels] }
}

fn with(name: &str, args: &[(&str, Value)]) -> Box<dyn Augment> {
    let entry = AUGMENTS.iter().find(|it| it.spec.name == name).expect("a registered transform");
    let bound = defaults(&entry.spec);
    let bound = args.iter().fold(bound, |bound, (name, value)| bound.with(name, value.clone()));
    build(AUGMENTS, &bound)
}

/// The defaults, and four pixels where a size has none.
fn defaults(spec: &'static Spec) -> Bound {
    let bound = Bound::defaults(spec);
    if bound.value("size") == Some(&Value::None) {
        bound.with("size", Value::Int(4))
    } else {
        bound
    }
}

/// Every transform with its defaults, and with each real parameter at the ends of its range.
fn variants() -> Vec<(Bound, Box<dyn Augment>)> {
    let mut variants = Vec::new();
    for entry in AUGMENTS {
        let mut bounds = vec![defaults(&entry.spec)];
        for param in entry.spec.params {
            if let Type::Real { min, max, .. } = param.ty {
                for value in [min, max.min(40.0)] {
                    bounds.push(bounds[0].clone().with(param.name, Value::Real(value)));
                }
            }
        }
        variants.extend(bounds.into_iter().map(|bound| {
            let built = build(AUGMENTS, &bound);
            (bound, built)
        }));
    }
    variants
}

#[test]
fn the_same_stream_gives_the_same_pixels_in_range() {
    for (name, augment) in variants() {
        for shape in SHAPES {
            // What does not fit is refused before anything is transformed.
            let Ok(expected) = name.picture(Picture::of_data(shape)) else { continue };
            for seed in 0..20 {
                let before = image(shape, &mut Stream::new(seed));
                let [mut first, mut second] = [before.clone(), before.clone()];
                augment.apply(&mut first, &stats(shape.channels), Stream::new(seed));
                augment.apply(&mut second, &stats(shape.channels), Stream::new(seed));
                assert_eq!(first, second, "{name}");
                assert_eq!(first.shape, expected.shape, "{name}");
                assert_eq!(first.values.len(), first.shape.size(), "{name}");
                let fixed = !expected.is_unit;
                let inside = |x: &f32| (0.0..=1.0).contains(x) || (fixed && x.is_finite());
                assert!(first.values.iter().all(inside), "{name}: {:?}", first.values);
            }
        }
    }
}

#[test]
fn random_transforms_change_some_images_and_differ_by_stream() {
    let shape = SHAPES[2];
    let before = image(shape, &mut Stream::new(0));
    for entry in of_images() {
        let augment = build(AUGMENTS, &defaults(&entry.spec));
        let results: Vec<_> = (0..40)
            .map(|seed| {
                let mut after = before.clone();
                augment.apply(&mut after, &stats(3), Stream::new(seed));
                after
            })
            .collect();
        assert!(results.iter().any(|it| *it != before), "{}", entry.spec.name);
        let differ = results.iter().any(|it| *it != results[0]);
        assert_eq!(differ, !entry.spec.fixed, "{}", entry.spec.name);
    }
}

#[test]
fn zero_strength_is_the_identity() {
    for (name, args) in IDENTITIES {
        let augment = with(name, args);
        for seed in 0..20 {
            for shape in SHAPES.into_iter().filter(|it| it.height == it.width) {
                let before = image(shape, &mut Stream::new(seed));
                let mut after = before.clone();
                augment.apply(&mut after, &stats(shape.channels), Stream::new(seed + 1));
                assert_eq!(after, before, "{name}");
            }
        }
    }
    for entry in of_images() {
        let covered = IDENTITIES.iter().any(|(name, _)| *name == entry.spec.name);
        assert_eq!(covered, !entry.spec.fixed, "{} needs a case above", entry.spec.name);
    }
}

#[test]
fn the_thread_makes_no_difference() {
    let chain: Vec<_> =
        AUGMENTS.iter().map(|entry| build(AUGMENTS, &defaults(&entry.spec))).collect();
    let augmented = |item: u64| {
        let stream = Stream::new(5).at(item);
        let mut picture = image(SHAPES[2], &mut stream.named("image"));
        for (step, augment) in chain.iter().enumerate() {
            augment.apply(&mut picture, &stats(3), stream.at(step as u64));
        }
        picture
    };
    let alone: Vec<_> = (0..64).map(augmented).collect();
    let together: Vec<_> = (0..64u64).into_par_iter().map(augmented).collect();
    assert_eq!(alone, together);
}

#[test]
fn gray_images_have_no_colour_to_change() {
    for (name, args) in [
        ("grayscale", vec![("p", Value::Real(1.0))]),
        (
            "color_jitter",
            vec![
                ("p", Value::Real(1.0)),
                ("brightness", Value::Real(0.0)),
                ("contrast", Value::Real(0.0)),
            ],
        ),
    ] {
        let before = image(SHAPES[1], &mut Stream::new(3));
        let mut after = before.clone();
        with(name, &args).apply(&mut after, &stats(1), Stream::new(4));
        assert_eq!(after, before, "{name}");
    }
}

#[test]
fn a_gray_image_is_repeated_where_three_channels_are_wanted() {
    let before = image(SHAPES[0], &mut Stream::new(3));
    let mut after = before.clone();
    with("to_gray", &[("channels", Value::Int(3))]).apply(&mut after, &stats(1), Stream::new(0));
    assert_eq!(after.shape, ImageShape { channels: 3, ..before.shape });
    let pixels = after.values.chunks_exact(3).zip(&before.values);
    assert!(pixels.into_iter().all(|(pixel, value)| pixel == [*value; 3]));
}

#[test]
fn grayscale_leaves_three_equal_channels() {
    let mut picture = image(SHAPES[2], &mut Stream::new(3));
    let first = picture.values[..3].to_vec();
    with("grayscale", &[("p", Value::Real(1.0))]).apply(&mut picture, &stats(3), Stream::new(4));
    assert!(picture.values.chunks_exact(3).all(|it| it[0] == it[1] && it[1] == it[2]));
    let expected = 0.2989 * first[0] + 0.587 * first[1] + 0.114 * first[2];
    assert!((picture.values[0] - expected).abs() < 1e-6);
}

#[test]
fn probabilities_are_kept() {
    let shape = ImageShape { height: 1, width: 2, channels: 1 };
    let flip = with("hflip", &[("p", Value::Real(0.3))]);
    let flipped = (0..10_000u64).filter(|item| {
        let mut picture = Image { shape, values: vec![0.0, 1.0] };
        flip.apply(&mut picture, &stats(1), Stream::new(0).at(*item));
        picture.values[0] == 1.0
    });
    let share = flipped.count() as f64 / 10_000.0;
    assert!((share - 0.3).abs() < 0.02, "{share}");
}

#[test]
fn normalisation_uses_the_channel_statistics() {
    let shape = ImageShape { height: 1, width: 2, channels: 2 };
    let stats = ChannelStats { mean: vec![0.5, 0.1], std: vec![0.25, 0.0] };
    let mut picture = Image { shape, values: vec![1.0, 0.1, 0.25, 0.6] };
    with("normalize", &[]).apply(&mut picture, &stats, Stream::new(0));
    assert_eq!(picture.values, [2.0, 0.0, -1.0, 0.5]);
}

#[test]
fn a_hole_has_the_declared_size() {
    let shape = ImageShape { height: 20, width: 20, channels: 1 };
    let sizes: Vec<usize> = (0..500)
        .map(|seed| {
            let mut picture = Image { shape, values: vec![1.0; 400] };
            with("cutout", &[("size", Value::Real(0.2))]).apply(
                &mut picture,
                &stats(1),
                Stream::new(seed),
            );
            picture.values.iter().filter(|it| **it == 0.0).count()
        })
        .collect();
    assert_eq!(sizes.iter().max(), Some(&16));
    assert_eq!(sizes.iter().min(), Some(&4));
}
