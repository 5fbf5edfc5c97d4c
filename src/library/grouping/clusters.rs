//! Clusters of embeddings inside each class.

use std::collections::BTreeSet;

use super::{Found, Grouping, Images, Seen};
use crate::catalog::{Count, Features, Labels};
use crate::component;
use crate::library::clustering::{Clustering, Inside, MOST, Method, Wanted, unfound};
use crate::library::eval::{EvalError, Site};
use crate::measure::Points;
use crate::measure::sphere::inverse_norm;
use crate::measure::subclasses::PARTS;

component! {
    /// Groups inside each class: clusters of the embeddings of an earlier stage.
    ///
    /// The estimated groups of George (Sohoni et al., 2020, arXiv:2011.12945). Inside each class of
    /// `within` the training images are clustered by what `on` makes of them: the encoder of an
    /// earlier stage, its projector, or several encoders joined, `on=concat(a.encoder, b.encoder)`.
    /// Images of the validation split go to the cluster of their class that is theirs. No two classes
    /// share a group, and no group label is read. They are named after their class: `waterbird 1`,
    /// `waterbird 2`, ….
    ///
    /// Without `k` it is the number of clusters from 2 to 10 whose mean of the clusters' mean
    /// silhouettes is largest, of equal ones the larger, for each class its own. With `overcluster`
    /// every cluster is then cut in five: a part stays a group if its mean silhouette is above 0 and
    /// above that of the whole, if its mean cross-entropy is no smaller than that of the whole (where
    /// `on` is one stage with a classifier of these), if it has 0.5 % of the class and 25 training
    /// images, and 25 validation images where there is such a split; the others go back. A class with
    /// fewer images than `k` has as many clusters as images, and embeddings that are all equal make
    /// one. Silhouettes are those of 10,000 images where a class has more.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment george {
    ///   data = waterbirds(labels=bird, groups=[bird, background], size=32)
    ///   encoder = resnet(depth=8, width=16)
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 20 epochs }
    ///   stage first { loss { class = cross_entropy() } }
    ///   stage robust {
    ///     groups = clusters(on=first, overcluster=true)
    ///     loss { class = group_dro(adjustment=2) }
    ///     train { sampler = balanced(by=group); keep = best(val.class.worst_found_group_accuracy) }
    ///   }
    ///   eval { birds = classify(on=robust) }
    /// }
    /// ```
    Grouping as dyn Grouping, version 1, needs [Embedding, Labels], groups names;
    clusters => Clusters {
        /// The stages whose embeddings are clustered.
        on: Features,
        /// The classes inside which to look.
        within: Labels = Labels::Declared,
        /// What finds the clusters.
        method: Method = Method::Mixture,
        /// How many clusters each class has; without a number, as silhouettes say.
        k: Option<Count> = None,
        /// Whether clusters are cut further where silhouettes grow.
        overcluster: bool = false,
        ..by: Clustering,
        /// Whether embeddings are first brought to length one.
        unit: bool = false,
    }
}

impl Clusters {
    fn wanted(&self) -> Wanted {
        let (method, k) = (self.method, self.k.map(Count::get));
        Wanted { method, k, overcluster: self.overcluster }
    }

    /// The most groups that a class can have.
    fn most(&self) -> usize {
        self.k.map_or(MOST, Count::get) * if self.overcluster { PARTS } else { 1 }
    }
}

fn names(clusters: &Clusters, classes: &[String]) -> Vec<String> {
    let most = clusters.most();
    classes.iter().flat_map(|class| (1..=most).map(move |at| format!("{class} {at}"))).collect()
}

impl Grouping for Clusters {
    fn find(&self, seen: &Seen, site: &mut Site) -> Result<Found, EvalError> {
        let mut found =
            Found { train: vec![0; seen.train.labels.len()], val: vec![0; seen.val.labels.len()] };
        for (class, name) in seen.classes.iter().enumerate() {
            let [train, val] = [&seen.train, &seen.val].map(|it| Part::of(it, class, self.unit));
            let first = (class * self.most()) as u32;
            // What is validated of a class without training images is its first group.
            let mut labels = [vec![0; train.places.len()], vec![0; val.places.len()]];
            if !train.places.is_empty() {
                let stream = site.stream.named("class").at(class as u64);
                let losses = seen.train.losses(&train.places, seen.classes.len());
                let inside = Inside {
                    train: train.points(),
                    losses: losses.as_deref(),
                    val: (!val.places.is_empty()).then(|| val.points()),
                };
                let share = |of: f64| (class as f64 + of) / seen.classes.len() as f64;
                let told = &mut |done: f64| (site.progress)(share(done));
                let tree = self.by.tree(&self.wanted(), &inside, &stream, told);
                let tree = tree.map_err(|why| unfound(why, name))?;
                labels = [&train, &val].map(|it| tree.predict(it.points()));
            }
            number(&mut labels);
            for (at, label) in train.places.iter().zip(&labels[0]) {
                found.train[*at] = first + label;
            }
            for (at, label) in val.places.iter().zip(&labels[1]) {
                found.val[*at] = first + label;
            }
            site.done((class + 1) as f64 / seen.classes.len() as f64)?;
        }
        Ok(found)
    }
}

/// The images of a class.
struct Part {
    /// Their places in the split.
    places: Vec<usize>,
    values: Vec<f32>,
    dim: usize,
}

impl Part {
    fn of(images: &Images, class: usize, is_unit: bool) -> Self {
        let Images { embeddings, dim, labels, .. } = images;
        let places: Vec<usize> =
            (0..labels.len()).filter(|at| labels[*at] as usize == class).collect();
        let mut values: Vec<f32> =
            places.iter().flat_map(|at| &embeddings[at * dim..][..*dim]).copied().collect();
        for row in values.chunks_exact_mut(*dim).filter(|_| is_unit) {
            let scale = inverse_norm(row);
            row.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
        }
        Self { places, values, dim: *dim }
    }

    fn points(&self) -> Points<'_> {
        Points::new(&self.values, self.dim)
    }
}

impl Images {
    /// The cross-entropy of the images at `places`; none where no classifier was trained.
    fn losses(&self, places: &[usize], classes: usize) -> Option<Vec<f64>> {
        let all: Vec<f64> =
            self.scored(classes)?.map(|(row, label)| cross_entropy(row, label)).collect();
        Some(places.iter().map(|at| all[*at]).collect())
    }
}

fn cross_entropy(scores: &[f32], label: usize) -> f64 {
    let score = |at: usize| f64::from(scores[at]);
    let most = (0..scores.len()).map(score).fold(f64::NEG_INFINITY, f64::max);
    let all: f64 = (0..scores.len()).map(|at| (score(at) - most).exp()).sum();
    most + all.ln() - score(label)
}

/// Numbers what occurs anywhere without gaps, in its order.
fn number(labels: &mut [Vec<u32>; 2]) {
    let known: BTreeSet<u32> = labels.iter().flatten().copied().collect();
    let place = |label: &u32| known.iter().take_while(|it| *it < label).count() as u32;
    for labels in labels {
        labels.iter_mut().for_each(|label| *label = place(label));
    }
}
