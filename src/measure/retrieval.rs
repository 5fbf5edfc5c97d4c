//! Retrieval: whether what is nearest to an item is of its class.

use rayon::prelude::*;

use crate::kernel::matrix::{Matrix, Product};

/// Queries that one task compares with the whole gallery.
const QUERIES: usize = 64;

/// Unit vectors, one after another, and the class of each.
#[derive(Debug, Clone, Copy)]
pub struct Items<'a> {
    pub unit: &'a [f32],
    pub labels: &'a [u32],
}

/// What a query finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Whether the nearest item is of the query's class.
    pub first: bool,
    /// The mean over the first R items, R being how many of its class there are, of the precision
    /// up to each that is of its class, and of zero for the others (Musgrave et al., 2020).
    pub precision: f64,
}

/// What each of `queries` finds in `gallery`, by inner product, equal ones in the gallery's order.
/// The query `first + i` of a gallery that the queries are `part_of` does not find itself. None for
/// a query that the gallery has no other item for.
pub fn retrieve(
    queries: Items,
    gallery: Items,
    dim: usize,
    part_of: Option<usize>,
) -> Vec<Option<Found>> {
    let classes = gallery.labels.iter().chain(queries.labels).max().map_or(0, |most| most + 1);
    let mut sizes = vec![0; classes as usize];
    gallery.labels.iter().for_each(|label| sizes[*label as usize] += 1);
    let tasks = queries.unit.par_chunks(QUERIES * dim).zip(queries.labels.par_chunks(QUERIES));
    let found = tasks.enumerate().map(|(at, (unit, labels))| {
        let own = part_of.map(|first| first + at * QUERIES);
        task(Items { unit, labels }, gallery, dim, own, &sizes)
    });
    found.collect::<Vec<_>>().concat()
}

fn task(
    queries: Items,
    gallery: Items,
    dim: usize,
    own: Option<usize>,
    sizes: &[usize],
) -> Vec<Option<Found>> {
    let (rows, columns) = (queries.labels.len(), gallery.labels.len());
    let mut similarities = vec![0.0; rows * columns];
    Product::into(&mut similarities, columns)
        .of(Matrix::new(queries.unit, rows, dim), Matrix::new(gallery.unit, columns, dim).t());
    let mut keys = Vec::with_capacity(columns);
    let rows = similarities.chunks_exact(columns.max(1)).zip(queries.labels).enumerate();
    let found = rows.map(|(row, (similarities, label))| {
        let own = own.map(|own| own + row);
        let relevant = sizes[*label as usize] - usize::from(own.is_some());
        keys.clear();
        let others = similarities.iter().enumerate().filter(|(at, _)| Some(*at) != own);
        keys.extend(others.map(|(at, similarity)| key(*similarity, at)));
        (relevant > 0).then(|| ranked(&mut keys, relevant, |at| gallery.labels[at] == *label))
    });
    found.collect()
}

/// A number that is smaller for what is nearer, and for what is earlier where that is equal.
fn key(similarity: f32, at: usize) -> u64 {
    let bits = similarity.to_bits();
    let rising = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    u64::from(!rising) << 32 | at as u64
}

/// What is found when the nearest `relevant` of `keys` are looked at in turn.
fn ranked(keys: &mut [u64], relevant: usize, is_right: impl Fn(usize) -> bool) -> Found {
    if relevant < keys.len() {
        keys.select_nth_unstable(relevant);
    }
    let nearest = &mut keys[..relevant];
    nearest.sort_unstable();
    let (mut right, mut sum) = (0, 0.0);
    for (rank, key) in nearest.iter().enumerate() {
        if is_right((*key & u64::from(u32::MAX)) as usize) {
            right += 1;
            sum += f64::from(right) / (rank + 1) as f64;
        }
    }
    let first = is_right((nearest[0] & u64::from(u32::MAX)) as usize);
    Found { first, precision: sum / relevant as f64 }
}
