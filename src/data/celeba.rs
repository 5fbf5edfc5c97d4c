//! CelebA: faces of celebrities with forty attributes (Liu et al. 2015).

use super::description::{Coarse, DataFile, Description, Layout};
use super::images::Split;

/// What is known of CelebA. No content is pinned: a copy is told from others by its digest.
pub(super) static CELEBA: Description = Description {
    name: "celeba",
    title: "CelebA",
    height: 64,
    width: 64,
    channels: 3,
    classes: &[],
    coarse: Coarse { classes: &[], of: &[], origin: "one of the authors' attributes" },
    splits: &[(Split::Train, 162_770), (Split::Val, 19_867), (Split::Test, 19_962)],
    layout: Layout::Folder,
    files: &[DataFile { name: "list_attr_celeba.txt", split: Split::Pool, size: 0 }],
    folders: &["files", "celeba", "CelebA"],
    contents: &[],
    sources: &[],
    mean: &[],
    std: &[],
    home: "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    licence: "non-commercial research",
    citation: "Z. Liu, P. Luo, X. Wang, X. Tang (2015). Deep Learning Face Attributes in the Wild. ICCV",
};
