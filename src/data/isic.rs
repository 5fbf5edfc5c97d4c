//! ISIC: photographs of skin lesions, benign and malignant, some with a coloured patch beside them.

use super::description::{Coarse, DataFile, Description, Layout};

/// What is known of ISIC. No content is pinned: a copy is told from others by its digest.
pub(super) static ISIC: Description = Description {
    name: "isic",
    title: "ISIC",
    height: 64,
    width: 64,
    channels: 3,
    classes: &[],
    coarse: Coarse { classes: &[], of: &[], origin: "the archive's `benign_malignant`" },
    splits: &[],
    layout: Layout::Folder,
    files: &[DataFile { name: "metadata.csv", split: super::Split::Pool, size: 0 }],
    folders: &["files", "isic", "ISIC"],
    contents: &[],
    sources: &[],
    mean: &[],
    std: &[],
    home: "https://www.isic-archive.com",
    licence: "CC BY-NC 4.0 or CC-0, image by image",
    citation: "N. Codella et al. (2019). Skin Lesion Analysis Toward Melanoma Detection 2018. \
               arXiv:1902.03368",
};
