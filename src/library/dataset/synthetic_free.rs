//! Members of classes that have nothing but a name: for embeddings that are free.

use std::path::Path;

use super::Dataset;
use crate::catalog::{Count, DataFault, DatasetFacts, ImageShape, Labels};
use crate::component;
use crate::data::{DataError, FINE, Images, Raw, Split};
use crate::digest::sha256;

/// More images than this fill the memory: each is as large as their number.
const MOST: usize = 16_384;

component! {
    /// Members of classes that have nothing but a name: for embeddings that are free.
    ///
    /// Member `j` of class `i` is a black image of `classes` × `members` pixels whose pixel `(i, j)`
    /// is white, so that no two images are alike and none is nearer than another. With the encoder
    /// `free` each has an embedding of its own, and training finds where a loss has its least value
    /// when no network stands in its way, which is what theory speaks of: `views = 2` without
    /// transforms are two equal views, and a batch of all images is all there are.
    ///
    /// The test images are the training images: there is nothing to generalise to. A coarse label
    /// stands above every two classes.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment points {
    ///   data = synthetic.free(classes=2, members=32)
    ///   encoder = free(dim=8)
    ///   views = 2
    ///   loss {
    ///     sup = 0.3 * supcon(temperature=0.5, pairs=cross, denominator=negatives)
    ///     cnce = 0.7 * class_infonce(temperature=0.5, pairs=cross)
    ///   }
    ///   train {
    ///     optimizer = adamw(lr=0.02, weight_decay=0)
    ///     schedule = cosine()
    ///     batch = 64
    ///     for = 500 steps
    ///   }
    ///   eval { foretold = theory() }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    synthetic.free => Free {
        /// How many classes there are.
        classes: Count = 4,
        /// How many members each has.
        members: Count = 64,
        /// The labels training sees: `fine`, `coarse`, or `group({"name" = [class, …]})`.
        labels: Labels = Labels::Column("fine".to_owned()),
    }
}

impl Free {
    fn count(&self) -> usize {
        self.classes.get().saturating_mul(self.members.get())
    }

    /// The digest of what it depends on.
    fn digest(&self) -> String {
        let address = format!("synthetic.free 1 {} {}", self.classes.get(), self.members.get());
        sha256(address.as_bytes())
    }
}

impl Dataset for Free {
    fn facts(&self, _root: &Path) -> DatasetFacts {
        let (classes, members) = (self.classes.get(), self.members.get());
        let names: Vec<String> = (0..classes.min(MOST)).map(|class| class.to_string()).collect();
        let above = names.iter().step_by(2).cloned().collect();
        let of = (0..names.len() as u32).map(|class| class / 2).collect();
        let fault = DataFault {
            param: "members",
            message: format!("{} free embeddings are more than fit", self.count()),
            label: format!("{members} of each of {classes} classes"),
            help: vec![format!("at most {MOST} in all: an image has a pixel for each")],
        };
        DatasetFacts {
            image: ImageShape { height: classes, width: members, channels: 1 },
            train: self.count(),
            test: Some(self.count()),
            counts: vec![members; names.len()],
            fine: names,
            coarse: (above, of),
            digest: self.digest(),
            faults: if self.count() > MOST { vec![fault] } else { Vec::new() },
            ..DatasetFacts::default()
        }
    }

    fn load(&self, _root: &Path) -> Result<Raw, DataError> {
        let (classes, members, count) = (self.classes.get(), self.members.get(), self.count());
        let mut pixels = vec![0; count * count];
        (0..count).for_each(|at| pixels[at * count + at] = u8::MAX);
        let fine = (0..count).map(|at| (at / members) as u32).collect();
        let labels = vec![(FINE.to_owned(), fine)];
        let images = Images { height: classes, width: members, channels: 1, pixels, labels };
        let splits = vec![(Split::Pool, images.clone()), (Split::Test, images)];
        Ok(Raw::of(splits, self.digest()))
    }
}
