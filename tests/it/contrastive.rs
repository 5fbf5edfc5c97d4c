//! The contrastive terms against naive loops, on random batches and at extremes.

use balance::kernel::{Denominator, Lengths, NoPositive, PairKind, PairTerm, Sum, contrastive};
use balance::seed::Stream;
use candle_core::{DType, Device, Tensor, Var};

use crate::numeric::{check_gradients, normal, values};

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

/// A batch with everything that can vary drawn at random.
struct Batch {
    z: Tensor,
    labels: Vec<u32>,
    views: usize,
}

fn batch(stream: &mut Stream) -> Batch {
    let (items, views, dim) = (1 + stream.below(9), 1 + stream.below(3), 1 + stream.below(5));
    let classes = 1 + stream.below(4);
    let labels = (0..items).map(|_| 10 * stream.below(classes) as u32).collect();
    let values: Vec<f64> = (0..items * views * dim).map(|_| stream.normal()).collect();
    let z = Tensor::from_vec(values, (items * views, dim), &Device::Cpu).unwrap();
    Batch { z, labels, views }
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

/// What one anchor contributes, from its similarities to each of the `others`: (similarity,
/// whether of the same class, whether of the same item). None without positives.
fn naive_anchor(term: &PairTerm, others: &[(f64, bool, bool)]) -> Option<f64> {
    // Ratios stay when all similarities are lowered alike, and none overflows.
    let most = others.iter().fold(0.0, |most: f64, (similarity, ..)| most.max(*similarity));
    let others: Vec<_> = others.iter().map(|(s, class, item)| (s - most, *class, *item)).collect();
    let pick = |keep: &dyn Fn(bool, bool) -> bool| -> Vec<f64> {
        let kept = others.iter().filter(|(_, class, item)| keep(*class, *item));
        kept.map(|(similarity, ..)| *similarity).collect()
    };
    let total = |all: &[f64]| all.iter().map(|s| s.exp()).sum::<f64>();
    let (positives, negatives) = (pick(&|class, _| class), pick(&|class, _| !class));
    let (twins, all) = (pick(&|_, item| item), pick(&|_, _| true));
    let (numerators, denominator): (_, Box<dyn Fn(f64) -> f64>) = match term.kind {
        PairKind::SupCon { denominator: Denominator::Own, .. } => {
            (positives, Box::new(|s: f64| s.exp() + total(&negatives)))
        }
        PairKind::SupCon { denominator: Denominator::All, .. } => {
            (positives, Box::new(|_| total(&all)))
        }
        PairKind::SupCon { denominator: Denominator::Negatives, .. } => {
            if negatives.is_empty() {
                return None;
            }
            (positives, Box::new(|_| total(&negatives)))
        }
        PairKind::ClassInfoNce => (twins, Box::new(|_| total(&positives))),
        PairKind::InfoNce => (twins, Box::new(|_| total(&all))),
    };
    let clip = term.clip.unwrap_or(f64::INFINITY) - most;
    let ratios: Vec<f64> = numerators.iter().map(|s| s.min(clip).exp() / denominator(*s)).collect();
    let number = ratios.len() as f64;
    let value = match term.kind {
        PairKind::SupCon { sum: Sum::In, .. } => -(ratios.iter().sum::<f64>() / number).ln(),
        PairKind::SupCon { sum: Sum::InTotal, .. } => -ratios.iter().sum::<f64>().ln(),
        _ => ratios.iter().map(|ratio| -ratio.ln()).sum::<f64>() / number,
    };
    (number > 0.0).then_some(value * term.scale.map_or(1.0, |base| term.temperature / base))
}

fn naive(batch: &Batch, term: &PairTerm) -> f64 {
    let (items, dim) = (batch.labels.len(), batch.z.dim(1).unwrap());
    let rows: Vec<Vec<f64>> = values(&batch.z).chunks(dim).map(<[f64]>::to_vec).collect();
    let dot = |i: usize, j: usize| rows[i].iter().zip(&rows[j]).map(|(a, b)| a * b).sum::<f64>();
    let length = |i: usize| dot(i, i).sqrt();
    let compared = |i: usize, j: usize| match term.lengths {
        Lengths::Free => dot(i, j),
        Lengths::Unit => dot(i, j) / (length(i) * length(j)),
        Lengths::Columns => {
            let (view, item) = (i / items, j % items);
            dot(i, j) / (length(view * items + item) * length(j))
        }
    };
    let anchor = |i: usize, others: &dyn Fn(usize) -> bool| {
        let other = |j: usize| {
            let same_class = batch.labels[i % items] == batch.labels[j % items];
            (compared(i, j) / term.temperature, same_class, i % items == j % items)
        };
        let others: Vec<_> = (0..rows.len()).filter(|j| others(*j)).map(other).collect();
        naive_anchor(term, &others)
    };
    let parts: Vec<Option<f64>> = if term.cross {
        let pairs = (0..batch.views).flat_map(|a| (0..a).map(move |b| (a, b)));
        pairs
            .flat_map(|(a, b)| (0..items).map(move |item| (a * items + item, b)))
            .map(|(i, b)| anchor(i, &|j| j / items == b))
            .collect()
    } else {
        (0..rows.len()).map(|i| anchor(i, &|j| j != i)).collect()
    };
    let counted = match term.no_positive {
        NoPositive::Zero => parts.len(),
        _ => parts.iter().flatten().count(),
    };
    parts.iter().flatten().sum::<f64>() / counted.max(1) as f64
}

#[test]
fn random_batches_agree_with_naive_loops() {
    let mut stream = Stream::new(5);
    for _ in 0..200 {
        let batch = batch(&mut stream);
        let terms = KINDS.map(|kind| any_term(&mut stream, kind, batch.views));
        let (total, found) = contrastive(&batch.z, &batch.labels, batch.views, &terms).unwrap();
        let found = values(&found);
        let mut expected_total = 0.0;
        for (term, found) in terms.iter().zip(&found) {
            let expected = naive(&batch, term);
            assert!((found - expected).abs() < 1e-10, "{term:?}: {found}, not {expected}");
            expected_total += term.weight * expected;
        }
        assert!((values(&total)[0] - expected_total).abs() < 1e-9);
    }
}

#[test]
fn gradients_agree_with_differences() {
    let mut stream = Stream::new(6);
    for _ in 0..20 {
        let Batch { z, labels, views } = batch(&mut stream);
        let terms = KINDS.map(|kind| any_term(&mut stream, kind, views));
        check_gradients(&[z], |t| Ok(contrastive(&t[0], &labels, views, &terms)?.0));
    }
}

#[test]
fn a_batch_of_several_tiles_agrees_with_differences_and_naive_loops() {
    let labels: Vec<u32> = (0..131).map(|i| i * i % 7).collect();
    let z = normal("z", &[262, 9]);
    for cross in [false, true] {
        let terms = KINDS.map(|kind| PairTerm { cross, ..PairTerm::new(kind) });
        let (_, found) = contrastive(&z, &labels, 2, &terms).unwrap();
        let found = values(&found);
        let batch = Batch { z: z.clone(), labels: labels.clone(), views: 2 };
        for (term, found) in terms.iter().zip(&found) {
            assert!((found - naive(&batch, term)).abs() < 1e-10);
        }
        let z = std::slice::from_ref(&z);
        check_gradients(z, |t| Ok(contrastive(&t[0], &labels, 2, &terms)?.0));
    }
}

/// Total and gradient in `f32`.
fn run(z: &Tensor, labels: &[u32], terms: &[PairTerm]) -> Vec<f64> {
    let z = Var::from_tensor(&z.to_dtype(DType::F32).unwrap()).unwrap();
    let (total, _) = contrastive(&z, labels, 2, terms).unwrap();
    let gradient = total.backward().unwrap().get(&z).unwrap().clone();
    [values(&total), values(&gradient)].concat()
}

#[test]
fn f32_agrees_with_f64_and_with_itself_on_any_number_of_threads() {
    let labels: Vec<u32> = (0..300).map(|i| i % 10).collect();
    let z = normal("z", &[600, 33]);
    let terms = KINDS.map(PairTerm::new);
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&z, &labels, &terms))
    };
    let fast = bits(1);
    assert!(fast == bits(2) && fast == bits(4));
    let exact = Var::from_tensor(&z).unwrap();
    let (total, _) = contrastive(&exact, &labels, 2, &terms).unwrap();
    let gradient = values(total.backward().unwrap().get(&exact).unwrap());
    assert!((fast[0] / values(&total)[0] - 1.0).abs() < 1e-5);
    let scale = gradient.iter().fold(0.0, |scale: f64, g| scale.max(g.abs()));
    for (fast, exact) in fast[1..].iter().zip(&gradient) {
        assert!((fast - exact).abs() < 1e-4 * scale);
    }
}

#[test]
fn extremes_are_finite() {
    let zeros = Tensor::zeros((4, 3), DType::F64, &Device::Cpu).unwrap();
    let large = (normal("z", &[4, 3]) * 1e3).unwrap();
    let small = (normal("z", &[4, 3]) * 1e-8).unwrap();
    for z in [&zeros, &large, &small] {
        for labels in [[0, 0], [0, 1]] {
            for temperature in [0.01, 10.0] {
                for cross in [false, true] {
                    let terms =
                        KINDS.map(|kind| PairTerm { temperature, cross, ..PairTerm::new(kind) });
                    let found = run(z, &labels, &terms);
                    assert!(found.iter().all(|x| x.is_finite()), "{z} {labels:?} {found:?}");
                }
            }
        }
    }
}

#[test]
fn a_single_item_is_its_own_class() {
    let found = run(&normal("z", &[2, 3]), &[7], &KINDS.map(PairTerm::new));
    assert!(found.iter().all(|x| *x == 0.0), "{found:?}");
}

#[test]
fn unit_length_makes_scale_and_rotation_vanish() {
    let (z, labels) = (normal("z", &[12, 2]), [0, 1, 0, 1, 2, 2]);
    let rotation = Tensor::new(&[[0.6, -0.8], [0.8, 0.6]], &Device::Cpu).unwrap();
    let moved = (z.matmul(&rotation).unwrap() * 7.0).unwrap();
    let found = [&z, &moved]
        .map(|z| values(&contrastive(z, &labels, 2, &KINDS.map(PairTerm::new)).unwrap().1));
    for (a, b) in found[0].iter().zip(&found[1]) {
        assert!((a - b).abs() < 1e-12);
    }
}

#[test]
fn an_anchor_without_a_positive_is_an_error_where_it_shall_be() {
    let z = normal("z", &[3, 2]);
    let strict = |kind| PairTerm { no_positive: NoPositive::Error, ..PairTerm::new(kind) };
    let sup = sup(Sum::Out, Denominator::Own);
    let error = contrastive(&z, &[1, 1, 4], 1, &[strict(sup)]).unwrap_err().to_string();
    assert!(error.contains("class 4 has no positive"), "{error}");
    assert!(contrastive(&z, &[1, 1, 1], 1, &[strict(sup)]).is_ok());
    assert!(contrastive(&z, &[1, 1, 1], 1, &[strict(PairKind::InfoNce)]).is_err());
    assert!(contrastive(&z, &[1, 1], 1, &[]).is_err());
    let cold = PairTerm { temperature: 0.0, ..PairTerm::new(sup) };
    assert!(contrastive(&z, &[1, 1, 1], 1, &[cold]).is_err());
    let cross = PairTerm { cross: true, ..PairTerm::new(sup) };
    assert!(contrastive(&z, &[1, 1, 1], 1, &[cross]).is_err());
}
