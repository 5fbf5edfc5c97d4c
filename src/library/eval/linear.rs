//! The linear probe: softmax regression on frozen features.

use std::borrow::Cow;

use super::probe::{Examples, Probe};
use super::rows::Rows;
use super::scale::Scale;
use super::{EvalError, Evaluation, FeatureSource, Score, Site, Split, View, regression};
use crate::catalog::{
    self, Bound, Count, Duration, Labels, Misfit, Network, OptimizerCall, Place, ScheduleCall,
};
use crate::library::build;
use crate::library::optimizer::{AtOnce, Stepper, adamw};
use crate::library::schedule::{Horizon, SCHEDULES, Schedule};
use crate::{choice, component};

choice! {
    /// Which features the probe is trained on.
    TrainOn {
        /// Those of the untouched training images, computed once.
        Cached = "cached",
        /// Those of an augmented view of each training image, anew in each epoch.
        Augmented = "augmented",
    }
}

choice! {
    /// Whether the frozen encoder drops while the probe is trained.
    Dropout {
        /// It sees every image whole, as at evaluation.
        Off = "off",
        /// It drops what it dropped in training, as in the released code of *Perfectly Balanced*;
        /// normalisation still uses the statistics of its training, which that code lets drift.
        Released = "released",
    }
}

component! {
    /// Accuracy of a linear classifier trained on the frozen embedding.
    ///
    /// Softmax regression by gradient descent, as in the transfer experiments of *Perfectly
    /// Balanced* (Chen et al., 2022). Weights and biases start at zero: the problem is convex, so
    /// the seed only sets the order of the images. Accuracies are those after the last step, on
    /// untouched images, of an encoder that drops nothing.
    ///
    /// With `optimizer=lbfgs(c=1)` it is the regularised logistic regression of scikit-learn, whose
    /// minimum depends on nothing but the images: see [`lbfgs`](../optimizer/lbfgs.md).
    ///
    /// `ece` is the expected calibration error of its guesses (Guo et al., 2017): over 15 bins of
    /// equal width, the mean distance between how likely the classifier holds its guess to be and
    /// how often it is right, by the size of the bin; 0 when it knows what it does not know.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment transfer {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss { supcon = 0.5 * supcon(temperature=0.5) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine, for=20 epochs) }
    /// }
    /// ```
    Evaluation as dyn Evaluation, version 2, needs [Embedding, Labels], metrics [accuracy, ece],
        network network;
    linear => Linear {
        /// The encoder to measure, or several joined: `concat(a.encoder, b.encoder)`.
        on: catalog::Features = catalog::Features::Auto,
        /// The labels to learn.
        labels: Labels = Labels::Column("fine".to_owned()),
        /// What trains the classifier.
        optimizer: OptimizerCall = adamw(1e-3),
        /// How its learning rate moves.
        schedule: ScheduleCall = cosine(),
        /// Images in a step.
        batch: Count = 128,
        /// How long it is trained.
        r#for: Duration = Duration::epochs(100.0),
        /// Which features it is trained on.
        features: TrainOn = TrainOn::Cached,
        /// Whether the encoder drops while the classifier is trained; needs `features=augmented`.
        dropout: Dropout = Dropout::Off,
        /// Whether each dimension is first brought to mean zero and variance one over the training
        /// images.
        standardize: bool = false,
    }
}

fn cosine() -> Bound {
    let entry = SCHEDULES.iter().find(|entry| entry.spec.name == "cosine");
    Bound::defaults(&entry.expect("the cosine schedule is registered").spec)
}

fn network(_: &Linear, place: &Place) -> std::result::Result<Network, Misfit> {
    Ok(Network::new(&[place.dim]).linear(place.classes, true).cross_entropy())
}

impl Evaluation for Linear {
    fn evaluate(
        &self,
        source: &mut dyn FeatureSource,
        site: &mut Site,
    ) -> Result<Vec<Score>, EvalError> {
        let rows = Rows::of(source, Split::Train)?;
        if rows.len() == 0 {
            return Err(EvalError::Failed("there are no training images to learn from".into()));
        }
        let scale = self.standardize.then(|| Scale::of(&rows));
        let optimizer = build(&site.library.optimizers, &self.optimizer.0);
        let (train, probe) = match optimizer.at_once() {
            Some(how) => self.fit(rows, scale.as_ref(), &how, (source.classes(), site))?,
            None => {
                let train = Examples::new(rows, scale.as_ref())?;
                let inputs = &mut Inputs { source, scale: scale.as_ref() };
                let probe = self.train(&train, inputs, site)?;
                (train, probe)
            }
        };
        let mut scores = probe.scores(Split::Train, &train)?;
        for split in [Split::Val, Split::Test] {
            let rows = Rows::of(source, split)?;
            if rows.len() > 0 {
                scores.extend(probe.scores(split, &Examples::new(rows, scale.as_ref())?)?);
            }
        }
        Ok(scores)
    }
}

/// Where augmented features come from, and what is done to them.
struct Inputs<'a> {
    source: &'a mut dyn FeatureSource,
    scale: Option<&'a Scale>,
}

impl Linear {
    /// The classifier of all images at once.
    fn fit(
        &self,
        mut rows: Rows,
        scale: Option<&Scale>,
        how: &AtOnce,
        (classes, site): (usize, &mut Site),
    ) -> Result<(Examples, Probe), EvalError> {
        if self.features == TrainOn::Augmented {
            let name = self.optimizer.0.spec.name;
            return Err(EvalError::Failed(format!(
                "`{name}` looks at the same features again and again; write `features=cached`"
            )));
        }
        scale.into_iter().for_each(|scale| scale.apply(&mut rows));
        let model = regression::fit(&rows, classes, how, site, (0.0, 1.0))?;
        let probe = Probe::of(&model, classes)?;
        Ok((Examples::new(rows, None)?, probe))
    }

    fn train(
        &self,
        cached: &Examples,
        inputs: &mut Inputs,
        site: &mut Site,
    ) -> Result<Probe, EvalError> {
        let probe = Probe::new(cached.dim()?, inputs.source.classes())?;
        let mut course = self.course(cached.labels.len(), &probe, site)?;
        let order = site.stream.named("order");
        let epochs = course.horizon.steps.div_ceil(course.horizon.steps_per_epoch);
        for epoch in 0..epochs {
            let examples = self.examples(cached, inputs, epoch)?;
            let order = order.at(epoch as u64).permutation(cached.labels.len());
            let left = course.horizon.steps - epoch * course.horizon.steps_per_epoch;
            for batch in order.chunks(self.batch.get()).take(left) {
                course.step(&probe, &examples.select(batch)?)?;
            }
            site.done((epoch + 1) as f64 / epochs as f64)?;
        }
        probe.check()?;
        Ok(probe)
    }

    fn course(&self, items: usize, probe: &Probe, site: &Site) -> Result<Course, EvalError> {
        let optimizer = build(&site.library.optimizers, &self.optimizer.0);
        let (batch, steps_per_epoch) = (self.batch.get(), items.div_ceil(self.batch.get()));
        let steps = self.r#for.steps(steps_per_epoch, batch);
        Ok(Course {
            rate: optimizer.learning_rate(),
            stepper: optimizer.start(probe.vars())?,
            schedule: build(&site.library.schedules, &self.schedule.0),
            horizon: Horizon { steps, steps_per_epoch, batch },
            step: 0,
        })
    }

    fn examples<'a>(
        &self,
        cached: &'a Examples,
        inputs: &mut Inputs,
        epoch: usize,
    ) -> Result<Cow<'a, Examples>, EvalError> {
        match self.features {
            TrainOn::Cached => Ok(Cow::Borrowed(cached)),
            TrainOn::Augmented => {
                let drops = self.dropout == Dropout::Released;
                let rows = Rows::augmented(inputs.source, View { epoch, drops })?;
                Ok(Cow::Owned(Examples::new(rows, inputs.scale)?))
            }
        }
    }
}

/// A training in progress.
struct Course {
    rate: f64,
    stepper: Box<dyn Stepper>,
    schedule: Box<dyn Schedule>,
    horizon: Horizon,
    step: usize,
}

impl Course {
    fn step(&mut self, probe: &Probe, batch: &Examples) -> Result<(), EvalError> {
        let rate = self.rate * self.schedule.factor(self.step, &self.horizon);
        self.stepper.step(&probe.loss(batch)?.backward()?, rate)?;
        self.step += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use candle_core::{Device, Tensor};

    use super::*;
    use crate::catalog::Value;
    use crate::library::Library;
    use crate::library::eval::{Column, Features, Labelling};
    use crate::seed::Stream;

    /// Two classes in the plane that no line divides.
    const PLANE: [([f32; 2], u32); 7] = [
        ([0.0, 1.0], 0),
        ([1.0, 0.2], 0),
        ([0.9, 0.8], 0),
        ([1.5, 1.1], 1),
        ([-0.2, 0.9], 1),
        ([-1.0, -0.4], 1),
        ([0.8, -1.2], 1),
    ];

    struct Plane;

    impl FeatureSource for Plane {
        fn features(&mut self, _split: Split) -> Result<Features, EvalError> {
            let rows = PLANE.map(|(row, _)| row);
            let labels = PLANE.iter().map(|(_, label)| *label).collect();
            Ok(Features { embedding: Tensor::new(&rows, &Device::Cpu)?, labels })
        }

        fn augmented(&mut self, _: View) -> Result<Features, EvalError> {
            self.features(Split::Train)
        }

        fn classes(&self) -> usize {
            2
        }

        fn column(&mut self, _: Split, _: Column) -> Result<Option<Labelling>, EvalError> {
            Ok(None)
        }
    }

    /// The least mean logistic loss of a line through the plane, by plain gradient descent.
    fn optimum() -> f64 {
        let mut line = [0.0; 3];
        let mut loss = 0.0;
        for _ in 0..20_000 {
            let (mut gradient, mut sum) = ([0.0; 3], 0.0);
            for ([x, y], label) in PLANE {
                let sign = if label == 1 { 1.0 } else { -1.0 };
                let point = [f64::from(x), f64::from(y), 1.0];
                let margin: f64 = sign * (0..3).map(|i| line[i] * point[i]).sum::<f64>();
                sum += (-margin).exp().ln_1p();
                for i in 0..3 {
                    gradient[i] -= sign * point[i] / (1.0 + margin.exp());
                }
            }
            for i in 0..3 {
                line[i] -= 0.1 * gradient[i];
            }
            loss = sum / PLANE.len() as f64;
        }
        loss
    }

    #[test]
    fn long_training_reaches_the_least_loss() {
        let optimizer = adamw(0.05).with("weight_decay", Value::Real(0.0));
        let bound = Bound::defaults(&ENTRY.spec)
            .with("optimizer", Value::Component(Box::new(optimizer)))
            .with("batch", Value::Int(4))
            .with("for", Value::Duration(Duration::epochs(1500.0)));
        let site = &mut Site {
            library: &Library::standard(),
            stream: Stream::new(0),
            progress: &mut |_| ControlFlow::Continue(()),
        };
        let rows = Rows::of(&mut Plane, Split::Train).unwrap();
        let examples = Examples::new(rows, None).unwrap();
        let inputs = &mut Inputs { source: &mut Plane, scale: None };
        let probe = Linear::from_bound(&bound).train(&examples, inputs, site).unwrap();
        let loss = f64::from(probe.loss(&examples).unwrap().to_scalar::<f32>().unwrap());
        assert!((loss - optimum()).abs() < 1e-4, "{loss} {}", optimum());
    }
}
