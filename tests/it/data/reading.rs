//! Reading: what is right is read to the byte, and what is wrong is named and never a panic.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use balance::data::{
    COARSE, DataError, Description, FINE, Fault, Presence, Split, decode, load, presence, read,
    root_from, verify,
};
use expect_test::{Expect, expect};

use super::tiny;

/// The error of reading `description` below `root`, its folder written as `DATA`.
fn error(description: &'static Description, root: &Path) -> DataError {
    let error = read(description, root).unwrap_err();
    DataError { message: error.message.replace(&root.display().to_string(), "DATA"), ..error }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Tiny data with one file replaced, and the error of reading them.
fn damaged(
    (description, files): (&'static Description, &str),
    file: &str,
    change: impl Fn(&mut Vec<u8>),
) -> DataError {
    let root = tiny::installed(description, files);
    let path = root.path().join(description.name).join(file);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    let error = error(description, root.path());
    assert_eq!(error.kind, Fault::Damaged, "{error}");
    assert!(error.message.contains(file), "{error}");
    error
}

fn check_damaged(
    data: (&'static Description, &str),
    file: &str,
    change: impl Fn(&mut Vec<u8>),
    expected: Expect,
) {
    expected.assert_eq(&damaged(data, file, change).to_string());
}

#[test]
fn idx_files_are_read_raw_and_compressed() {
    let root = tiny::installed(tiny::idx(), "idx");
    let raw = read(tiny::idx(), root.path()).unwrap();
    assert_eq!(raw.content, "official");
    let train = raw.split(Split::Train).unwrap();
    assert_eq!((train.count(), train.height, train.width, train.channels), (6, 3, 4, 1));
    assert_eq!(train.column(FINE).unwrap(), [0, 3, 6, 9, 2, 5]);
    assert_eq!(train.column(COARSE).unwrap(), [0, 0, 1, 1, 0, 1]);
    let test = raw.split(Split::Test).unwrap();
    assert_eq!(test.fine(), [1, 4, 7]);
    for (image, y, x) in [(0, 0, 0), (2, 1, 3), (1, 2, 0)] {
        assert_eq!(test.image(image)[4 * y + x], tiny::value(1, image, y, x, 0));
    }
    assert!(raw.split(Split::Pool).is_none());
}

#[test]
fn names_with_a_dot_and_folders_below_are_found() {
    let description = tiny::idx();
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(description.name).join("raw");
    tiny::copy(&tiny::files("idx"), &folder);
    fs::rename(folder.join("train-images-idx3-ubyte"), folder.join("train-images.idx3-ubyte"))
        .unwrap();
    assert!(read(description, root.path()).is_ok());
    let folder = root.path().join(description.name);
    assert_eq!(presence(description, root.path()), Presence::Here(folder));
}

#[test]
fn cifar_records_become_images_with_channels_last() {
    let root = tiny::installed(tiny::cifar10(), "cifar10");
    let raw = read(tiny::cifar10(), root.path()).unwrap();
    let train = raw.split(Split::Train).unwrap();
    assert_eq!(train.fine(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(train.column(COARSE).unwrap(), [1, 1, 0, 0, 0, 0, 0, 0, 1, 1]);
    for (file, image, y, x, channel) in [(0, 0, 0, 0, 0), (3, 1, 1, 0, 2), (4, 0, 0, 1, 1)] {
        let values = train.image(2 * file + image);
        let expected = tiny::value(file, image, y, x, channel);
        assert_eq!(values[(2 * y + x) * 3 + channel], expected);
    }
}

#[test]
fn content_can_be_pinned_by_its_files_alone() {
    let root = tiny::installed(tiny::cifar100(), "cifar-100-binary");
    for _ in 0..2 {
        let raw = read(tiny::cifar100(), root.path()).unwrap();
        assert_eq!(raw.content, "by its files");
        let digest = "57d7b83d73854270da58499788386b629a283a1cb18c657f1ae4768e0b20df4a";
        assert_eq!(raw.sha256, digest);
    }
}

#[test]
fn missing_files_are_answered_with_the_command() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(presence(tiny::idx(), root.path()), Presence::Absent);
    let error = error(tiny::idx(), root.path());
    assert_eq!(error.kind, Fault::Missing);
    expect![[r#"
        the data of `tiny_idx` are not on this machine: no `train-images-idx3-ubyte` in `DATA/tiny_idx`
          help: `balance data fetch tiny_idx` fetches them; `BALANCE_DATA` names another folder of datasets"#]]
    .assert_eq(&error.to_string());
}

#[test]
fn unknown_names_are_answered_with_the_known() {
    expect![[r#"
        no dataset is called `minst`
          help: did you mean `mnist`?"#]]
    .assert_eq(&load("minst", Path::new("/")).unwrap_err().to_string());
}

#[test]
fn damage_is_told_with_file_and_offset() {
    let idx = (tiny::idx(), "idx");
    let images = "train-images-idx3-ubyte";
    check_damaged(
        idx,
        images,
        |bytes| bytes.truncate(50),
        expect![[r#"
        `DATA/tiny_idx/train-images-idx3-ubyte`: the file is truncated: expected 88 bytes, found 50
          help: fetch it again with `balance data fetch tiny_idx`"#]],
    );
    check_damaged(
        idx,
        images,
        |bytes| bytes.truncate(6),
        expect![[r#"
        `DATA/tiny_idx/train-images-idx3-ubyte`: the file is truncated: expected 16 bytes, found 6
          help: fetch it again with `balance data fetch tiny_idx`"#]],
    );
    check_damaged(
        idx,
        images,
        |bytes| bytes.push(0),
        expect![[r#"
        `DATA/tiny_idx/train-images-idx3-ubyte`: is too long: expected 88 bytes, found more
          help: fetch it again with `balance data fetch tiny_idx`"#]],
    );
    check_damaged(
        idx,
        images,
        |bytes| bytes[..9].copy_from_slice(b"<!DOCTYPE"),
        expect![[r#"
        `DATA/tiny_idx/train-images-idx3-ubyte`: expected the magic number 0x00000803 at byte 0, found 0x3c21444f
          help: fetch it again with `balance data fetch tiny_idx`"#]],
    );
    check_damaged(
        idx,
        images,
        |bytes| bytes[4] = 255,
        expect![[r#"
        `DATA/tiny_idx/train-images-idx3-ubyte`: expected the dimensions [6, 3, 4] at byte 4, found [4278190086, 3, 4]
          help: fetch it again with `balance data fetch tiny_idx`"#]],
    );
    check_damaged(
        idx,
        "train-labels-idx1-ubyte",
        |bytes| bytes[10] = 11,
        expect![[r#"
        `DATA/tiny_idx/train-labels-idx1-ubyte`: expected a class below 10 at byte 10, found 11
          help: fetch it again with `balance data fetch tiny_idx`"#]],
    );
    check_damaged(
        idx,
        "t10k-images-idx3-ubyte.gz",
        |bytes| bytes.truncate(40),
        expect![[r#"
        `DATA/tiny_idx/t10k-images-idx3-ubyte.gz`: the compressed data end too early: the file is truncated
          help: fetch it again with `balance data fetch tiny_idx`"#]],
    );
}

#[test]
fn damaged_records_are_told_with_file_and_offset() {
    let cifar10 = (tiny::cifar10(), "cifar10");
    check_damaged(
        cifar10,
        "test_batch.bin",
        |bytes| bytes[13] = 10,
        expect![[r#"
        `DATA/tiny_cifar10/test_batch.bin`: at byte 13: expected a class below 10, found 10
          help: fetch it again with `balance data fetch tiny_cifar10`"#]],
    );
    check_damaged(
        cifar10,
        "data_batch_3.bin",
        |bytes| bytes.truncate(25),
        expect![[r#"
        `DATA/tiny_cifar10/data_batch_3.bin`: the file is truncated: expected 26 bytes, found 25
          help: fetch it again with `balance data fetch tiny_cifar10`"#]],
    );
    let cifar100 = (tiny::cifar100(), "cifar-100-binary");
    check_damaged(
        cifar100,
        "train.bin",
        |bytes| bytes[14] = 3,
        expect![[r#"
        `DATA/tiny_cifar100/train.bin`: at byte 14: expected superclass 14 of class 2, found 3
          help: fetch it again with `balance data fetch tiny_cifar100`"#]],
    );
    check_damaged(
        cifar100,
        "test.bin",
        |bytes| bytes[9] ^= 1,
        expect![[r#"
        `DATA/tiny_cifar100/test.bin`: differs from what was published: expected SHA-256 58ad3efa0320bf50c0aa23cc46cb4091afb41798b4aa0278fec21e06686b4010, found e6aa5ac343bae3fbb1dc71020ad405ccc8c28e406a7a14d21b7fc615157c4404
          help: fetch it again with `balance data fetch tiny_cifar100`"#]],
    );
}

#[test]
fn no_prefix_and_no_flipped_byte_of_a_file_is_accepted() {
    for (description, files) in
        [(tiny::idx(), "idx"), (tiny::cifar10(), "cifar10"), (tiny::cifar100(), "cifar-100-binary")]
    {
        for entry in fs::read_dir(tiny::files(files)).unwrap() {
            let root = tiny::installed(description, files);
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = root.path().join(description.name).join(&name);
            for bytes in changed(&fs::read(&path).unwrap(), name.ends_with(".gz")) {
                fs::write(&path, &bytes).unwrap();
                let error = error(description, root.path());
                assert_eq!(error.kind, Fault::Damaged, "{name} {bytes:?}: {error}");
            }
        }
    }
}

/// Every prefix of `bytes`, and `bytes` with each byte changed.
fn changed(bytes: &[u8], zipped: bool) -> Vec<Vec<u8>> {
    // The header of gzip has bytes that say nothing about the content.
    let start = if zipped { 10 } else { 0 };
    let flipped = (start..bytes.len()).map(|at| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x15;
        bytes
    });
    (0..bytes.len()).map(|at| bytes[..at].to_vec()).chain(flipped).collect()
}

#[test]
fn compression_does_not_change_content() {
    let description = tiny::idx();
    let root = tiny::installed(description, "idx");
    let folder = root.path().join(description.name);
    for name in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"] {
        let bytes = fs::read(folder.join(name)).unwrap();
        fs::remove_file(folder.join(name)).unwrap();
        fs::write(folder.join(format!("{name}.gz")), gzip(&bytes)).unwrap();
    }
    assert!(read(description, root.path()).is_ok());
    let plain = tiny::installed(description, "idx");
    let plain = decode(description, &plain.path().join(description.name)).unwrap();
    assert_eq!(decode(description, &folder).unwrap(), plain);
}

#[test]
fn the_stamp_stands_for_files_that_did_not_change_only() {
    let description = tiny::idx();
    let root = tiny::installed(description, "idx");
    let path = root.path().join(description.name).join("train-images-idx3-ubyte");
    let before = read(description, root.path()).unwrap();
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(time).unwrap();
    // Nothing that the stamp looks at has changed, so only `verify` sees it.
    assert_eq!(read(description, root.path()).unwrap().sha256, before.sha256);
    assert_eq!(verify(description, root.path()).unwrap_err().kind, Fault::Damaged);
    file.set_modified(time + std::time::Duration::from_secs(1)).unwrap();
    assert_eq!(read(description, root.path()).unwrap_err().kind, Fault::Damaged);
}

#[test]
fn the_root_follows_the_environment() {
    let root = |variables: &[(&str, &str)]| {
        root_from(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        })
    };
    let home = ("HOME", "/home/ada");
    assert_eq!(root(&[home]), Path::new("/home/ada/.local/share/balance/data"));
    assert_eq!(root(&[home, ("XDG_DATA_HOME", "/big")]), Path::new("/big/balance/data"));
    let relative = root(&[home, ("XDG_DATA_HOME", "big")]);
    assert_eq!(relative, Path::new("/home/ada/.local/share/balance/data"));
    assert_eq!(root(&[home, ("BALANCE_DATA", "here")]), Path::new("here"));
}
