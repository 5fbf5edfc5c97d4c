//! Whether the subclasses of a class can be found again in its embeddings.

mod recovery;

use self::recovery::{Parts, Recovery};
use super::rows::Rows;
use super::{Column, EvalError, Evaluation, FeatureSource, Labelling, Score, Site, Split};
use crate::catalog::{self, Count, Labels, Misfit, Network, Place};
use crate::library::clustering::{Clustering, Inside, Method, Wanted, unfound};
use crate::measure::Points;
use crate::measure::subclasses::{Told, Tree};
use crate::seed::Stream;
use crate::{choice, component};

choice! {
    /// How many clusters there are in a class, where that is not said.
    Choose {
        /// As many as it has classes of `labels`.
        Labels = "labels",
        /// From 2 to 10 the number of best silhouettes.
        Silhouette = "silhouette",
    }
}

component! {
    /// Clusters the embeddings of each class, and compares the clusters with its subclasses.
    ///
    /// Inside each class of `within` the training images are clustered without their labels. Each
    /// cluster is then named after one subclass, a class of `labels`, and each subclass after one
    /// cluster at most, so that as many training images as can be are named rightly (Hungarian
    /// assignment); images of the other splits go to the cluster that is theirs, under the name it
    /// has. `accuracy` is the share of all images that are named rightly. `nmi`, `ami` and `ari`
    /// are the normalised and the adjusted mutual information and the adjusted Rand index of
    /// clusters and subclasses as scikit-learn defines them, averaged over classes. `rarest_f1` is
    /// the F1 score of the subclass with the fewest training images; where several are as rare, as
    /// in balanced data, their mean. For one class of `within` alone, name it: `inside="animal"`.
    ///
    /// A class with one subclass has nothing to find and is left out; where all have but one, the
    /// evaluation fails. A class with fewer images than `k` has as many clusters as images.
    /// Embeddings that are all equal make one cluster. A class without images in a split is left
    /// out of that split, and so is `rarest_f1` where no rarest subclass has any.
    ///
    /// With `choose=silhouette` the number of clusters is that of the largest mean of the
    /// clusters' mean silhouettes, of equal ones the larger, and with `overcluster` every cluster
    /// is then cut in five: a part stays a cluster if its mean silhouette is above 0 and above that
    /// of the whole, if it has 0.5 % of the class and 25 training images, and 25 validation images
    /// where there is such a split; the others go back (Sohoni et al., 2020, who ask for a larger
    /// loss as well). Silhouettes are those of 10,000 images where a class has more.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment recovery {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval {
    ///     known = subclasses(labels=fine, within=coarse)
    ///     found = subclasses(choose=silhouette, method=gmm)
    ///   }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding, Labels],
        metrics [accuracy, nmi, ami, ari, rarest_f1], network network;
    subclasses => Subclasses {
        /// The encoder to measure.
        on: catalog::Features = catalog::Features::Auto,
        /// The subclasses to find.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// The classes inside which to look.
        within: Labels = Labels::Column("coarse".to_owned()),
        /// The name of the only class to look inside; all of them without one.
        inside: Option<String> = None,
        /// What finds the clusters.
        method: Method = Method::KMeans,
        /// How many clusters each class has; without a number, as `choose` says.
        k: Option<Count> = None,
        /// How many clusters each class has, where `k` is not given.
        choose: Choose = Choose::Labels,
        /// Whether clusters are cut further where silhouettes grow.
        overcluster: bool = false,
        ..by: Clustering,
        /// Whether embeddings are first brought to length one.
        unit: bool = true,
    }
}

/// One round over the images; how many there are, the images decide.
fn network(_: &Subclasses, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).compared_with(place.classes))
}

impl Evaluation for Subclasses {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let splits: Vec<Parts> = Split::ALL
            .into_iter()
            .map(|split| self.parts(source, split))
            .collect::<Result<_, _>>()?;
        if splits[0].is_empty() {
            return Err(EvalError::Failed("there are no training images to cluster".into()));
        }
        let classes = self.looked_inside(&splits[0])?;
        let mut recovery = Recovery::default();
        for (at, class) in classes.iter().enumerate() {
            let share = |of: f64| (at as f64 + of) / classes.len() as f64;
            let told = &mut |done: f64| (site.progress)(share(0.9 * done));
            let found = self.cluster(&splits, *class, (&site.stream, told))?;
            site.done(share(0.9))?;
            recovery.add(&splits, *class, &found);
            site.done((at + 1) as f64 / classes.len() as f64)?;
        }
        Ok(recovery.scores())
    }
}

impl Subclasses {
    fn parts(&self, source: &mut dyn FeatureSource, split: Split) -> Result<Parts, EvalError> {
        let rows = Rows::of(source, split)?;
        let within = source.column(split, Column::Within)?;
        let within = within.unwrap_or_else(|| Labelling {
            labels: vec![0; rows.len()],
            names: vec!["all".to_owned()],
        });
        Ok(Parts { rows, within, is_unit: self.unit })
    }

    /// The classes that are made of several.
    fn looked_inside(&self, train: &Parts) -> Result<Vec<u32>, EvalError> {
        let names = &train.within.names;
        let named = match &self.inside {
            None => None,
            Some(name) => match names.iter().position(|it| it == name) {
                Some(at) => Some(at as u32),
                None => {
                    let message = format!("`within` has no class `{name}`: {}", names.join(", "));
                    return Err(EvalError::Failed(message));
                }
            },
        };
        let classes: Vec<u32> = (0..names.len() as u32)
            .filter(|class| named.is_none_or(|named| named == *class))
            .filter(|class| train.subclasses(*class).len() > 1)
            .collect();
        match classes.is_empty() {
            false => Ok(classes),
            true => Err(EvalError::Failed(
                "no class of `within` is made of several of `labels`: there is nothing to find"
                    .into(),
            )),
        }
    }

    /// The clusters of the training images of a class.
    fn cluster(
        &self,
        splits: &[Parts],
        class: u32,
        (stream, told): (&Stream, &mut Told),
    ) -> Result<Tree, EvalError> {
        let [train, val] = [0, 1].map(|at| splits[at].of_class(class));
        let dim = splits[0].rows.dim;
        let stream = stream.named("class").at(u64::from(class));
        let known = match self.k {
            Some(k) => Some(k.get()),
            None => (self.choose == Choose::Labels).then(|| splits[0].subclasses(class).len()),
        };
        let wanted = Wanted { method: self.method, k: known, overcluster: self.overcluster };
        let inside = Inside {
            train: Points::new(&train.values, dim),
            losses: None,
            val: (val.len() > 0).then(|| Points::new(&val.values, dim)),
        };
        let found = self.by.tree(&wanted, &inside, &stream, told);
        found.map_err(|why| unfound(why, &splits[0].within.names[class as usize]))
    }
}
