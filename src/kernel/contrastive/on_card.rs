//! Terms and classes as the kernels of a card read them.

use super::sets::Classes;
use super::{Denominator, Lengths, PairKind, PairTerm, Sum, Weighed};
use crate::kernel::card::contrastive::{Group, Sight, TERM, Table};

const POSITIVES: u32 = 1;
const NEGATIVES: u32 = 2;
const ALL: u32 = POSITIVES | NEGATIVES;

const EACH: u32 = 0;
const MEAN: u32 = 1;
const INSIDE: u32 = 2;

const TWINS: u32 = 1;
const OWN: u32 = 2;
const TOTAL: u32 = 4;
const CROSS: u32 = 8;
const APART: u32 = 16;

/// What a batch and its terms are to the kernels.
pub(super) fn table(classes: &Classes, terms: &[Weighed]) -> Table {
    let (views, items) = (classes.views(), classes.items());
    let ranges = || (0..items).map(|position| classes.class(position));
    let mut words: Vec<u32> = classes.order().map(|item| item as u32).collect();
    words.extend(ranges().map(|range| range.start as u32));
    words.extend(ranges().map(|range| range.end as u32));
    let (mut groups, mut weights, mut first) = (Vec::new(), Vec::new(), 0);
    let behind = words.len() + TERM * terms.len();
    for lengths in [Lengths::Free, Lengths::Unit, Lengths::Columns] {
        let chosen = || terms.iter().enumerate().filter(|(_, it)| it.term.lengths == lengths);
        for (index, weighed) in chosen() {
            let place = match &weighed.items {
                Some(of_items) => {
                    weights.extend(of_items.iter().map(|weight| bits(*weight)));
                    behind + weights.len() - items
                }
                None => 0,
            };
            words.extend(described(weighed, classes, [place, index]));
        }
        let count = chosen().count();
        if count > 0 {
            let cross = chosen().all(|(_, it)| it.term.cross);
            let sight = match lengths {
                Lengths::Columns => Sight::Columns,
                _ => Sight::Rows { unit: lengths == Lengths::Unit, cross },
            };
            groups.push(Group { first, count, sight });
            first += count;
        }
    }
    words.extend(weights);
    Table { views, items, words, groups }
}

/// A term, in the order of the kernels' own.
fn described(weighed: &Weighed, classes: &Classes, [place, index]: [usize; 2]) -> [u32; TERM] {
    let term = &weighed.term;
    let [kind, mask, flags] = sorts(term);
    let share = weighed.share(classes);
    [
        kind,
        mask,
        flags | if term.cross { CROSS } else { 0 },
        bits(1.0 / term.temperature),
        bits(term.clip.unwrap_or(f64::INFINITY)),
        bits(share),
        bits(term.weight * share),
        bits(term.weight),
        place as u32,
        index as u32,
        if term.cross { classes.items() as u32 } else { 0 },
    ]
}

/// The kind, what exponentials are added over, and what else there is to say.
fn sorts(term: &PairTerm) -> [u32; 3] {
    match term.kind {
        PairKind::ClassInfoNce => [MEAN, POSITIVES, TWINS],
        PairKind::InfoNce => [MEAN, ALL, TWINS],
        PairKind::SupCon { sum, denominator } => {
            let (mask, flags) = match denominator {
                Denominator::Own => (NEGATIVES, OWN),
                Denominator::All => (ALL, 0),
                Denominator::Negatives => (NEGATIVES, APART),
            };
            match sum {
                Sum::Out if denominator == Denominator::Own => [EACH, mask, flags],
                Sum::Out => [MEAN, mask, flags],
                Sum::In => [INSIDE, mask, flags],
                Sum::InTotal => [INSIDE, mask, flags | TOTAL],
            }
        }
    }
}

/// A number as the kernels have it.
fn bits(value: f64) -> u32 {
    (value as f32).to_bits()
}
