//! The pass over tiles of anchors: similarities, their derivatives, and the way back to the
//! embeddings, once for all terms that see the embeddings the same way.

use std::ops::Range;

use rayon::prelude::*;

use super::sets::Classes;
use super::term::add_term;
use super::{Lengths, Weighed, columns};
use crate::kernel::lanes::{sum_of, sum_pairs};
use crate::kernel::matrix::Matrix;
use crate::kernel::pieces::{add, fold, ranges, room, scratch, shares};
use crate::kernel::product::{Apart, Finish, Panels, packed, product};
use crate::kernel::real::Real;
use crate::kernel::wide::wide;

/// Anchors of a tile.
const TILE: usize = 64;

/// Norms at or below this are those of zero vectors.
pub(super) const SMALLEST_NORM: f64 = 1e-12;

/// The unweighted values of `terms`, and if `track` the gradient of their weighted sum by `z`.
pub(super) fn run<T: Real>(
    z: &[T],
    classes: &Classes,
    terms: &[Weighed],
    track: bool,
) -> (Vec<f64>, Option<Vec<T>>) {
    let sorted = sorted(z, classes);
    let mut values = vec![0.0; terms.len()];
    let mut gradient = track.then(|| vec![T::ZERO; z.len()]);
    for lengths in [Lengths::Free, Lengths::Unit, Lengths::Columns] {
        let chosen = terms.iter().enumerate().filter(|(_, it)| it.term.lengths == lengths);
        let (indices, chosen): (Vec<usize>, Vec<Weighed>) =
            chosen.map(|(at, term)| (at, term.clone())).unzip();
        if chosen.is_empty() {
            continue;
        }
        let parts = of_lengths(lengths, &sorted, (classes, &chosen), track);
        for (index, value) in indices.into_iter().zip(parts.values) {
            values[index] = value;
        }
        if let Some(sum) = &mut gradient {
            add(sum, &parts.gradient);
        }
    }
    (values, gradient.map(|gradient| unsorted(&gradient, classes)))
}

/// The parts of terms that all see the lengths of embeddings as `lengths`.
fn of_lengths<T: Real>(
    lengths: Lengths,
    sorted: &[T],
    (classes, terms): (&Classes, &[Weighed]),
    track: bool,
) -> Parts<T> {
    if lengths == Lengths::Columns {
        return columns::run(sorted, classes, terms, track);
    }
    let mut norms = Norms::of(sorted, classes.rows(), lengths == Lengths::Unit);
    let parts = Pass::new(classes, terms).run(&norms.scaled(sorted), track);
    let gradient = if track { norms.gradient(sorted, parts.gradient) } else { Vec::new() };
    Parts { gradient, ..parts }
}

fn sorted<T: Real>(z: &[T], classes: &Classes) -> Vec<T> {
    let width = z.len() / classes.rows();
    let mut sorted = Vec::with_capacity(z.len());
    for row in classes.sorted_rows() {
        sorted.extend_from_slice(&z[row * width..(row + 1) * width]);
    }
    sorted
}

fn unsorted<T: Real>(sorted: &[T], classes: &Classes) -> Vec<T> {
    let width = sorted.len() / classes.rows();
    let mut z = room(sorted.len());
    for (row, values) in classes.sorted_rows().zip(sorted.chunks_exact(width)) {
        z[row * width..(row + 1) * width].copy_from_slice(values);
    }
    z
}

/// One over the norm of each embedding: 0 for zero vectors, none where embeddings stay as they are.
struct Norms<T> {
    inverse: Option<Vec<T>>,
    width: usize,
}

impl<T: Real> Norms<T> {
    fn of(z: &[T], rows: usize, normalize: bool) -> Self {
        let width = z.len() / rows;
        let inverse = |row: &[T]| {
            let norm = squares(row).sqrt();
            if norm.to_f64() > SMALLEST_NORM { T::ONE / norm } else { T::ZERO }
        };
        Self { inverse: normalize.then(|| z.chunks_exact(width).map(inverse).collect()), width }
    }

    fn scaled(&self, z: &[T]) -> Vec<T> {
        let Some(inverse) = &self.inverse else { return z.to_vec() };
        let mut scaled = room(z.len());
        let rows = scaled.chunks_exact_mut(self.width).zip(z.chunks_exact(self.width));
        rows.zip(inverse).for_each(|((to, row), inverse)| multiple(to, row, *inverse));
        scaled
    }

    /// The gradient by the embeddings from that by the scaled embeddings u = z/|z|:
    /// `(g - (g·u) u) / |z|`.
    fn gradient(&mut self, z: &[T], mut gradient: Vec<T>) -> Vec<T> {
        let Some(inverse) = &self.inverse else { return gradient };
        let rows = gradient.chunks_exact_mut(self.width).zip(z.chunks_exact(self.width));
        for ((gradient, z), inverse) in rows.zip(inverse) {
            project(gradient, z, *inverse);
        }
        gradient
    }
}

wide! {
    pub(super) fn squares<T: Real>(row: &[T]) -> T {
        sum_of(row, |x| x * x)
    }
}

wide! {
    fn multiple<T: Real>(to: &mut [T], row: &[T], factor: T) {
        for (to, x) in to.iter_mut().zip(row) {
            *to = *x * factor;
        }
    }
}

wide! {
    fn project<T: Real>(gradient: &mut [T], z: &[T], inverse: T) {
        let dot = sum_pairs(gradient, z, |g, z| g * z) * inverse * inverse;
        for (gradient, z) in gradient.iter_mut().zip(z) {
            *gradient = (*gradient - dot * *z) * inverse;
        }
    }
}

/// The terms of a pass, each with its share: what an anchor's part of the mean is multiplied by.
pub(super) struct Pass<'a> {
    classes: &'a Classes,
    terms: Vec<(Weighed, f64)>,
    /// The anchors; those of the first view are none when only views are compared.
    anchors: Range<usize>,
    /// The columns they are compared with start at 0 and end here.
    columns: usize,
}

/// The embeddings, row by row and laid out as factors of products.
struct Laid<'a, T> {
    rows: Matrix<'a, T>,
    /// The transpose of the columns, on the right of anchors.
    compared: Panels<'a, T>,
    /// The columns, on the right of derivatives.
    columns: Panels<'a, T>,
}

/// What some of the anchors contribute.
pub(super) struct Parts<T> {
    pub(super) values: Vec<f64>,
    /// The gradient by all embeddings; empty when it is not wanted.
    pub(super) gradient: Vec<T>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(classes: &'a Classes, terms: &[Weighed]) -> Self {
        let terms: Vec<_> = terms.iter().map(|it| (it.clone(), it.share(classes))).collect();
        let (rows, items) = (classes.rows(), classes.items());
        let cross = terms.iter().all(|(it, _)| it.term.cross);
        let (anchors, columns) = if cross { (items..rows, rows - items) } else { (0..rows, rows) };
        Self { classes, terms, anchors, columns }
    }

    pub(super) fn run<T: Real>(&self, z: &[T], track: bool) -> Parts<T> {
        let width = z.len() / self.classes.rows();
        let rows = Matrix::new(z, self.classes.rows(), width);
        let columns = rows.rows(0..self.columns);
        let values = [packed(columns.t()), if track { packed(columns) } else { Vec::new() }];
        let none = Panels::of((0, 0), &[]);
        let laid = Laid {
            rows,
            compared: Panels::of((width, self.columns), &values[0]),
            columns: if track { Panels::of((self.columns, width), &values[1]) } else { none },
        };
        let shares = shares(self.anchors.len(), 8, TILE);
        let anchors =
            |share: Range<usize>| self.anchors.start + share.start..self.anchors.start + share.end;
        let parts: Vec<Parts<T>> =
            shares.into_par_iter().map(|share| self.share(&laid, anchors(share), track)).collect();
        let mut values = vec![0.0; self.terms.len()];
        for part in &parts {
            values.iter_mut().zip(&part.values).for_each(|(value, part)| *value += part);
        }
        let gradients = parts.into_iter().map(|part| part.gradient).collect();
        Parts { values, gradient: fold(gradients, 0) }
    }

    fn share<T: Real>(&self, laid: &Laid<T>, anchors: Range<usize>, track: bool) -> Parts<T> {
        let values = vec![0.0; self.terms.len()];
        let (rows, width) = laid.rows.size();
        let gradient = if track { vec![T::ZERO; rows * width] } else { Vec::new() };
        let mut parts = Parts { values, gradient };
        for tile in ranges(anchors.len(), TILE) {
            let anchors = anchors.start + tile.start..anchors.start + tile.end;
            scratch(2 * anchors.len() * self.columns, |buffer| {
                self.tile(laid, anchors, buffer, &mut parts);
            });
        }
        parts
    }

    fn tile<T: Real>(
        &self,
        laid: &Laid<T>,
        anchors: Range<usize>,
        buffer: &mut [T],
        parts: &mut Parts<T>,
    ) {
        let (rows, width) = (laid.rows.rows(anchors.clone()), laid.rows.size().1);
        let (dots, gradients) = buffer.split_at_mut(anchors.len() * self.columns);
        laid.compared.times(rows, dots, Finish::default());
        self.differentiate(dots, anchors.clone(), parts, gradients);
        if parts.gradient.is_empty() {
            return;
        }
        let gradients = Matrix::new(gradients, anchors.len(), self.columns);
        let onto = Finish { onto: true, ..Finish::default() };
        let own = &mut parts.gradient[anchors.start * width..anchors.end * width];
        laid.columns.times(gradients, own, onto);
        let to = Apart { to: &mut parts.gradient, row_stride: width };
        product(gradients.t(), rows, to, onto);
    }

    /// Adds the anchors' values and sets `gradients` to the derivatives by their dot products.
    fn differentiate<T: Real>(
        &self,
        dots: &[T],
        anchors: Range<usize>,
        parts: &mut Parts<T>,
        gradients: &mut [T],
    ) {
        let track = !parts.gradient.is_empty();
        gradients.fill(T::ZERO);
        let rows = dots.chunks_exact(self.columns).zip(gradients.chunks_exact_mut(self.columns));
        for (anchor, (dots, gradient)) in anchors.zip(rows) {
            let size = self.classes.class_size(anchor);
            let (mut pooled, mut across) = (None, None);
            let position = anchor % self.classes.items();
            for ((weighed, share), value) in self.terms.iter().zip(&mut parts.values) {
                let (term, share) = (&weighed.term, share * weighed.of_item(position));
                if !term.counts(self.classes, size) {
                    continue;
                }
                let contrasts = match term.cross {
                    true => &across.get_or_insert_with(|| self.classes.across(anchor))[..],
                    false => std::slice::from_ref(
                        pooled.get_or_insert_with(|| self.classes.pooled(anchor)),
                    ),
                };
                for contrast in contrasts {
                    let gradient = track.then_some(&mut *gradient);
                    let weight = term.weight * share;
                    *value += share * add_term(term, dots, contrast, weight, gradient);
                }
            }
        }
    }
}
