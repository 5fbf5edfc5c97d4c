//! Images in files of their own: decoding, scaling, tables, folders, published layouts, the cache.

use std::fs;
use std::path::{Path, PathBuf};

use balance::data::folder::{
    Color, Listing, Photo, Row, Shape, Sizes, celeba, image_folder, isic, look, npz, open,
    published, tiny_imagenet, waterbirds,
};
use balance::data::{Fault, Progress, Split, describe, fetch};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/folders").join(name)
}

fn decoded(name: &str, color: Color) -> Photo {
    Photo::decode(&fs::read(file(name)).unwrap(), color).unwrap()
}

/// The largest difference of two images of one shape.
fn difference(a: &Photo, b: &Photo) -> u8 {
    assert_eq!((a.height, a.width, a.channels), (b.height, b.width, b.channels));
    a.pixels.iter().zip(&b.pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// Puts copies of a file at `paths` below a new folder.
fn tree(paths: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in paths {
        put(folder.path(), path, &fs::read(file("rgb.jpg")).unwrap());
    }
    folder
}

fn put(folder: &Path, path: &str, bytes: &[u8]) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn jpegs_are_what_pillow_decodes() {
    for name in ["rgb", "progressive", "grey"] {
        let own = decoded(&format!("{name}.jpg"), Color::Rgb);
        let pillow = decoded(&format!("{name}.expected.png"), Color::Rgb);
        // Decoders may round differently; chroma is scaled up by different filters.
        let worst = difference(&own, &pillow);
        assert!(worst <= 4, "{name}: {worst}");
    }
}

#[test]
fn every_kind_of_png_becomes_eight_bits() {
    let colors = decoded("rgb.png", Color::Rgb);
    assert_eq!(difference(&decoded("alpha.png", Color::Rgb), &colors), 0);
    assert_eq!(decoded("palette.png", Color::Rgb).channels, 3);
    let luma = decoded("luma.expected.png", Color::Grey);
    assert_eq!(difference(&decoded("rgb.png", Color::Grey), &luma), 0);
    assert_eq!(difference(&decoded("deep.png", Color::Grey), &luma), 0);
    assert_eq!(decoded("deep.png", Color::Rgb).channels, 3);
}

#[test]
fn what_cannot_be_decoded_says_why() {
    let why = |bytes: &[u8]| Photo::decode(bytes, Color::Rgb).unwrap_err();
    assert!(why(&fs::read(file("cmyk.jpg")).unwrap()).contains("CMYK"));
    assert!(why(&fs::read(file("broken.jpg")).unwrap()).contains("damaged"));
    assert!(why(b"").contains("empty"));
    assert!(why(b"GIF89a").contains("neither"));
    let png = fs::read(file("rgb.png")).unwrap();
    for length in [9, 40, png.len() / 2, png.len() - 13] {
        assert!(why(&png[..length]).contains("damaged"), "{length}");
    }
}

#[test]
fn no_prefix_of_a_jpeg_is_accepted() {
    let bytes = fs::read(file("rgb.jpg")).unwrap();
    for length in 0..bytes.len() - 2 {
        assert!(Photo::decode(&bytes[..length], Color::Rgb).is_err(), "{length}");
    }
}

#[test]
fn scaling_is_torchvisions() {
    for side in [24, 64] {
        let own = decoded("rgb.png", Color::Rgb).fit(side);
        let expected = decoded(&format!("fit_{side}.expected.png"), Color::Rgb);
        let worst = difference(&own, &expected);
        assert!(worst <= 1, "{side}: {worst}");
    }
}

#[test]
fn folders_are_classes_and_splits() {
    let folder = tree(&["a/1.jpg", "a/2.JPG", "b/1.jpg", ".hidden/1.jpg"]);
    let listing = image_folder(folder.path()).unwrap();
    assert_eq!(listing.classes, ["a", "b"]);
    assert_eq!(listing.count(Split::Pool), 3);
    let folder = tree(&["train/x/a/1.jpg", "train/y/b/1.jpg", "val/y/b/2.jpg", "test/x/a/3.jpg"]);
    let listing = image_folder(folder.path()).unwrap();
    let counts = [Split::Train, Split::Val, Split::Test].map(|split| listing.count(split));
    assert_eq!(counts, [2, 1, 1]);
    assert_eq!(listing.column("fine").unwrap().classes, ["a", "b"]);
    assert_eq!(listing.column("coarse").unwrap().classes, ["x", "y"]);
    let uneven = image_folder(tree(&["a/1.jpg", "b/c/1.jpg"]).path()).unwrap_err();
    assert!(uneven.message.contains("different depths"), "{uneven:?}");
    let flat = image_folder(tree(&["1.jpg"]).path()).unwrap_err();
    assert_eq!(flat.message, "`1.jpg` is in no class");
    let empty = image_folder(tree(&[]).path()).unwrap_err();
    assert_eq!(empty.message, "there are no images");
}

#[test]
fn arrays_are_read_plain_and_compressed() {
    let plain = npz(&file("plain.npz"), "images", "labels", Some("groups")).unwrap();
    assert_eq!(plain.shape, Shape { height: 5, width: 4, channels: 1 });
    assert_eq!(plain.rows[7], (Split::Pool, 1, Some(1)));
    let parts = npz(&file("parts.npz"), "x", "y", None).unwrap();
    assert_eq!(parts.pixels, plain.pixels);
    assert_eq!(parts.rows.iter().filter(|row| row.0 == Split::Test).count(), 3);
    let floats = npz(&file("floats.npz"), "images", "labels", None).unwrap_err();
    assert_eq!(floats.message, "images are numbers of 0 to 255");
    let absent = npz(&file("plain.npz"), "images", "label", None).unwrap_err();
    assert_eq!(absent.param, "labels");
    let refused = |name: &str| npz(&file(name), "images", "labels", None).unwrap_err();
    assert_eq!(refused("empty.npz").message, "the file has no images");
    assert_eq!(refused("thin.npz").message, "images have a pixel at least");
    assert_eq!(refused("columns.npz").label, "its columns lie one after the other");
    assert_eq!(refused("objects.npz").label, "it holds objects of Python");
    let bytes = fs::read(file("plain.npz")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for length in [0, 100, bytes.len() - 1] {
        put(folder.path(), "cut.npz", &bytes[..length]);
        assert!(npz(&folder.path().join("cut.npz"), "images", "labels", None).is_err());
    }
}

/// A Waterbirds of four images.
fn small_waterbirds() -> tempfile::TempDir {
    let rows = [
        ("001.Black_footed_Albatross/1.jpg", 1, 0, 1),
        ("017.Cardinal/1.jpg", 0, 0, 0),
        ("017.Cardinal/2.jpg", 0, 1, 1),
        ("001.Black_footed_Albatross/2.jpg", 1, 2, 0),
    ];
    let folder = tree(&rows.map(|(path, ..)| path));
    let mut text = "img_id,img_filename,y,split,place,place_filename\n".to_owned();
    for (at, (path, y, split, place)) in rows.iter().enumerate() {
        text += &format!("{at},{path},{y},{split},{place},/x.jpg\n");
    }
    put(folder.path(), "metadata.csv", text.as_bytes());
    folder
}

#[test]
fn waterbirds_has_species_birds_and_backgrounds() {
    let folder = small_waterbirds();
    let known = describe("waterbirds").unwrap();
    let listing = published::listing(known, folder.path()).unwrap();
    assert_eq!(listing.classes.len(), 400);
    let of = |name: &str| {
        let column = listing.column(name).unwrap();
        let word = |class: u32| column.classes[column.of[class as usize] as usize].clone();
        listing.items.iter().map(|item| word(item.class)).collect::<Vec<_>>()
    };
    assert_eq!(of("bird"), ["waterbird", "landbird", "landbird", "waterbird"]);
    assert_eq!(of("background"), ["water", "land", "water", "land"]);
    assert_eq!(of("fine")[1], "Cardinal");
    let counts = [Split::Train, Split::Val, Split::Test].map(|split| listing.count(split));
    assert_eq!(counts, [2, 1, 1]);
    let wrong = fs::read_to_string(folder.path().join("metadata.csv")).unwrap();
    put(folder.path(), "metadata.csv", wrong.replace(",0,1,1,", ",1,1,1,").as_bytes());
    let error = waterbirds(folder.path(), known.classes, known.coarse.of).unwrap_err();
    assert!(error.message.contains("line 4"), "{error:?}");
}

#[test]
fn a_copy_of_waterbirds_is_installed_and_read() {
    let (folder, root) = (small_waterbirds(), tempfile::tempdir().unwrap());
    let known = describe("waterbirds").unwrap();
    let mut quiet = |_: Progress| {};
    let none = fetch(known, root.path(), None, &mut quiet).unwrap_err();
    assert_eq!(none.kind, Fault::Unreachable);
    assert!(none.message.contains("no source"), "{none}");
    assert!(none.help.unwrap().contains("--from"));
    let fetched = fetch(known, root.path(), Some(folder.path()), &mut quiet).unwrap();
    assert_eq!(fetched.content, published::UNPINNED);
    let (listing, opened) = published::opened(known, root.path()).unwrap();
    assert_eq!(opened.sha256, fetched.sha256);
    assert_eq!((opened.shape.height, opened.shape.width), (64, 64));
    assert_eq!(opened.split(Split::Train).unwrap(), [0, 1]);
    assert_eq!(listing.items.len(), 4);
    // The user's own copy stays.
    assert!(folder.path().join("metadata.csv").is_file());
}

#[test]
fn celeba_is_read_from_its_lists() {
    let folder = tree(&["img_align_celeba/000001.jpg", "img_align_celeba/000002.jpg"]);
    let attributes = "2\nBlond_Hair Male Smiling\n000001.jpg  1 -1  1\n000002.jpg -1  1 -1\n";
    put(folder.path(), "list_attr_celeba.txt", attributes.as_bytes());
    put(folder.path(), "list_eval_partition.txt", b"000001.jpg 0\n000002.jpg 2\n");
    let listing = celeba(folder.path(), "Blond_Hair", "Male").unwrap();
    assert_eq!(listing.column("Blond_Hair").unwrap().classes, ["Blond_Hair", "not Blond_Hair"]);
    assert_eq!(listing.classes, ["Blond_Hair × not Male", "not Blond_Hair × Male"]);
    assert_eq!((listing.count(Split::Train), listing.count(Split::Test)), (1, 1));
    let error = celeba(folder.path(), "Blond_Hair", "Mael").unwrap_err();
    assert_eq!((error.param, error.label.as_str()), ("hidden", "did you mean `Male`?"));
    put(folder.path(), "list_eval_partition.txt", b"000001.jpg 0\n");
    assert!(celeba(folder.path(), "Blond_Hair", "Male").is_err());
    put(folder.path(), "list_eval_partition.txt", b"000001.jpg 7\n");
    assert!(celeba(folder.path(), "Blond_Hair", "Male").is_err());
}

#[test]
fn isic_leaves_out_what_is_unknown() {
    let folder = tree(&["images/ISIC_1.jpg", "images/ISIC_2.jpg", "images/ISIC_3.jpg"]);
    let table = "isic_id,benign_malignant,patch\nISIC_1,benign,1\nISIC_2,malignant,0\nISIC_3,benign,0\nISIC_4,,0\n";
    put(folder.path(), "metadata.csv", table.as_bytes());
    let listing = isic(folder.path()).unwrap();
    let groups = ["benign × no patch", "benign × patch", "malignant × no patch"];
    assert_eq!(listing.classes, groups);
    assert_eq!(listing.count(Split::Pool), 3);
    put(folder.path(), "metadata.csv", table.replace("benign,1", "benign,2").as_bytes());
    assert!(isic(folder.path()).unwrap_err().label.contains("line 2"));
}

#[test]
fn tiny_imagenet_tests_on_the_published_validation_images() {
    let folder = tree(&[
        "train/n01443537/images/n01443537_0.JPEG",
        "train/n12267677/images/n12267677_0.JPEG",
        "val/images/val_0.JPEG",
    ]);
    put(folder.path(), "val/val_annotations.txt", b"val_0.JPEG\tn12267677\t0\t0\t62\t62\n");
    let known = describe("tiny_imagenet").unwrap();
    let listing = tiny_imagenet(folder.path(), known).unwrap();
    assert_eq!((listing.count(Split::Train), listing.count(Split::Test)), (2, 1));
    assert_eq!(listing.items.last().unwrap().class, 199);
    let coarse = listing.column("coarse").unwrap();
    assert_eq!(coarse.classes.len(), 52);
    let largest = coarse.of.iter().filter(|id| coarse.classes[**id as usize] == "58").count();
    assert_eq!(largest, 15);
    let (first, last) = (coarse.of[0] as usize, coarse.of[199] as usize);
    assert_eq!((coarse.classes[first].as_str(), coarse.classes[last].as_str()), ("14", "27"));
    put(folder.path(), "val/val_annotations.txt", b"val_0.JPEG\tn00000000\n");
    assert!(tiny_imagenet(folder.path(), known).is_err());
}

fn listed(folder: &Path, count: usize) -> Listing {
    let row = |at: usize| Row {
        path: format!("{}.jpg", at % 4),
        split: Split::Pool,
        labels: vec![(at % 2).to_string()],
    };
    Listing::of_rows(folder.into(), &["fine"], (0..count).map(row).collect())
}

#[test]
fn looks_are_kept_until_a_file_changes() {
    let folder = tree(&["0.jpg", "1.jpg", "2.jpg", "3.jpg"]);
    let cache = tempfile::tempdir().unwrap();
    let listing = listed(folder.path(), 4);
    let first = look(&listing, true, cache.path()).unwrap();
    assert_eq!(first.sizes, Sizes::One(40, 56));
    assert_eq!(look(&listing, true, cache.path()).unwrap(), first);
    put(folder.path(), "2.jpg", &fs::read(file("grey.jpg")).unwrap());
    let second = look(&listing, true, cache.path()).unwrap();
    assert_ne!(second.digest, first.digest);
    put(folder.path(), "2.jpg", &fs::read(file("broken.jpg")).unwrap());
    let third = look(&listing, true, cache.path()).unwrap();
    assert_eq!(third.corrupt.len(), 1);
    assert_eq!(third.corrupt[0].0, "2.jpg");
}

#[test]
fn a_large_listing_is_read_from_disk_and_is_the_same() {
    let folder = tree(&["0.jpg", "1.jpg", "2.jpg"]);
    put(folder.path(), "3.jpg", &fs::read(file("grey.jpg")).unwrap());
    let cache = tempfile::tempdir().unwrap();
    let shape = Shape { height: 40, width: 40, channels: 3 };
    let opened = |count: usize| {
        let listing = listed(folder.path(), count);
        open(&listing, (shape, Some(40), Color::Rgb), &"ab".repeat(32), cache.path()).unwrap()
    };
    let (few, many) = (opened(4), opened(2000));
    let kept: Vec<_> = fs::read_dir(cache.path().join("pixels")).unwrap().flatten().collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].metadata().unwrap().len(), 2000 * 4800);
    for at in [0, 3, 1999] {
        let image = many.pixels.image(at, shape.size()).unwrap();
        assert_eq!(image, few.pixels.image(at % 4, shape.size()).unwrap(), "{at}");
    }
}

#[test]
fn corrupt_images_are_named_and_counted() {
    let folder = tree(&["0.jpg", "1.jpg"]);
    put(folder.path(), "2.jpg", b"\xff\xd8 no picture");
    put(folder.path(), "3.jpg", &fs::read(file("broken.jpg")).unwrap());
    let cache = tempfile::tempdir().unwrap();
    let shape = Shape { height: 16, width: 16, channels: 3 };
    let listing = listed(folder.path(), 4);
    let how = (shape, Some(16), Color::Rgb);
    let error = open(&listing, how, &"cd".repeat(32), cache.path()).unwrap_err();
    assert!(error.message.contains("2 of 4 images"), "{error}");
    assert!(error.message.contains("`2.jpg`") && error.message.contains("`3.jpg`"), "{error}");
}
