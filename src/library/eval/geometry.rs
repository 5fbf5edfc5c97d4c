//! How embeddings of classes lie to each other on the sphere.

use super::rows::Rows;
use super::{EvalError, Evaluation, FeatureSource, Score, Site, Split};
use crate::catalog::{self, Labels, Misfit, Network, Place};
use crate::component;
use crate::measure::sphere::{self, UnitClass, mean};

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
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let mut scores = Vec::new();
        for (n, split) in Split::ALL.into_iter().enumerate() {
            let rows = Rows::of(source, split)?;
            let classes = UnitClass::gather(&rows.table(), &rows.labels, source.classes());
            let measured = within(&classes).into_iter().chain(between(&classes));
            scores.extend(measured.map(|(metric, value)| Score { split, metric, value }));
            site.done((n + 1) as f64 / Split::ALL.len() as f64)?;
        }
        Ok(scores)
    }
}

/// How far the members of a class are from each other.
fn within(classes: &[UnitClass]) -> Vec<(&'static str, f64)> {
    let variance = mean(classes.iter().map(UnitClass::variance));
    let cosine = mean(classes.iter().filter_map(UnitClass::cosine));
    let named = [("within_variance", variance), ("within_cosine", cosine)];
    named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// How the means of the classes lie to each other.
fn between(classes: &[UnitClass]) -> Vec<(&'static str, f64)> {
    let simplex = -1.0 / (classes.len() as f64 - 1.0);
    let cosines = sphere::between(classes);
    let distance = mean(cosines.iter().map(|cosine| (cosine - simplex).abs()));
    let named = [("between_cosine", mean(cosines.iter().copied())), ("etf_distance", distance)];
    named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
