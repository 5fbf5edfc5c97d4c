//! How many directions embeddings take up.

use super::rows::Rows;
use super::{EvalError, Evaluation, FeatureSource, Score, Site, Split};
use crate::catalog::{self, Labels, Misfit, Network, Place};
use crate::component;
use crate::measure::rank::{effective_rank, rankme, singular_values};

component! {
    /// How many directions the embeddings take up, together and class by class.
    ///
    /// `effective_rank` is the exponential of the entropy of the singular values of the centred
    /// embeddings, scaled to sum to one (Roy & Vetterli, 2007), and `rankme` the same of embeddings
    /// that are not centred, with 1e-7 added to each share (Garrido et al., 2023). `class_rank` is
    /// the effective rank of the members of a class around its mean, averaged over classes, and
    /// `least_class_rank` and `greatest_class_rank` are those of the flattest and of the roundest
    /// class. A rank is from 1 to the smaller of the width of the embedding and the number of
    /// images (less one where they are centred), and 0 where nothing varies: of embeddings that are
    /// one point, and of a class of one image or that has collapsed. Singular values below the
    /// rounding of single-precision numbers count as zero.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment directions {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { ranks = spectrum(labels=coarse) }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding, Labels],
        metrics [effective_rank, rankme, class_rank, least_class_rank, greatest_class_rank],
        network network;
    spectrum => Spectrum {
        /// The encoder to measure.
        on: catalog::Features = catalog::Features::Auto,
        /// Which labels say what a class is.
        labels: Labels = Labels::Declared,
        /// Whether embeddings are first scaled to length one.
        normalize: bool = false,
    }
}

fn network(_: &Spectrum, place: &Place) -> std::result::Result<Network, Misfit> {
    // Every image adds to the products of all pairs of dimensions, twice.
    Ok(Network::new(&[place.dim]).compared_with(2 * place.dim))
}

impl Evaluation for Spectrum {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let mut scores = Vec::new();
        for (n, split) in Split::ALL.into_iter().enumerate() {
            let rows = Rows::of(source, split)?.scaled(self.normalize);
            if rows.len() > 0 {
                let measured = ranks(&rows, source.classes());
                scores.extend(measured.into_iter().map(|(metric, value)| Score {
                    split,
                    metric,
                    value,
                }));
            }
            site.done((n + 1) as f64 / Split::ALL.len() as f64)?;
        }
        Ok(scores)
    }
}

/// The ranks of all rows and of those of each class that occurs.
fn ranks(rows: &Rows, classes: usize) -> [(&'static str, f64); 5] {
    let of_class = |class: u32| {
        let members = rows.of_class(class);
        (members.len() > 0).then(|| effective_rank(&singular_values(&members.table(), true)))
    };
    let each: Vec<f64> = (0..classes as u32).filter_map(of_class).collect();
    let (least, greatest) =
        each.iter().fold((f64::INFINITY, 0.0f64), |(a, b), rank| (a.min(*rank), b.max(*rank)));
    [
        ("effective_rank", effective_rank(&singular_values(&rows.table(), true))),
        ("rankme", rankme(&singular_values(&rows.table(), false))),
        ("class_rank", each.iter().sum::<f64>() / each.len() as f64),
        ("least_class_rank", least),
        ("greatest_class_rank", greatest),
    ]
}
