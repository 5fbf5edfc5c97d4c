//! Clusters inside one class, when nobody says how many: by silhouettes, and split further.

use std::ops::ControlFlow;

use super::kmeans::{Clusters, KMeans};
use super::mixture::{Covariance, Fit, Mixture};
use super::points::Points;
use super::silhouette::{mean_of_clusters, means, silhouettes};
use crate::seed::Stream;

/// Silhouettes are those of so many points, drawn where there are more: their cost is quadratic.
pub const LOOKED_AT: usize = 10_000;

/// How clusters are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// The covariance of a Gaussian mixture's components; k-means without one.
    pub mixture: Option<Fit>,
    /// How often each is begun anew.
    pub starts: usize,
}

/// Clusters, and which points belong to each.
#[derive(Debug, Clone)]
pub enum Found {
    /// Those of k-means.
    Clusters(Clusters),
    /// The components of a mixture.
    Mixture(Mixture),
}

impl Found {
    /// The cluster of each of `points`.
    pub fn predict(&self, points: Points) -> Vec<u32> {
        match self {
            Self::Clusters(clusters) => clusters.predict(points),
            Self::Mixture(mixture) => mixture.predict(points),
        }
    }
}

/// Why clusters were not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfound {
    /// The covariance of a mixture's component cannot be inverted.
    IllDefined,
    /// The search was asked to stop.
    Stopped,
}

/// Called with the share of a search that is done; may ask to stop.
pub type Told<'a> = dyn FnMut(f64) -> ControlFlow<()> + 'a;

impl Search {
    /// By k-means, or by a mixture that begins with its clusters.
    pub fn new(covariance: Option<Covariance>, starts: usize) -> Self {
        Self { mixture: covariance.map(Fit::new), starts }
    }

    /// `k` clusters of `points`, or as many as there are points.
    ///
    /// # Errors
    /// When the covariance of a mixture's component cannot be inverted.
    pub fn fit(&self, points: Points, k: usize, stream: &Stream) -> Result<Found, Unfound> {
        let Some(fit) = self.mixture else {
            return Ok(Found::Clusters(KMeans::new(k, self.starts).fit(points, stream)));
        };
        let mut best: Option<(f64, Mixture)> = None;
        for start in 0..self.starts.max(1) {
            let clusters = KMeans::new(k, 1).fit(points, &stream.at(start as u64));
            let mixture =
                fit.from(points, &clusters.labels, clusters.count()).ok_or(Unfound::IllDefined)?;
            let likelihood = mixture.log_likelihood(points);
            if best.as_ref().is_none_or(|(known, _)| likelihood > *known) {
                best = Some((likelihood, mixture));
            }
        }
        best.map(|(_, mixture)| Found::Mixture(mixture)).ok_or(Unfound::IllDefined)
    }

    /// The number of clusters from 2 to `most` whose mean of the clusters' mean silhouettes is
    /// largest, of equal ones the larger, with the clusters (Sohoni et al., 2020).
    ///
    /// # Errors
    /// When the covariance of a mixture's component cannot be inverted, or `told` asks to stop.
    pub fn choose(
        &self,
        points: Points,
        most: usize,
        stream: &Stream,
        told: &mut Told,
    ) -> Result<Found, Unfound> {
        let most = most.min(points.len().saturating_sub(1)).max(2);
        let mut found = Vec::new();
        for k in 2..=most {
            found.push(self.fit(points, k, &stream.named("k").at(k as u64))?);
            if told((k - 1) as f64 / most as f64).is_break() {
                return Err(Unfound::Stopped);
            }
        }
        let looked_at = drawn(points, &stream.named("silhouettes"));
        let looked_at = Points::new(&looked_at, points.dim);
        let labellings: Vec<Vec<u32>> = found.iter().map(|it| it.predict(looked_at)).collect();
        let values = silhouettes(looked_at, &labellings);
        let score = |(values, labels): (&Vec<f64>, &Vec<u32>)| mean_of_clusters(values, labels);
        let scores: Vec<f64> = values.iter().zip(&labellings).map(score).collect();
        let best = (1..scores.len()).fold(0, |best, it| match scores[it] >= scores[best] {
            true => it,
            false => best,
        });
        Ok(found.into_iter().nth(best).expect("at least two clusters were tried"))
    }
}

/// Clusters, some of which are cut in parts.
#[derive(Debug, Clone)]
pub struct Tree {
    found: Found,
    /// For each cluster that is cut, its parts and the cluster that each of them is in the end.
    cuts: Vec<Option<(Clusters, Vec<u32>)>>,
}

impl Tree {
    /// Clusters that are not cut.
    pub fn whole(found: Found) -> Self {
        Self { found, cuts: Vec::new() }
    }

    /// The cluster of each of `points`.
    pub fn predict(&self, points: Points) -> Vec<u32> {
        let mut labels = self.found.predict(points);
        for (cluster, cut) in self.cuts.iter().enumerate() {
            let Some((parts, names)) = cut else { continue };
            let members = of_cluster(&labels, cluster as u32);
            let inside = gathered(points, &members);
            let found = parts.predict(Points::new(&inside, points.dim));
            // Names of parts lie above those of all clusters, so none is cut twice.
            members.iter().zip(found).for_each(|(at, part)| labels[*at] = names[part as usize]);
        }
        labels
    }
}

/// Parts that a cluster is cut in.
pub const PARTS: usize = 5;

/// Images that a part must have, in training and in validation.
const LEAST: usize = 25;

impl Search {
    /// The same clusters, each cut in five: parts with a mean silhouette above 0 and above that of
    /// the whole cluster stay, if they have 0.5 % of the points and 25, and 25 of `val` where that
    /// is given, and, where the points come with losses, a mean loss no smaller than that of the
    /// whole cluster; the others go back to the cluster.
    pub fn cut(
        &self,
        (points, losses): (Points, Option<&[f64]>),
        val: Option<Points>,
        found: Found,
        stream: &Stream,
    ) -> Tree {
        let labels = found.predict(points);
        let count = labels.iter().max().map_or(0, |most| *most + 1);
        let cut = |cluster: u32| {
            let members = of_cluster(&labels, cluster);
            let inside = gathered(points, &members);
            let first = count + cluster * PARTS as u32;
            (members.len() >= 2 * PARTS).then(|| {
                let search = KMeans::new(PARTS, self.starts);
                let stream = stream.at(u64::from(cluster));
                let parts = search.fit(Points::new(&inside, points.dim), &stream);
                (parts, (first..first + PARTS as u32).collect())
            })
        };
        let all = Tree { cuts: (0..count).map(cut).collect(), found: found.clone() };
        let looked_at = drawn(points, &stream.named("silhouettes"));
        let looked_at = Points::new(&looked_at, points.dim);
        let labellings = [found.predict(looked_at), all.predict(looked_at)];
        let values = silhouettes(looked_at, &labellings);
        let [before, after] = [0, 1].map(|at| means(&values[at], &labellings[at]));
        let least = LEAST.max(points.len().div_ceil(200));
        let in_train = all.predict(points);
        let in_val = val.map(|val| all.predict(val));
        let losses = losses.map(|it| (means(it, &labels), means(it, &in_train)));
        let is_worse = |cluster: usize, part: u32| match &losses {
            Some((whole, parts)) => parts.get(part as usize) >= whole.get(cluster),
            None => true,
        };
        let stays = |cluster: usize, part: u32| {
            let (before, after) = (before.get(cluster), after.get(part as usize));
            let is_better = matches!((before, after), (Some(b), Some(a)) if a > b && *a > 0.0);
            let of = |labels: &[u32]| of_cluster(labels, part).len();
            is_better
                && is_worse(cluster, part)
                && of(&in_train) >= least
                && in_val.as_ref().is_none_or(|it| of(it) >= LEAST)
        };
        all.with(|cluster, part| if stays(cluster, part) { part } else { cluster as u32 })
    }
}

impl Tree {
    /// The same with other names for parts, by cluster and part.
    fn with(mut self, name: impl Fn(usize, u32) -> u32) -> Self {
        for (cluster, cut) in self.cuts.iter_mut().enumerate() {
            if let Some((_, names)) = cut {
                names.iter_mut().for_each(|part| *part = name(cluster, *part));
            }
        }
        self
    }
}

fn of_cluster(labels: &[u32], cluster: u32) -> Vec<usize> {
    (0..labels.len()).filter(|at| labels[*at] == cluster).collect()
}

fn gathered(points: Points, members: &[usize]) -> Vec<f32> {
    members.iter().flat_map(|at| points.row(*at)).copied().collect()
}

/// Points whose silhouettes stand for all: those of a random order that come first.
fn drawn(points: Points, stream: &Stream) -> Vec<f32> {
    if points.len() <= LOOKED_AT {
        return points.values.to_vec();
    }
    let order = stream.clone().permutation(points.len());
    order[..LOOKED_AT].iter().flat_map(|at| points.row(*at as usize)).copied().collect()
}
