//! Whether the embeddings of a class lie with the images they should: the permutation test.

use candle_core::{Device, Tensor};

use super::rows::Rows;
use super::{
    Column, EvalError, Evaluation, FeatureSource, Features, Labelling, OfTerm, Score, Sees, Site,
    Split, TermValue, View,
};
use crate::catalog::{self, Bound, Count, Labels, Misfit, Network, Place};
use crate::library::build;
use crate::measure::sphere::mean;
use crate::seed::Stream;
use crate::{choice, component};

choice! {
    /// What guesses the labels.
    Guesser {
        /// The nearest training images, as `knn` with its defaults.
        Knn = "knn",
        /// A linear classifier, as `linear` with its defaults.
        Linear = "linear",
    }
}

component! {
    /// What a loss cannot see and transfer can: embeddings trade places inside the coarse classes.
    ///
    /// Losses on labels and embeddings alone are the same when two images of a class trade their
    /// embeddings, all views together (the class-fixing permutations of Chen et al., 2022). This
    /// evaluation does so, by the seed's address, among the images of each class of `within` in every
    /// block of `block` images of a split, and measures both before and after: `accuracy` and
    /// `permuted_accuracy` of guessing `labels`; `loss` and `permuted_loss`, the weighted sum of the
    /// terms that see no more than those classes, and `loss_change`, the largest share by which one of
    /// them changes, which is rounding; `seeing_loss` and `permuted_seeing_loss`, the sum of the
    /// others, that see finer labels or the images themselves. Losses are means over blocks of
    /// training images in the views of the first epoch, each a batch, as evaluation sees them.
    /// Every term by itself, before and after, stands under the table and in `result.json`.
    ///
    /// `information` is `(accuracy - permuted_accuracy) / (1 - permuted_accuracy)`: what the
    /// embedding tells of the finer label beyond its class, as a share of what there is to tell. It is
    /// Cohen's kappa (1960) with the accuracy of a permutation in the place of chance: 0 where members
    /// of a class could as well trade places, 1 where every finer label is told, below 0 by chance
    /// alone. It is left out where nothing is left to tell.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment trade {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { trade = permutation(labels=fine, within=coarse) }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 1, needs [Embedding, Labels],
        metrics [
            information, accuracy, permuted_accuracy, loss, permuted_loss, loss_change, seeing_loss,
            permuted_seeing_loss
        ],
        shown 3, network network;
    permutation => Permutation {
        /// The encoder to measure, or several joined.
        on: catalog::Features = catalog::Features::Auto,
        /// The labels to guess.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// The classes inside which embeddings trade places.
        within: Labels = Labels::Declared,
        /// What guesses the labels.
        by: Guesser = Guesser::Knn,
        /// Images among which embeddings trade places, and which are a batch of the loss.
        block: Count = 1024,
    }
}

fn network(_: &Permutation, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).compared_with(place.train).compared_with(place.train))
}

impl Evaluation for Permutation {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let before = self.accuracies(source, site, (0.0, 0.4))?;
        let mut traded =
            Traded { source, block: self.block.get(), stream: site.stream.named("trade") };
        let after = self.accuracies(&mut traded, site, (0.4, 0.4))?;
        let mut scores = Vec::new();
        for Score { split, value: accuracy, .. } in &before {
            let permuted = after.iter().find(|it| it.split == *split).map(|it| it.value);
            let Some(permuted) = permuted else { continue };
            let score = |metric, value| Score { split: *split, metric, value };
            if permuted < 1.0 {
                let information = (accuracy - permuted) / (1.0 - permuted);
                scores.push(score("information", information));
            }
            scores.push(score("accuracy", *accuracy));
            scores.push(score("permuted_accuracy", permuted));
        }
        scores.extend(self.losses(source, site)?);
        site.done(1.0)?;
        Ok(scores)
    }
}

impl Permutation {
    /// What the guesser reaches on validation and test images, in a part of the progress.
    fn accuracies(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
        (from, length): (f64, f64),
    ) -> Result<Vec<Score>, EvalError> {
        let name = match self.by {
            Guesser::Knn => "knn",
            Guesser::Linear => "linear",
        };
        let entry = site.library.evaluations.iter().find(|entry| entry.spec.name == name);
        let spec = &entry.expect("it is registered").spec;
        let guesser = build(&site.library.evaluations, &Bound::defaults(spec));
        let mut progress = |share: f64| (site.progress)(from + length * share);
        let mut inner = Site {
            library: site.library,
            stream: site.stream.named("guess"),
            progress: &mut progress,
        };
        let scores = guesser.evaluate(source, &mut inner)?;
        Ok(scores.into_iter().filter(|it| it.split != Split::Train).collect())
    }

    /// The loss terms before and after, as means over blocks.
    fn losses(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let Some(Labelling { labels, .. }) = source.column(Split::Train, Column::Within)? else {
            return Ok(Vec::new());
        };
        let stream = site.stream.named("trade").named(Split::Train.name());
        let blocks: Vec<Block> = blocks(&labels, self.block.get(), &stream);
        let mut blocks_of_terms = Vec::new();
        for (at, block) in blocks.iter().enumerate() {
            let still = (0..block.rows.len() as u32).collect();
            let [before, after] = &source.losses(&block.rows, &[still, block.order.clone()])?[..]
            else {
                return Ok(Vec::new());
            };
            blocks_of_terms.push(before.iter().zip(after).map(of_term).collect());
            site.done(0.8 + 0.2 * (at + 1) as f64 / (blocks.len() + 1) as f64)?;
        }
        source.keep_terms(means(&blocks_of_terms));
        Ok(sums(&blocks_of_terms))
    }
}

fn of_term((before, after): (&TermValue, &TermValue)) -> OfTerm {
    let TermValue { name, sees, .. } = before.clone();
    OfTerm { term: name, sees, before: before.value, after: after.value }
}

/// Each term's mean over blocks.
fn means(blocks: &[Vec<OfTerm>]) -> Vec<OfTerm> {
    let of = |(at, first): (usize, &OfTerm)| {
        let mean_of = |value: fn(&OfTerm) -> f64| mean(blocks.iter().map(|it| value(&it[at])));
        let (before, after) = (mean_of(|it| it.before)?, mean_of(|it| it.after)?);
        Some(OfTerm { before, after, ..first.clone() })
    };
    let first = blocks.first().map_or(&[][..], |terms| terms);
    first.iter().enumerate().filter_map(of).collect()
}

/// The sums of the terms that see the classes alone and of the others, as means over blocks.
fn sums(blocks: &[Vec<OfTerm>]) -> Vec<Score> {
    let sum_of = |is_seeing: bool, value: fn(&OfTerm) -> f64| {
        let of_block = |terms: &Vec<OfTerm>| {
            let some = terms.iter().filter(|it| (it.sees != Sees::Class) == is_seeing);
            let values: Vec<f64> = some.map(value).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>())
        };
        mean(blocks.iter().filter_map(of_block))
    };
    let loss = sum_of(false, |it| it.before);
    let change = blocks.iter().flatten().map(changed).fold(0.0, f64::max);
    let all = [
        ("loss", loss),
        ("permuted_loss", sum_of(false, |it| it.after)),
        ("seeing_loss", sum_of(true, |it| it.before)),
        ("permuted_seeing_loss", sum_of(true, |it| it.after)),
        ("loss_change", loss.map(|_| change)),
    ];
    let score = |(metric, value): (_, Option<f64>)| {
        Some(Score { split: Split::Train, metric, value: value? })
    };
    all.into_iter().filter_map(score).collect()
}

/// The share by which a term that sees no more than the classes changes.
fn changed(term: &OfTerm) -> f64 {
    match term.sees {
        Sees::Class => {
            (term.before - term.after).abs() / term.before.abs().max(f64::from(f32::MIN_POSITIVE))
        }
        Sees::Label | Sees::Image => 0.0,
    }
}

/// Images among which embeddings trade places.
struct Block {
    /// Their rows in the split.
    rows: Vec<u32>,
    /// Whose embedding each gets, as a place in `rows`.
    order: Vec<u32>,
}

/// Blocks of at most `size` rows, drawn from all, with a random trade inside each of `classes`.
fn blocks(classes: &[u32], size: usize, stream: &Stream) -> Vec<Block> {
    let all = stream.named("blocks").permutation(classes.len());
    let block = |(at, rows): (usize, &[u32])| {
        let mut order = vec![0; rows.len()];
        let mut drawn: Vec<u32> = stream.at(at as u64).permutation(rows.len());
        // In the order of their classes, both the places and what is drawn for them.
        let mut places: Vec<u32> = (0..rows.len() as u32).collect();
        let class = |place: &u32| classes[rows[*place as usize] as usize];
        drawn.sort_by_key(class);
        places.sort_by_key(class);
        places.iter().zip(drawn).for_each(|(place, from)| order[*place as usize] = from);
        Block { rows: rows.to_vec(), order }
    };
    all.chunks(size).enumerate().map(block).collect()
}

/// Features whose embeddings have traded places.
struct Traded<'a> {
    source: &'a mut dyn FeatureSource,
    block: usize,
    stream: Stream,
}

impl Traded<'_> {
    fn trade(&mut self, split: Split, features: Features) -> Result<Features, EvalError> {
        let Some(Labelling { labels, .. }) = self.source.column(split, Column::Within)? else {
            return Ok(features);
        };
        let mut from: Vec<u32> = (0..labels.len() as u32).collect();
        for block in blocks(&labels, self.block, &self.stream.named(split.name())) {
            for (row, place) in block.rows.iter().zip(&block.order) {
                from[*row as usize] = block.rows[*place as usize];
            }
        }
        let from = Tensor::new(from, &Device::Cpu)?;
        let embedding = features.embedding.index_select(&from, 0)?;
        Ok(Features { embedding, labels: features.labels })
    }
}

impl FeatureSource for Traded<'_> {
    fn features(&mut self, split: Split) -> Result<Features, EvalError> {
        // Before they move, so that what is not finite is named by the image it is of.
        Rows::of(self.source, split)?;
        let features = self.source.features(split)?;
        self.trade(split, features)
    }

    fn augmented(&mut self, view: View) -> Result<Features, EvalError> {
        let features = self.source.augmented(view)?;
        self.trade(Split::Train, features)
    }

    fn classes(&self) -> usize {
        self.source.classes()
    }

    fn column(&mut self, split: Split, column: Column) -> Result<Option<Labelling>, EvalError> {
        self.source.column(split, column)
    }
}
