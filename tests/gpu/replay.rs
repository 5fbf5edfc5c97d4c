//! Steps that are queued as one piece against the same steps queued as they come.

use std::path::Path;

use balance::graph::{Batch, Model, build, clip, gradient, stage_stream};
use balance::kernel::{Replay, Rounded, card_device, held, is_sound};
use balance::library::optimizer::{Optimizer, Stepper};
use balance::library::{self, Library};
use balance::plan::Stage;
use candle_core::{DType, Device, Result, Tensor};

use crate::beside::{card, tensor};
use crate::planned::plan;

/// The stages, from where tests run: on a machine that has a card, perhaps not where they were built.
const STEPS: &str = "tests/gpu/steps.exp";

/// Whether steps are never kept: this program was told to keep no memory.
pub fn is_off() -> bool {
    std::env::var_os("BALANCE_KEEPS_NO_MEMORY").is_some()
}

fn bits(of: &Tensor) -> Vec<u32> {
    let values = of.to_device(&Device::Cpu).and_then(|it| it.flatten_all()?.to_vec1::<f32>());
    values.expect("it is read").into_iter().map(f32::to_bits).collect()
}

struct Training {
    stage: Stage,
    model: Model,
    stepper: Box<dyn Stepper>,
    rounded: Rounded,
    device: Device,
}

impl Training {
    fn new(name: &str, device: &Device) -> Self {
        let library = Library::standard();
        let stage = plan(&library, STEPS, Path::new("data"), name).stages.remove(0);
        let model = build(&stage, &library, DType::F32, device).expect("a model");
        let optimizer: Box<dyn Optimizer> = library::build(&library.optimizers, &stage.optimizer);
        let stepper = optimizer.start(model.params().vars()).expect("an optimizer");
        Self { stage, model, stepper, rounded: Rounded::default(), device: device.clone() }
    }

    /// Of some items, other ones at each step.
    fn batch(&self, step: u64, items: usize) -> Batch {
        let image = self.stage.data.image;
        let images = |count: usize, seed: u64| {
            tensor(&[count, image.height, image.width, image.channels], seed)
                .to_device(&self.device)
                .expect("there is room")
        };
        let classes = self.stage.data.classes.of_fine.len() as u64;
        Batch {
            images: images(self.stage.views * items, step),
            clean: self.model.needs_clean().then(|| images(items, 100 + step)),
            fine: (0..items as u64).map(|item| ((item * 3 + step) % classes) as u32).collect(),
            groups: Vec::new(),
            views: self.stage.views,
            mixed: None,
        }
    }

    fn step(&mut self, batch: Batch, step: u64) -> Result<Tensor> {
        let stream = stage_stream(&self.stage, "dropout").at(step);
        let method = &self.stage.method;
        let clean = batch.clean.as_ref().map(held).transpose()?;
        let (model, batch) = (&self.model, Batch { images: held(&batch.images)?, clean, ..batch });
        let (loss, mut grads) = self
            .rounded
            .during(|| model.params().vars(), || gradient(model, method, batch, stream))?;
        if let Some(most) = method.clip {
            (grads, _) = clip(self.model.params(), grads, most)?;
        }
        self.stepper.step(&grads, 1e-2 / (step + 1) as f64)?;
        Ok(loss.total.detach())
    }

    /// The variables and what else training changes.
    fn state(&self) -> Vec<(String, Vec<u32>)> {
        let state = self.model.params().state().expect("a state");
        state.into_iter().map(|(name, value)| (name, bits(&value))).collect()
    }
}

/// Items of the batch of each step: now and then another number of them.
const ITEMS: [usize; 14] = [6, 6, 6, 6, 4, 6, 6, 4, 5, 6, 4, 6, 4, 6];

/// How many of them are graphs: all but the first two of each size, and those of a third size.
const GRAPHS: usize = 9;

/// Trains twice, once with steps as one piece, and compares all that came of it.
fn alike(name: &str) {
    let mut plain = Training::new(name, &card());
    let queue = card_device(0).expect("these tests need a card");
    let (mut kept, mut replay) = (Training::new(name, &queue), Replay::new(&queue, true));
    // Copies that are held for a while, as checkpoints are; and a loss that nobody copied.
    let (mut copies, mut loss) = (Vec::new(), None);
    for (step, items) in ITEMS.into_iter().enumerate() {
        let at = step as u64;
        let expected = plain.step(plain.batch(at, items), at).expect("a step");
        let batch = kept.batch(at, items);
        let found = replay.run(items, || kept.step(batch, at)).expect("a step");
        assert_eq!(bits(&found), bits(&expected), "the loss of step {step} of {name}");
        if step == 6 {
            loss = Some((found, bits(&expected)));
        }
        copies.push(kept.model.params().state().expect("a state"));
        if step % 5 == 0 {
            copies.clear();
        }
    }
    let (loss, expected) = loss.expect("there is a sixth step");
    assert_eq!(bits(&loss), expected, "the loss that was held of {name}");
    assert_eq!(kept.state(), plain.state(), "{name}");
    assert!(is_off() || replay.launches() == GRAPHS, "{} of {name}", replay.launches());
}

#[test]
fn graphs_are_sound() {
    // On a queue of its own: nobody else may use it meanwhile.
    let queue = card_device(0).expect("these tests need a card");
    for convolves in [false, true] {
        assert_eq!(is_sound(&queue, convolves), !is_off());
        assert!(!is_sound(&Device::Cpu, convolves));
    }
}

#[test]
fn a_transformer_trains_alike() {
    alike("transformer");
}

#[test]
fn a_decoder_trains_alike() {
    alike("decoder");
}

#[test]
fn what_a_step_reads_back_is_what_it_queued() {
    let queue = card_device(0).expect("these tests need a card");
    let mut replay = Replay::new(&queue, true);
    for step in 0..8u64 {
        let given = tensor(&[5, 3], step).to_device(&queue).expect("there is room");
        let found = replay.run(5, || -> Result<(f32, Tensor)> {
            let twice = (held(&given)? * 2.0)?;
            // A number that the step waits for, in the middle of it.
            let sum = twice.sum_all()?.to_device(&Device::Cpu)?.to_scalar::<f32>()?;
            Ok((sum, (twice + f64::from(sum))?))
        });
        let (sum, found) = found.expect("a step");
        let expected = (given * 2.0).and_then(|it| Ok((it.sum_all()?.to_scalar::<f32>()?, it)));
        let (of_all, twice) = expected.expect("it is computed");
        assert_eq!(sum.to_bits(), of_all.to_bits());
        assert_eq!(bits(&found), bits(&(twice + f64::from(sum)).unwrap()));
    }
}

#[test]
fn a_step_that_fails_leaves_the_card_as_it_was() {
    let queue = card_device(0).expect("these tests need a card");
    let mut replay = Replay::new(&queue, true);
    let sum = |x: &Tensor| x.sum_all()?.to_device(&Device::Cpu)?.to_scalar::<f32>();
    for step in 0..6 {
        let x = tensor(&[7], step).to_device(&queue).expect("there is room");
        let found = replay.run(7, || match step {
            4 => candle_core::bail!("no"),
            _ => held(&x)? + 1.0,
        });
        assert_eq!(found.is_err(), step == 4);
        if let Ok(found) = found {
            assert_eq!(bits(&found), bits(&(&x + 1.0).unwrap()));
        }
        assert!(sum(&x).is_ok());
    }
}

#[test]
fn what_is_held_between_steps_is_in_nobodys_way() {
    let queue = card_device(0).expect("these tests need a card");
    let mut replay = Replay::new(&queue, true);
    // Large enough to be lent memory of steps, as the average of weights is.
    let numbers = |step: u64| tensor(&[300, 1000], step);
    let work = |x: &Tensor| (x * 2.0)?.sqr()? + 1.0;
    let (mut average, mut expected) = (None, None);
    let moved = |average: &Option<Tensor>, found: &Tensor| match average {
        None => found.copy(),
        Some(average) => average + found,
    };
    for step in 0..14 {
        let given = numbers(step).to_device(&queue).expect("there is room");
        let found = replay.run(300, || work(&held(&given)?)).expect("a step");
        average = Some(moved(&average, &found).expect("it is added"));
        let found = work(&numbers(step)).expect("a step");
        expected = Some(moved(&expected, &found).expect("it is added"));
    }
    assert_eq!(bits(&average.unwrap()), bits(&expected.unwrap()));
    assert!(is_off() || replay.launches() >= 10, "{}", replay.launches());
}
