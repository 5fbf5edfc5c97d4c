//! How embeddings of classes lie to each other on the sphere.

use super::rows::Rows;
use super::{EvalError, Evaluation, FeatureSource, Score, Site, Split};
use crate::catalog::{self, Labels, Misfit, Network, Place};
use crate::component;

component! {
    /// How the embeddings of the classes lie to each other on the unit sphere.
    ///
    /// Embeddings are scaled to length one. `within_variance` is `1 - |m|^2` for the mean `m` of a
    /// class and `within_cosine` the mean cosine between two different members of a class, both
    /// averaged over classes: 0 and 1 when every class has collapsed to a point.
    /// `between_cosine` is the mean cosine between the means of two classes, and `etf_distance` the
    /// mean distance of these cosines from `-1/(K-1)`, which all of them reach when the means of
    /// `K` classes form a simplex (Papyan et al., 2020). A measure that needs two members or two
    /// classes is left out where there are none.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment spread {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { geo = geometry(labels=coarse) }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding, Labels],
        metrics [within_variance, within_cosine, between_cosine, etf_distance],
        network network;
    geometry => Geometry {
        /// The encoder to measure.
        on: catalog::Features = catalog::Features::Auto,
        /// Which labels say what a class is.
        labels: Labels = Labels::Declared,
    }
}

fn network(_: &Geometry, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).compared_with(1))
}

impl Evaluation for Geometry {
    fn on(&self) -> &catalog::Features {
        &self.on
    }

    fn labels(&self) -> Option<&Labels> {
        Some(&self.labels)
    }

    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let mut scores = Vec::new();
        for (n, split) in Split::ALL.into_iter().enumerate() {
            let classes = gather(&Rows::of(source, split)?, source.classes());
            let measured = within(&classes).into_iter().chain(between(&classes));
            scores.extend(measured.map(|(metric, value)| Score { split, metric, value }));
            site.done((n + 1) as f64 / Split::ALL.len() as f64)?;
        }
        Ok(scores)
    }
}

/// A class that occurs, with its unit embeddings summed up.
struct Class {
    size: f64,
    sum: Vec<f64>,
    /// The sum of their squared lengths: their number, less the zero vectors.
    squares: f64,
}

/// The classes that occur, in order.
fn gather(rows: &Rows, classes: usize) -> Vec<Class> {
    let empty = || Class { size: 0.0, sum: vec![0.0; rows.dim], squares: 0.0 };
    let mut gathered: Vec<Class> = (0..classes).map(|_| empty()).collect();
    for (row, label) in rows.iter().zip(&rows.labels) {
        let class = &mut gathered[*label as usize];
        let scale = Rows::inverse_norm(row);
        class.size += 1.0;
        for (sum, x) in class.sum.iter_mut().zip(row) {
            let z = f64::from(*x) * scale;
            *sum += z;
            class.squares += z * z;
        }
    }
    gathered.retain(|class| class.size > 0.0);
    gathered
}

/// How far the members of a class are from each other.
fn within(classes: &[Class]) -> Vec<(&'static str, f64)> {
    let variance = classes.iter().map(|class| {
        // Rounding must not turn a collapsed class into one of negative variance.
        (class.squares / class.size - dot(&class.sum, &class.sum) / class.size.powi(2)).max(0.0)
    });
    let pairs = classes.iter().filter(|class| class.size > 1.0).map(|class| {
        (dot(&class.sum, &class.sum) - class.squares) / (class.size * (class.size - 1.0))
    });
    named("within_variance", variance).into_iter().chain(named("within_cosine", pairs)).collect()
}

/// How the means of the classes lie to each other.
fn between(classes: &[Class]) -> Vec<(&'static str, f64)> {
    let simplex = -1.0 / (classes.len() as f64 - 1.0);
    let pairs = classes.iter().enumerate();
    let pairs = pairs.flat_map(|(n, a)| classes[..n].iter().map(move |b| cosine(&a.sum, &b.sum)));
    let cosines: Vec<f64> = pairs.collect();
    let distances = cosines.iter().map(|cosine| (cosine - simplex).abs());
    let distance = named("etf_distance", distances);
    named("between_cosine", cosines.iter().copied()).into_iter().chain(distance).collect()
}

/// The mean under its name, if there is anything to average.
fn named(name: &'static str, values: impl Iterator<Item = f64>) -> Option<(&'static str, f64)> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| (name, sum / f64::from(count)))
}

/// The cosine of two vectors; zero when one has no direction.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
