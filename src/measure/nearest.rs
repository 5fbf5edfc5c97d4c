//! The nearest rows of a memory, by inner product, block by block.

use std::cmp::Ordering;

use rayon::prelude::*;

use crate::kernel::matrix::{Matrix, Product};

/// Rows that one task compares with the memory, and rows of the memory it sees at once: their
/// similarities fit into a core's cache.
const QUERIES: usize = 64;
const MEMORY: usize = 1024;

/// A row of the memory, as seen from a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    pub similarity: f32,
    pub index: usize,
}

impl Neighbour {
    /// Nearer first, then in the order of the memory.
    fn order(a: &Self, b: &Self) -> Ordering {
        b.similarity.total_cmp(&a.similarity).then(a.index.cmp(&b.index))
    }
}

/// The `k` rows of `memory` whose inner product with each row of `queries` is largest, nearest
/// first, equal ones in the order of the memory; all of them when there are fewer.
pub fn nearest(queries: &[f32], memory: &[f32], dim: usize, k: usize) -> Vec<Vec<Neighbour>> {
    let k = k.min(memory.len() / dim.max(1));
    let tasks = queries.par_chunks((QUERIES * dim).max(1));
    let found = tasks.map(|queries| search(queries, memory, dim, k));
    found.collect::<Vec<_>>().concat()
}

/// The same on the calling thread.
fn search(queries: &[f32], memory: &[f32], dim: usize, k: usize) -> Vec<Vec<Neighbour>> {
    let count = queries.len() / dim;
    let mut nearest: Vec<Nearest> = (0..count).map(|_| Nearest::new(k)).collect();
    let mut similarities = vec![0.0; count * MEMORY];
    for (block, memory) in memory.chunks(MEMORY * dim).enumerate() {
        let width = memory.len() / dim;
        Product::into(&mut similarities, width)
            .of(Matrix::new(queries, count, dim), Matrix::new(memory, width, dim).t());
        for (nearest, row) in nearest.iter_mut().zip(similarities.chunks_exact(width)) {
            nearest.see(block * MEMORY, row);
        }
    }
    nearest.into_iter().map(Nearest::sorted).collect()
}

/// The nearest `k` so far, among others.
struct Nearest {
    k: usize,
    candidates: Vec<Neighbour>,
    /// What a further neighbour must exceed.
    bar: f32,
}

impl Nearest {
    fn new(k: usize) -> Self {
        Self { k, candidates: Vec::with_capacity(2 * k), bar: f32::NEG_INFINITY }
    }

    /// Takes in the similarities to the rows of the memory from `first` on.
    fn see(&mut self, first: usize, similarities: &[f32]) {
        for (offset, similarity) in similarities.iter().enumerate() {
            if *similarity > self.bar {
                let neighbour = Neighbour { similarity: *similarity, index: first + offset };
                self.candidates.push(neighbour);
                if self.candidates.len() == 2 * self.k {
                    self.drop_the_rest();
                }
            }
        }
    }

    fn drop_the_rest(&mut self) {
        let (_, last, _) = self.candidates.select_nth_unstable_by(self.k - 1, Neighbour::order);
        self.bar = last.similarity;
        self.candidates.truncate(self.k);
    }

    fn sorted(mut self) -> Vec<Neighbour> {
        self.candidates.sort_unstable_by(Neighbour::order);
        self.candidates.truncate(self.k);
        self.candidates
    }
}
