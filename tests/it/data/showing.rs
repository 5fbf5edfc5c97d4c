//! Contact sheets and counts.

use std::path::Path;

use balance::data::{FINE, SheetOptions, Split, census, load, read, sheet};

use super::tiny;

fn decoded(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut values = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut values).unwrap();
    (info.width as usize, info.height as usize, values)
}

#[test]
fn a_sheet_has_a_row_for_each_class() {
    let raw = load("digits", Path::new("/nonexistent")).unwrap();
    let pool = raw.split(Split::Pool).unwrap();
    let (width, height, values) = decoded(&sheet(pool, FINE, SheetOptions::default()).unwrap());
    assert_eq!((width, height), (3 + 16 * 51, 3 + 10 * 51));
    assert!(values[..3 * width].iter().all(|&value| value == 255));
    let third = pool.fine().iter().enumerate().filter(|(_, id)| **id == 7).nth(2).unwrap().0;
    for (y, x) in [(0, 2), (4, 3), (7, 5)] {
        let at = (3 + 7 * 51 + 6 * y) * width + 3 + 2 * 51 + 6 * x;
        let pixel = pool.image(third)[8 * y + x];
        assert!(values[at..at + 6].iter().all(|&value| value == pixel));
        assert_eq!(values[at + 5 * width], pixel);
    }
}

#[test]
fn places_without_an_image_stay_blank() {
    let root = tiny::installed(tiny::cifar10(), "cifar10");
    let raw = read(tiny::cifar10(), root.path()).unwrap();
    let options = SheetOptions { columns: 2, scale: Some(1) };
    let train = raw.split(Split::Train).unwrap();
    let (width, height, values) = decoded(&sheet(train, FINE, options).unwrap());
    assert_eq!((width, height), (3 + 2 * 5, 3 + 10 * 5));
    let pixel = |y: usize, x: usize| &values[(y * width + x) * 3..][..3];
    assert_eq!(pixel(3, 3), &train.image(0)[..3]);
    assert_eq!(pixel(3 + 9 * 5 + 1, 4), &train.image(9)[9..]);
    assert_eq!(pixel(3, 8), [255; 3]);
}

#[test]
fn a_census_counts_classes_in_splits() {
    let root = tiny::installed(tiny::idx(), "idx");
    let counted = census(&read(tiny::idx(), root.path()).unwrap());
    assert_eq!(counted.splits, [(Split::Train, 6), (Split::Test, 3)]);
    let (column, classes) = &counted.columns[0];
    assert_eq!((column.as_str(), classes.len()), (FINE, 10));
    assert_eq!((classes[9].class, classes[9].images.as_slice()), ("9", [1, 0].as_slice()));
    let (column, classes) = &counted.columns[1];
    assert_eq!(column, "coarse");
    assert_eq!(classes[0].images, [3, 2]);
    assert_eq!(classes[1].images, [3, 1]);
}

#[test]
fn moments_are_those_of_the_definition() {
    let root = tiny::installed(tiny::cifar10(), "cifar10");
    let raw = read(tiny::cifar10(), root.path()).unwrap();
    let images = raw.split(Split::Train).unwrap();
    for (channel, (mean, std)) in images.moments().into_iter().enumerate() {
        let values: Vec<f64> = images.pixels.chunks(3).map(|p| f64::from(p[channel])).collect();
        let expected = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - expected).powi(2)).sum();
        assert!((mean - expected / 255.0).abs() < 1e-12);
        assert!((std - (squares / values.len() as f64).sqrt() / 255.0).abs() < 1e-12);
    }
}
