//! Whether two encoders tell the same of images.

use super::rows::Rows;
use super::{EvalError, Evaluation, FeatureSource, Score, Site, Split};
use crate::catalog::{self, Misfit, Network, Place};
use crate::component;
use crate::measure::cka::linear_cka;

component! {
    /// How alike two encoders see the same images: linear centred kernel alignment.
    ///
    /// `|X'Y|² / (|X'X| |Y'Y|)` of the centred embeddings `X` and `Y` (Kornblith et al., 2019): 1
    /// where one is the other turned and scaled, 0 where no direction of one tells anything of the
    /// other. It is left out where one of them does not vary.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment alike {
    ///   data = digits(labels=coarse)
    ///   stage a {
    ///     encoder = mlp()
    ///     loss { class = cross_entropy() }
    ///     train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   }
    ///   stage b {
    ///     encoder = mlp()
    ///     loss { recon = class_autoencoder(decoder=mlp_decoder()) }
    ///     train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   }
    ///   eval { same = cka(on=a.encoder, with=b.encoder) }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding], metrics [cka], network network;
    cka => Cka {
        /// One encoder, or several joined.
        on: catalog::Features = catalog::Features::Auto,
        /// The encoder to compare it with, or several joined.
        with: catalog::Features,
    }
}

fn network(_: &Cka, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).compared_with(place.dim))
}

impl Evaluation for Cka {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let mut scores = Vec::new();
        for (n, split) in Split::ALL.into_iter().enumerate() {
            let (one, other) = (Rows::of(source, split)?, Rows::with(source, split)?);
            if let Some(value) = linear_cka(&one.table(), &other.table()) {
                scores.push(Score { split, metric: "cka", value });
            }
            site.done((n + 1) as f64 / Split::ALL.len() as f64)?;
        }
        Ok(scores)
    }
}
