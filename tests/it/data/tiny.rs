//! Tiny datasets in the published formats, described as the real ones are. Their files were written
//! by `tests/data/images/make.py`, and so were the digests here.

use std::fs;
use std::path::{Path, PathBuf};

use balance::data::{Content, DataFile, Description, Source, Split, describe};

/// The folder of the tiny files of one dataset.
pub fn files(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images").join(name)
}

/// Copies a folder without folders in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// A data root in which the tiny files of `name` are installed as the dataset `description`.
pub fn installed(description: &Description, name: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    copy(&files(name), &root.path().join(description.name));
    root
}

fn leak(description: Description) -> &'static Description {
    Box::leak(Box::new(description))
}

pub fn idx() -> &'static Description {
    idx_from(&[])
}

pub fn idx_from(sources: &'static [Source]) -> &'static Description {
    const FILES: &[DataFile] = &[
        DataFile { name: "train-images-idx3-ubyte", split: Split::Train, size: 88 },
        DataFile { name: "train-labels-idx1-ubyte", split: Split::Train, size: 14 },
        DataFile { name: "t10k-images-idx3-ubyte", split: Split::Test, size: 52 },
        DataFile { name: "t10k-labels-idx1-ubyte", split: Split::Test, size: 11 },
    ];
    leak(Description {
        name: "tiny_idx",
        height: 3,
        width: 4,
        splits: &[(Split::Train, 6), (Split::Test, 3)],
        files: FILES,
        contents: &[Content {
            name: "official",
            sha256: Some("85ae295039adc51af969180c596bd1cafed6b5b3a469588e868c758dcc8c4448"),
            files: &["", "", "", ""],
        }],
        sources,
        ..*describe("mnist").unwrap()
    })
}

pub fn cifar10() -> &'static Description {
    const TRAIN: Split = Split::Train;
    leak(Description {
        name: "tiny_cifar10",
        height: 2,
        width: 2,
        splits: &[(TRAIN, 10), (Split::Test, 2)],
        files: &[
            DataFile { name: "data_batch_1.bin", split: TRAIN, size: 26 },
            DataFile { name: "data_batch_2.bin", split: TRAIN, size: 26 },
            DataFile { name: "data_batch_3.bin", split: TRAIN, size: 26 },
            DataFile { name: "data_batch_4.bin", split: TRAIN, size: 26 },
            DataFile { name: "data_batch_5.bin", split: TRAIN, size: 26 },
            DataFile { name: "test_batch.bin", split: Split::Test, size: 26 },
        ],
        contents: &[Content {
            name: "official",
            sha256: Some("6ac251d37a8b28bfde1e6caf061b74a49e90dd2d8b8da6d4413a5ddac899c50b"),
            files: &["", "", "", "", "", ""],
        }],
        sources: &[],
        ..*describe("cifar10").unwrap()
    })
}

pub const CIFAR100_FILES: &[&str] = &[
    "73d635ffe745bf35cf335708cfabe2703e8959a3fee547869e3705a19a871691",
    "58ad3efa0320bf50c0aa23cc46cb4091afb41798b4aa0278fec21e06686b4010",
];

/// Tiny CIFAR-100, pinned by the digests of its files alone.
pub fn cifar100() -> &'static Description {
    cifar100_from(&[])
}

pub fn cifar100_from(sources: &'static [Source]) -> &'static Description {
    leak(Description {
        name: "tiny_cifar100",
        height: 2,
        width: 2,
        splits: &[(Split::Train, 4), (Split::Test, 2)],
        files: &[
            DataFile { name: "train.bin", split: Split::Train, size: 56 },
            DataFile { name: "test.bin", split: Split::Test, size: 28 },
        ],
        contents: &[
            Content { name: "another", sha256: Some("0"), files: &["1", "2"] },
            Content { name: "by its files", sha256: None, files: CIFAR100_FILES },
        ],
        sources,
        ..*describe("cifar100").unwrap()
    })
}

/// The value that `make.py` gives a pixel.
pub fn value(seed: usize, image: usize, y: usize, x: usize, channel: usize) -> u8 {
    ((seed * 89 + image * 61 + y * 37 + x * 17 + channel * 101) % 256) as u8
}
