//! Contrastive terms, against the CPU in f64.

use balance::kernel::{
    Denominator, Lengths, NoPositive, PairKind, PairTerm, Sum, contrastive_weighted, gradients,
    holding_at_once,
};
use balance::seed::Stream;
use candle_core::{DType, Device, Result, Tensor, Var};

use crate::beside::card;

const fn sup(sum: Sum, denominator: Denominator) -> PairKind {
    PairKind::SupCon { sum, denominator }
}

const KINDS: [PairKind; 11] = [
    sup(Sum::Out, Denominator::Own),
    sup(Sum::Out, Denominator::All),
    sup(Sum::Out, Denominator::Negatives),
    sup(Sum::In, Denominator::Own),
    sup(Sum::In, Denominator::All),
    sup(Sum::In, Denominator::Negatives),
    sup(Sum::InTotal, Denominator::Own),
    sup(Sum::InTotal, Denominator::All),
    sup(Sum::InTotal, Denominator::Negatives),
    PairKind::ClassInfoNce,
    PairKind::InfoNce,
];

struct Batch {
    z: Tensor,
    labels: Vec<u32>,
    views: usize,
    terms: Vec<PairTerm>,
    weights: Vec<Option<Vec<f64>>>,
}

/// The total, each value, and the gradient of a multiple of the total.
struct Found {
    total: f64,
    values: Vec<f64>,
    gradient: Vec<f64>,
}

fn numbers(it: &Tensor) -> Result<Vec<f64>> {
    it.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

impl Batch {
    fn new(
        (items, views, dim): (usize, usize, usize),
        classes: usize,
        terms: Vec<PairTerm>,
    ) -> Self {
        let mut stream = Stream::new((items * views + dim) as u64);
        // Of lengths at which similarities in f32 are right to what is compared.
        let mut draw = || 0.3 * stream.normal() as f32;
        let values: Vec<f32> = (0..items * views * dim).map(|_| draw()).collect();
        let z = Tensor::from_vec(values, (items * views, dim), &Device::Cpu).unwrap();
        let labels = (0..items).map(|_| 3 * stream.below(classes) as u32).collect();
        Self { z, labels, views, terms, weights: Vec::new() }
    }

    fn run(&self, z: &Tensor) -> Result<Found> {
        let z = Var::from_tensor(z)?;
        let mut values = None;
        let (total, found) = gradients(|| {
            let Self { labels, views, terms, weights, .. } = self;
            let (total, each) = contrastive_weighted(&z, labels, *views, terms, weights)?;
            values = Some(each);
            total.affine(0.7, 0.0)
        })?;
        Ok(Found {
            total: numbers(&total)?[0],
            values: numbers(&values.expect("it has run"))?,
            gradient: numbers(found.get(&z).expect("the embeddings have a gradient"))?,
        })
    }

    /// Asserts that the card finds what the CPU finds in f64 of the same numbers.
    fn check(&self, name: &str) {
        // Products of two halves in bf16 leave 7e-6, and sums that the card cuts off a little more.
        for (dtype, most) in [(DType::F32, 2e-5), (DType::BF16, 5e-3)] {
            let z = self.z.to_dtype(dtype).unwrap();
            let expected = self.run(&z.to_dtype(DType::F64).unwrap()).unwrap();
            let found = self.run(&z.to_device(&card()).unwrap());
            let found = found.unwrap_or_else(|error| panic!("{name} in {dtype:?}: {error}"));
            for ((found, expected), term) in
                found.values.iter().zip(&expected.values).zip(&self.terms)
            {
                let apart = (found - expected).abs() / expected.abs().max(1.0);
                assert!(apart < 1e-5, "{name} in {dtype:?}, {term:?}: {found}, not {expected}");
            }
            let weighted = self.terms.iter().zip(&expected.values);
            let size: f64 = weighted.map(|(term, value)| (term.weight * value).abs()).sum();
            let (total, of_cpu) = (found.total, expected.total);
            assert!((total - of_cpu).abs() < 1e-5 * size.max(1.0), "{name}: {total}, not {of_cpu}");
            let pairs = found.gradient.iter().zip(&expected.gradient);
            let apart = pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
            let norm = expected.gradient.iter().map(|it| it * it).sum::<f64>().sqrt();
            let apart = apart / norm.max(1e-2);
            assert!(apart <= most, "{name} in {dtype:?}: gradients are {apart:.1e} apart");
        }
    }
}

fn any_term(stream: &mut Stream, kind: PairKind, views: usize) -> PairTerm {
    let cross = views > 1 && stream.below(2) == 0;
    let any = [Lengths::Free, Lengths::Unit, Lengths::Columns];
    PairTerm {
        kind,
        weight: stream.between(-1.0, 2.0),
        temperature: stream.between(0.3, 2.0),
        lengths: any[stream.below(if cross { 3 } else { 2 })],
        cross,
        clip: (stream.below(2) == 0).then(|| stream.between(0.1, 2.0)),
        scale: (stream.below(2) == 0).then(|| stream.between(0.1, 2.0)),
        no_positive: [NoPositive::Skip, NoPositive::Zero][stream.below(2)],
    }
}

#[test]
fn each_kind_alone_is_that_of_the_cpu() {
    for kind in KINDS {
        for cross in [false, true] {
            for clip in [None, Some(0.3)] {
                let term = PairTerm { cross, clip, ..PairTerm::new(kind) };
                let batch = Batch::new((37, 2, 17), 5, vec![term]);
                batch.check(&format!("{kind:?}, cross {cross}, clip {clip:?}"));
            }
        }
    }
}

#[test]
fn any_terms_together_are_those_of_the_cpu() {
    let mut stream = Stream::new(3);
    for round in 0..30 {
        let items = 1 + stream.below(40);
        let (views, dim) = (1 + stream.below(4), 2 + stream.below(60));
        let terms = KINDS.map(|kind| any_term(&mut stream, kind, views)).to_vec();
        // Of as many classes as items many have a single member.
        let classes = 1 + stream.below(items + 2);
        let mut batch = Batch::new((items, views, dim), classes, terms);
        if stream.below(2) == 0 {
            let mut weights =
                || (0..items).map(|_| stream.below(3) as f64 * 0.7).collect::<Vec<f64>>();
            batch.weights = vec![Some(weights()), None, Some(vec![0.0; items]), Some(weights())];
        }
        batch.check(&format!("round {round}"));
    }
}

#[test]
fn zero_vectors_are_compared_as_such() {
    for lengths in [Lengths::Free, Lengths::Unit, Lengths::Columns] {
        let term = |kind| PairTerm { lengths, cross: true, ..PairTerm::new(kind) };
        let mut batch = Batch::new((9, 2, 6), 3, KINDS.map(term).to_vec());
        let keep: Vec<f32> = (0..18).map(|row| f32::from(u8::from(row % 5 != 0))).collect();
        let keep = Tensor::from_vec(keep, (18, 1), &Device::Cpu).unwrap();
        batch.z = batch.z.broadcast_mul(&keep).unwrap();
        batch.check(&format!("zero vectors, {lengths:?}"));
    }
}

/// Rows that begin on 16 bytes, and sums in parts.
#[test]
fn sums_in_parts_are_those_of_the_cpu() {
    let terms = [PairKind::ClassInfoNce, KINDS[1], KINDS[3]].map(PairTerm::new).to_vec();
    Batch::new((512, 2, 12), 7, terms).check("1024 rows");
}

/// Tiles of 128 anchors, the last of 14 or of 4.
#[test]
fn more_anchors_than_are_held_at_once_are_those_of_the_cpu() {
    let terms = [PairKind::ClassInfoNce, KINDS[1], KINDS[3]].map(PairTerm::new).to_vec();
    for (items, dim) in [(263, 16), (258, 12)] {
        let batch = Batch::new((items, 2, dim), 7, terms.clone());
        holding_at_once(128 * 2 * items, || batch.check(&format!("tiles of {items} items")));
    }
}

/// Long rows, and sums in parts.
#[test]
fn large_batches_are_those_of_the_cpu() {
    let both = [PairKind::ClassInfoNce, sup(Sum::Out, Denominator::Own)];
    let terms = both.map(PairTerm::new).to_vec();
    Batch::new((1031, 2, 16), 7, terms.clone()).check("2062 rows");
    Batch::new((3072, 2, 8), 50, terms).check("6144 rows");
}

#[test]
fn the_same_batch_gives_the_same_bits() {
    let batch = Batch::new((300, 2, 33), 10, KINDS.map(PairTerm::new).to_vec());
    let z = batch.z.to_device(&card()).unwrap();
    let [one, other] = [batch.run(&z).unwrap(), batch.run(&z).unwrap()];
    assert_eq!((one.total, one.values), (other.total, other.values));
    assert_eq!(one.gradient, other.gradient);
}
