//! Terms across views whose similarities are divided by the lengths of their columns, view by view.

use super::pass::{Parts, Pass, SMALLEST_NORM, squares};
use super::sets::Classes;
use super::{PairTerm, Weighed};
use crate::kernel::pieces::add;
use crate::kernel::real::Real;

/// The values of `terms`, and if `track` the gradient of their weighted sum by the sorted `z`.
///
/// Each pair of views is a problem of its own: the rows of the later one as they are, those of the
/// earlier one divided by both lengths of their item.
pub(super) fn run<T: Real>(z: &[T], classes: &Classes, terms: &[Weighed], track: bool) -> Parts<T> {
    let (views, half) = (classes.views(), z.len() / classes.views());
    let share = 2.0 / (views * (views - 1)) as f64;
    let of_pair = |it: &Weighed| {
        let term = PairTerm { weight: it.term.weight * share, ..it.term };
        Weighed { term, ..it.clone() }
    };
    let terms: Vec<_> = terms.iter().map(of_pair).collect();
    let two = classes.of_views(2);
    let pass = Pass::new(&two, &terms);
    let values = vec![0.0; terms.len()];
    let gradient = if track { vec![T::ZERO; z.len()] } else { Vec::new() };
    let mut sum = Parts { values, gradient };
    for later in 1..views {
        for earlier in 0..later {
            let [first, second] = [earlier, later].map(|view| view * half..(view + 1) * half);
            let pair = TwoViews::new(&z[second.clone()], &z[first.clone()], classes.items());
            let parts = pass.run(&pair.joined(), track);
            sum.values.iter_mut().zip(&parts.values).for_each(|(sum, it)| *sum += share * it);
            if track {
                let [of_later, of_earlier] = pair.gradient(&parts.gradient);
                add(&mut sum.gradient[second], &of_later);
                add(&mut sum.gradient[first], &of_earlier);
            }
        }
    }
    sum
}

/// Two views of the items of a batch.
struct TwoViews<'a, T> {
    later: &'a [T],
    earlier: &'a [T],
    /// One over the length of each item in either view; 0 for zero vectors.
    inverse: Vec<[T; 2]>,
    width: usize,
}

impl<'a, T: Real> TwoViews<'a, T> {
    fn new(later: &'a [T], earlier: &'a [T], items: usize) -> Self {
        let width = later.len() / items;
        let inverse = |row: &[T]| {
            let norm = squares(row).sqrt();
            if norm.to_f64() > SMALLEST_NORM { T::ONE / norm } else { T::ZERO }
        };
        let rows = later.chunks_exact(width).zip(earlier.chunks_exact(width));
        let inverse = rows.map(|(later, earlier)| [inverse(later), inverse(earlier)]).collect();
        Self { later, earlier, inverse, width }
    }

    /// The earlier view, divided, and then the later one.
    fn joined(&self) -> Vec<T> {
        let rows = self.earlier.chunks_exact(self.width).zip(&self.inverse);
        let divided = rows.flat_map(|(row, [a, b])| row.iter().map(|x| *x * *a * *b));
        divided.chain(self.later.iter().copied()).collect()
    }

    /// The gradients by the later and by the earlier view, from that by what [`Self::joined`]
    /// gives: a column is `e_b / (|e_a| |e_b|)`.
    fn gradient(&self, gradient: &[T]) -> [Vec<T>; 2] {
        let (columns, rows) = gradient.split_at(self.earlier.len());
        let (mut by_later, mut by_earlier) = (rows.to_vec(), columns.to_vec());
        for (item, [a, b]) in self.inverse.iter().enumerate() {
            let at = item * self.width..(item + 1) * self.width;
            let (earlier, later) = (&self.earlier[at.clone()], &self.later[at.clone()]);
            let (to_earlier, to_later) = (&mut by_earlier[at.clone()], &mut by_later[at]);
            let products = to_earlier.iter().zip(earlier).map(|(g, z)| *g * *z);
            let dot: T = products.sum::<T>() * *a * *b;
            for (at, to) in to_earlier.iter_mut().enumerate() {
                *to = *to * *a * *b - dot * *b * *b * earlier[at];
            }
            for (at, to) in to_later.iter_mut().enumerate() {
                *to -= dot * *a * *a * later[at];
            }
        }
        [by_later, by_earlier]
    }
}
