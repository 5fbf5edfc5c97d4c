//! Fashion-MNIST: grey images of clothes, shoes and bags, 28 × 28 (Xiao, Rasul, Vollgraf 2017).

use super::description::{Archive, Coarse, Content, Description, Layout, Source, WebFile};
use super::idx::mirror;
use super::images::Split;
use super::mnist::FILES;

/// Train images, train labels, test images, test labels, as published with gzip.
const ARCHIVES: [Archive; 4] = [
    Archive {
        size: 26_421_880,
        sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    },
    Archive {
        size: 29_515,
        sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    },
    Archive {
        size: 4_422_102,
        sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    },
    Archive {
        size: 5_148,
        sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
];

/// What is known of Fashion-MNIST.
pub(super) static FASHION_MNIST: Description = Description {
    name: "fashion_mnist",
    title: "Fashion-MNIST",
    height: 28,
    width: 28,
    channels: 1,
    classes: &[
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    coarse: Coarse {
        classes: &["top", "trouser_or_dress", "shoe_or_bag"],
        of: &[0, 1, 0, 1, 0, 2, 0, 2, 2, 2],
        origin: "no grouping is published; this one is by what is worn: on the upper body, from \
                 the waist or shoulders down, on the feet or in the hand",
    },
    splits: &[(Split::Train, 60_000), (Split::Test, 10_000)],
    layout: Layout::Idx,
    files: FILES,
    folders: &["raw", "FashionMNIST/raw"],
    contents: &[Content {
        name: "official",
        sha256: Some("c2d697b4fe4dcceeec725978edc79073f1667fca0f3d1155993c1180c6c6129b"),
        files: &[
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ],
    }],
    sources: &[
        mirror!(
            "mirror of the authors",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            ARCHIVES
        ),
        mirror!(
            "repository of the authors",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            ARCHIVES
        ),
        Source::Debian {
            package: "dataset-fashion-mnist",
            pinned: Some((
                "0.0~git20200523.55506a9-1",
                Archive {
                    size: 30_900_652,
                    sha256: "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
                },
            )),
        },
        Source::Debian { package: "dataset-fashion-mnist", pinned: None },
    ],
    mean: &[0.286_040_60],
    std: &[0.353_024_24],
    home: "https://github.com/zalandoresearch/fashion-mnist",
    licence: "MIT, Copyright © 2017 Zalando SE",
    citation: "H. Xiao, K. Rasul, R. Vollgraf (2017). Fashion-MNIST: a Novel Image Dataset for \
               Benchmarking Machine Learning Algorithms. arXiv:1708.07747",
};
