//! Points of nested normal distributions: classes made of subclasses, all of it known.

use std::path::Path;

use super::Dataset;
use crate::catalog::{
    Amount, ClassMap, Count, DatasetFacts, Draw, Fraction, ImageShape, Labels, Natural, Positive,
    SplitSeed,
};
use crate::component;
use crate::data::{DataError, FINE, Images, Raw, Split};
use crate::digest::sha256;
use crate::seed::Stream;

/// The side of the cube that the centres of subclasses are moved into.
const REACH: f64 = 4.0;

component! {
    /// Points around known centres: classes that are made of subclasses, both of known geometry.
    ///
    /// The centres of the classes are random directions of unit length, those of subclasses
    /// lie `spread` from them in random directions, and points are normal around these with the
    /// standard deviation `noise` in each of `dim` dimensions. No classifier beats the nearest
    /// centre, which tells two subclasses apart with the accuracy Φ(d / 2 noise), d being the distance
    /// of their centres; `balance show` and `balance data preview` say what that comes to over all
    /// subclasses, and over the classes that training sees. Values of −4 to 4 become bytes, and a point is an image of one pixel with
    /// `dim` channels.
    ///
    /// ```exp
    /// edition 1
    /// dataset points = synthetic.nested(classes=3, subclasses=4, dim=16, per_subclass=100)
    /// experiment use_points {
    ///   data = points
    ///   encoder = mlp(widths=[64], out=16)
    ///   loss { class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
    ///   eval { subclass = linear(labels=fine) }
    /// }
    /// ```
    Dataset as dyn Dataset, version 1;
    synthetic.nested => Nested {
        /// How many classes, the coarse labels.
        classes: Count = 3,
        /// How many subclasses each has; all together are the fine labels.
        subclasses: Count = 4,
        /// Dimensions of a point.
        dim: Count = 16,
        /// Points of each subclass.
        per_subclass: Count = 500,
        /// Standard deviation of a point around its centre, in each dimension.
        noise: Positive = 0.1,
        /// How far the centres of subclasses are from that of their class.
        spread: Positive = 0.5,
        /// Decides the centres and the points.
        seed: Natural = 0,
        /// The labels training sees: `fine`, `coarse`, or `group({"name" = [class, …]})`.
        labels: Labels = Labels::Column("coarse".to_owned()),
        /// What is kept from training for validation, with the same share of each subclass.
        val: Amount = Amount::Fraction(0.1),
        /// What is kept for the test split, with the same share of each subclass.
        test: Amount = Amount::Fraction(0.2),
        /// How much of the remaining points to train on, with the same share of each subclass.
        train: Option<Amount> = None,
        /// How many training points each subclass keeps at most: one number for all, one for each
        /// subclass of a class, or one for each subclass.
        subsample: Option<Vec<Natural>> = None,
        /// How they are drawn.
        draw: Draw = Draw::Once,
        /// The share of training points whose label is replaced by another; evaluations see the
        /// true ones.
        label_noise: Fraction = 0.0,
        /// Fixes the division for every seed of a sweep; `seed` lets it vary with the seed.
        split_seed: SplitSeed = 42,
    }
}

impl Nested {
    /// What the points depend on, as text.
    fn address(&self) -> String {
        let Self { classes, subclasses, dim, per_subclass, noise, spread, seed, .. } = self;
        format!(
            "synthetic.nested 1 {} {} {} {} {} {} {}",
            classes.get(),
            subclasses.get(),
            dim.get(),
            per_subclass.get(),
            noise.get(),
            spread.get(),
            seed.get()
        )
    }

    /// The centre of each subclass, class by class.
    fn centres(&self) -> Vec<Vec<f64>> {
        let stream = Stream::new(self.seed.get() as u64).named("centres");
        let mut centres = Vec::new();
        for class in 0..self.classes.get() as u64 {
            let own = direction(stream.at(class).named("class"), self.dim.get());
            for subclass in 0..self.subclasses.get() as u64 {
                let way = direction(stream.at(class).at(subclass), self.dim.get());
                let moved = own.iter().zip(way).map(|(a, b)| a + self.spread.get() * b);
                centres.push(moved.collect());
            }
        }
        centres
    }
}

/// Points at which the accuracy that no classifier exceeds is averaged.
const CEILING_POINTS: u64 = 20_000;

impl Nested {
    /// The largest probability that a class has at a point drawn around centre number `own`.
    fn largest_posterior(
        &self,
        centres: &[Vec<f64>],
        (own, mut stream): (usize, Stream),
        classes: &ClassMap,
    ) -> f64 {
        let noise = self.noise.get();
        let point: Vec<f64> = centres[own].iter().map(|x| x + noise * stream.normal()).collect();
        let far = |centre: &Vec<f64>| {
            let squares = centre.iter().zip(&point).map(|(a, b)| ((a - b) / noise).powi(2));
            squares.sum::<f64>()
        };
        let far: Vec<f64> = centres.iter().map(far).collect();
        let nearest = far.iter().copied().fold(f64::INFINITY, f64::min);
        let mut shares = vec![0.0; classes.names.len()];
        for (far, class) in far.iter().zip(&classes.of_fine) {
            shares[*class as usize] += (-(far - nearest) / 2.0).exp();
        }
        shares.iter().copied().fold(0.0, f64::max) / shares.iter().sum::<f64>()
    }
}

/// A random direction.
fn direction(mut stream: Stream, dim: usize) -> Vec<f64> {
    let way: Vec<f64> = (0..dim).map(|_| stream.normal()).collect();
    let length = way.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
    way.into_iter().map(|x| x / length).collect()
}

/// Values of −4 to 4 as bytes.
fn byte(value: f64) -> u8 {
    ((value / REACH + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8
}

impl Dataset for Nested {
    fn facts(&self, _root: &Path) -> DatasetFacts {
        let (classes, subclasses) = (self.classes.get(), self.subclasses.get());
        let name = |at: usize| format!("{}.{}", at / subclasses, at % subclasses);
        let fine: Vec<String> = (0..classes * subclasses).map(name).collect();
        let of: Vec<u32> = (0..fine.len()).map(|at| (at / subclasses) as u32).collect();
        let coarse: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
        let map = ClassMap { names: coarse.clone(), of_fine: of.clone() };
        DatasetFacts {
            image: ImageShape { height: 1, width: 1, channels: self.dim.get() },
            train: fine.len() * self.per_subclass.get(),
            counts: vec![self.per_subclass.get(); fine.len()],
            coarse: (coarse, of),
            columns: vec![("class".to_owned(), map)],
            fine,
            digest: sha256(self.address().as_bytes()),
            ..DatasetFacts::default()
        }
    }

    fn ceiling(&self, classes: &ClassMap) -> Option<f64> {
        let stream = Stream::new(self.seed.get() as u64).named("ceiling");
        let centres = self.centres();
        let at = |point: u64| {
            let own = point as usize % centres.len();
            self.largest_posterior(&centres, (own, stream.at(point)), classes)
        };
        Some((0..CEILING_POINTS).map(at).sum::<f64>() / CEILING_POINTS as f64)
    }

    fn load(&self, _root: &Path) -> Result<Raw, DataError> {
        let stream = Stream::new(self.seed.get() as u64).named("points");
        let (mut pixels, mut fine) = (Vec::new(), Vec::new());
        for (subclass, centre) in self.centres().iter().enumerate() {
            for point in 0..self.per_subclass.get() as u64 {
                let mut stream = stream.at(subclass as u64).at(point);
                pixels.extend(centre.iter().map(|x| byte(x + self.noise.get() * stream.normal())));
                fine.push(subclass as u32);
            }
        }
        let labels = vec![(FINE.to_owned(), fine)];
        let channels = self.dim.get();
        let images = Images { height: 1, width: 1, channels, pixels, labels };
        Ok(Raw::of(vec![(Split::Pool, images)], sha256(self.address().as_bytes())))
    }
}
