//! Every loss of the library, with its variables, on the card and on the CPU.

use balance::catalog::{Bound, ImageShape, Type, Value};
use balance::kernel::{contrastive, gradients, scaled};
use balance::library::decoder::DECODERS;
use balance::library::loss::{Activations, LOSSES, Mixed, Site, Term};
use balance::library::{Library, build};
use balance::nn::Mode;
use balance::seed::Stream;
use balance::tensor::Params;
use candle_core::{DType, Device, Result, Tensor, Var};

use crate::beside::{card, distance, tensor};

const DIM: usize = 12;
const CLASSES: usize = 4;
const IMAGE: ImageShape = ImageShape { height: 2, width: 3, channels: 2 };
const LABELS: [u32; 7] = [0, 1, 0, 3, 1, 0, 1];

/// A loss as it is without arguments, and with each word that it knows.
fn variants(defaults: &Bound) -> Vec<Bound> {
    let mut base = defaults.clone();
    for param in defaults.spec.params {
        if let Type::Component(_) = param.ty {
            let decoder = DECODERS.iter().find(|it| it.spec.name == "mlp_decoder");
            let decoder = Bound::defaults(&decoder.expect("registered").spec);
            base = base.with(param.name, Value::Component(Box::new(decoder)));
        }
    }
    let mut found = vec![base.clone()];
    for param in defaults.spec.params {
        if let Type::Choice(words) = param.ty {
            let with = |word: &&str| base.clone().with(param.name, Value::Word((*word).into()));
            found.extend(words.iter().map(with));
        }
    }
    found
}

fn numbers(it: &Tensor) -> Result<Vec<f32>> {
    it.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

/// What a batch of two views is to a term.
fn activations(embedding: &Tensor, mixed: bool) -> Result<Activations> {
    let (device, ImageShape { height, width, channels }) = (embedding.device(), IMAGE);
    let images = |count| tensor(&[count, height, width, channels], 7).to_device(device);
    Ok(Activations {
        embedding: embedding.clone(),
        input: images(2 * LABELS.len())?,
        clean: Some(images(LABELS.len())?),
        labels: LABELS.to_vec(),
        class_weights: None,
        groups: LABELS.iter().map(|label| label % 2).collect(),
        group_sizes: vec![9, 4, 0],
        views: 2,
        mixed: mixed.then(|| Mixed { own: 0.7, others: LABELS.iter().rev().copied().collect() }),
    })
}

/// The value in two steps of training, and the gradients of the second.
fn outcome(bound: &Bound, device: &Device, mixed: bool) -> Result<Vec<(String, Vec<f32>)>> {
    let library = Library::standard();
    let params = Params::new(Stream::new(5), DType::F32, device.clone());
    let site = Site { library: &library, dim: DIM, image: IMAGE, classes: CLASSES, groups: 3 };
    let term = build(LOSSES, bound).build(&site, &params.root())?;
    let embedding = tensor(&[2 * LABELS.len(), DIM], 1).to_device(device)?;
    let embedding = Var::from_tensor(&embedding)?;
    let value = || match &term {
        Term::Pairwise(parts) => Ok(contrastive(&embedding, &LABELS, 2, parts)?.0),
        Term::Single(term) => {
            term.value(&activations(&embedding, mixed)?, &Mode::Train(Stream::new(0)))
        }
    };
    let mut found = vec![("the first value".to_owned(), numbers(&value()?.detach())?)];
    // A kernel after the term, as in a model, whose record then has the term's own operations.
    let share = Tensor::new(0.7f32, device)?;
    let (second, grads) = gradients(|| scaled(&value()?, &share))?;
    found.push(("the second value".to_owned(), numbers(&second)?));
    let mut vars = params.vars();
    vars.push(("the embedding".to_owned(), embedding.clone()));
    for (name, var) in vars {
        let gradient = grads.get(&var).unwrap_or_else(|| panic!("{bound}: none for {name}"));
        found.push((name, numbers(gradient)?));
    }
    Ok(found)
}

#[test]
fn losses_are_those_of_the_cpu() {
    for entry in LOSSES {
        for bound in variants(&Bound::defaults(&entry.spec)) {
            for mixed in [false, true] {
                if mixed && entry.spec.name != "cross_entropy" {
                    continue;
                }
                let expected = outcome(&bound, &Device::Cpu, mixed);
                let expected = expected.unwrap_or_else(|error| panic!("{bound}: {error}"));
                let found = outcome(&bound, &card(), mixed);
                let found = found.unwrap_or_else(|error| panic!("{bound} on the card: {error}"));
                for ((name, found), (_, expected)) in found.iter().zip(&expected) {
                    let apart = distance(found, expected);
                    assert!(apart < 2e-5, "{bound}: {name} is {apart:.1e} apart");
                }
            }
        }
    }
}
