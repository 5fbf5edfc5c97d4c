//! Regular two-level fractional factorial designs, and which effects they cannot tell apart.
//!
//! A factor is a column over the base factors, written as the bits of those it is the product of;
//! the resolution is the length of the shortest product of columns that is constant.

use std::collections::BTreeMap;

use crate::diag::{Diagnostic, Span, codes};

/// Pairs of effects a note lists before it breaks off.
const LISTED: usize = 8;

/// A fraction of all combinations of some two-level factors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fraction {
    /// Base factors: 2 to this power rows.
    base: usize,
    /// One for each factor; the base factors come first.
    columns: Vec<u32>,
    resolution: usize,
}

impl Fraction {
    /// The smallest fraction of at least `resolution`, 3 to 5, for as many factors or more; of
    /// those of its size, one of the highest resolution that taking the next column that fits finds.
    pub fn of(factors: usize, resolution: usize) -> Self {
        (resolution - 1..=factors)
            .find_map(|base| {
                let mut finer = (resolution..=factors.max(resolution)).rev();
                finer.find_map(|resolution| Self::with_base(factors, base, resolution))
            })
            .expect("all combinations are a design of any resolution")
    }

    fn with_base(factors: usize, base: usize, resolution: usize) -> Option<Self> {
        let mut columns: Vec<u32> = (0..base).map(|at| 1 << at).collect();
        for column in 3..1u32 << base {
            if columns.len() == factors {
                break;
            }
            if !is_product(&columns, column, resolution - 2) {
                columns.push(column);
            }
        }
        (columns.len() == factors).then_some(Self { base, columns, resolution })
    }

    /// The level of every factor in every row: 0 is the first level, which the first row has
    /// throughout.
    pub fn rows(&self) -> Vec<Vec<usize>> {
        let level = |row: u32, column: &u32| ((row & column).count_ones() % 2) as usize;
        // The first factor moves slowest, as the first axis of a sweep does.
        let row = |number: u32| number.reverse_bits() >> (32 - self.base as u32);
        (0..1u32 << self.base)
            .map(|number| self.columns.iter().map(|column| level(row(number), column)).collect())
            .collect()
    }

    /// What the design cannot tell apart, of the factors called `names`.
    pub fn note(&self, names: &[String], span: Span) -> Diagnostic {
        let (runs, all) = (1u64 << self.base, 1u64 << names.len());
        let message = format!("{runs} of {all} combinations: some effects cannot be told apart");
        let diagnostic = Diagnostic::new(&codes::CONFOUNDED, message)
            .at(span, format!("resolution {}", self.resolution));
        let groups = self.confounded(names);
        let mut help: Vec<String> = groups.iter().take(LISTED).cloned().collect();
        if groups.len() > LISTED {
            help.push(format!("and {} more", groups.len() - LISTED));
        }
        if self.resolution > 3 {
            help.push("each main effect is clear of all interactions of two".to_owned());
        }
        if self.resolution > 4 {
            help.push("interactions of two are clear of each other".to_owned());
        }
        help.into_iter().fold(diagnostic, Diagnostic::help)
    }

    /// Main effects and interactions of two that are one and the same here, a line for each.
    fn confounded(&self, names: &[String]) -> Vec<String> {
        let mut effects: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for (column, name) in self.columns.iter().zip(names) {
            effects.entry(*column).or_default().push(format!("`{name}`"));
        }
        for (at, (a, first)) in self.columns.iter().zip(names).enumerate() {
            for (b, second) in self.columns.iter().zip(names).skip(at + 1) {
                let pair = format!("`{first} × {second}`");
                effects.entry(a ^ b).or_default().push(pair);
            }
        }
        let groups = effects.into_values().filter(|effects| effects.len() > 1);
        groups.map(|effects| effects.join(" = ")).collect()
    }
}

/// Whether `column` is the product of at most `most` of `columns`.
fn is_product(columns: &[u32], column: u32, most: usize) -> bool {
    if column == 0 {
        return true;
    }
    let within =
        |(at, first): (usize, &u32)| is_product(&columns[at + 1..], column ^ first, most - 1);
    most > 0 && columns.iter().enumerate().any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length of the shortest constant product, by trying all.
    fn resolution(rows: &[Vec<usize>]) -> usize {
        let factors = rows[0].len();
        let is_constant = |word: u32| {
            let parity = |row: &Vec<usize>| {
                (0..factors).filter(|at| word >> at & 1 == 1).map(|at| row[at]).sum::<usize>() % 2
            };
            rows.iter().all(|row| parity(row) == parity(&rows[0]))
        };
        let words = (1u32..1 << factors).filter(|word| is_constant(*word));
        words.map(|word| word.count_ones() as usize).min().unwrap_or(factors + 1)
    }

    /// Table 3.17 of the NIST handbook: factors, resolution asked for, runs, resolution found.
    const PUBLISHED: &[(usize, usize, usize, usize)] = &[
        (3, 3, 4, 3),
        (4, 3, 8, 4),
        (5, 3, 8, 3),
        (6, 3, 8, 3),
        (7, 3, 8, 3),
        (8, 3, 16, 4),
        (9, 3, 16, 3),
        (10, 3, 16, 3),
        (11, 3, 16, 3),
        (4, 4, 8, 4),
        (6, 4, 16, 4),
        (7, 4, 16, 4),
        (9, 4, 32, 4),
        (5, 5, 16, 5),
        (6, 5, 32, 6),
        (7, 5, 64, 7),
        (8, 5, 64, 5),
        (9, 5, 128, 6),
        (10, 5, 128, 5),
        (11, 5, 128, 5),
    ];

    #[test]
    fn fractions_are_as_small_as_the_published_ones() {
        for (factors, asked, runs, found) in PUBLISHED {
            let rows = Fraction::of(*factors, *asked).rows();
            assert_eq!((rows.len(), resolution(&rows)), (*runs, *found), "{factors} {asked}");
        }
    }

    #[test]
    fn every_factor_is_balanced_against_every_other() {
        let rows = Fraction::of(7, 3).rows();
        for a in 0..7 {
            for b in 0..a {
                let both = |x, y| rows.iter().filter(|row| (row[a], row[b]) == (x, y)).count();
                assert_eq!([both(0, 0), both(0, 1), both(1, 0), both(1, 1)], [2; 4]);
            }
        }
        assert_eq!(rows[0], [0; 7]);
    }
}
