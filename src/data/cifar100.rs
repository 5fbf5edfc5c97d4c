//! CIFAR-100: colour images of a hundred kinds of things in twenty superclasses, 32 × 32
//! (Krizhevsky 2009).

use super::description::{
    Archive, Coarse, Content, DataFile, Description, Layout, Source, WebFile,
};
use super::images::Split;

/// What is known of CIFAR-100.
///
/// Two contents are accepted: the official one, and a copy with the same images in another order.
pub(super) static CIFAR100: Description = Description {
    name: "cifar100",
    title: "CIFAR-100",
    height: 32,
    width: 32,
    channels: 3,
    classes: FINE_CLASSES,
    coarse: Coarse {
        classes: COARSE_CLASSES,
        of: COARSE_OF,
        origin: "the authors' 20 superclasses",
    },
    splits: &[(Split::Train, 50_000), (Split::Test, 10_000)],
    layout: Layout::Cifar100,
    files: &[
        DataFile { name: "train.bin", split: Split::Train, size: 50_000 * 3_074 },
        DataFile { name: "test.bin", split: Split::Test, size: 10_000 * 3_074 },
    ],
    folders: &["cifar-100-binary"],
    contents: &[
        Content {
            name: "official",
            sha256: None,
            files: &[
                "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
                "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
            ],
        },
        Content {
            name: "shuffled copy",
            sha256: Some("dd9a9950a93fe5958b4cb3da74206a7ae5892ed940f42c3293f0240891d6a832"),
            files: &[
                "95d527452090f242abe82df285aea773510ae64b09bf40c391f8338385aeaa08",
                "2f8cb934cbf709d6ac666a49b4027eae5eec65631a36923d56993e05cd5bfbf0",
            ],
        },
    ],
    sources: &[Source::Web {
        title: "page of the authors",
        files: &[WebFile {
            url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            archive: Archive {
                size: 168_513_733,
                sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            },
        }],
    }],
    mean: &[0.507_075_16, 0.486_548_87, 0.440_917_84],
    std: &[0.267_334_29, 0.256_438_46, 0.276_150_47],
    home: "https://www.cs.toronto.edu/~kriz/cifar.html",
    licence: "none published; research use with citation",
    citation: "A. Krizhevsky (2009). Learning Multiple Layers of Features from Tiny Images. \
               Technical report, University of Toronto",
};

const COARSE_CLASSES: &[&str] = &[
    "aquatic_mammals",
    "fish",
    "flowers",
    "food_containers",
    "fruit_and_vegetables",
    "household_electrical_devices",
    "household_furniture",
    "insects",
    "large_carnivores",
    "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes",
    "large_omnivores_and_herbivores",
    "medium_mammals",
    "non-insect_invertebrates",
    "people",
    "reptiles",
    "small_mammals",
    "trees",
    "vehicles_1",
    "vehicles_2",
];

#[rustfmt::skip]
const COARSE_OF: &[u8] = &[
    4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11,
    6, 11, 5, 10, 7, 6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5,
    5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16, 4, 17, 4, 2, 0, 17, 4, 18, 17,
    10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16, 12, 9, 13, 15, 13,
    16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
];

#[rustfmt::skip]
const FINE_CLASSES: &[&str] = &[
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
    "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
    "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
    "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox",
    "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple", "motorcycle", "mountain", "mouse", "mushroom", "oak",
    "orange", "orchid", "otter", "palm", "pear", "pickup_truck", "pine", "plain", "plate",
    "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea",
    "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel",
    "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger",
    "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow", "wolf",
    "woman", "worm",
];
