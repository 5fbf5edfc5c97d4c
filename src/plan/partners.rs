//! Anchors that stand alone: how many have no other example of their class in the batch.

use super::batches::Balance;
use super::constant::is_word;
use super::schedule::short;
use crate::catalog::{Bound, ClassMap};
use crate::diag::{Diagnostic, codes};
use crate::resolve::{Stage, Term};

/// A share of lonely anchors that is worth a word.
const LONELY: f64 = 0.1;

/// A share that is as good as none.
const FEW: f64 = 0.01;

/// A term for which an anchor without a partner is lost, on `images` training images of the
/// classes in `map`, which may be those of the data.
pub(super) fn partners(
    stage: &Stage,
    term: &Term,
    (map, is_own): (&ClassMap, bool),
    images: usize,
) -> Option<Diagnostic> {
    let fate = fate(term, stage.views.node)?;
    let train = &stage.train;
    let draw = Draw { images, drop_last: train.drop_last, classes: sizes(map, images) };
    let batch = train.together();
    let share = match Balance::of(&train.method.sampler.bound) {
        None => draw.lonely(batch)?,
        Some(balance) if is_own => balanced(stage, &balance, map)?,
        Some(_) => return None,
    };
    // One lonely anchor in an epoch is enough to stop a training that is told to.
    let is_many = share >= LONELY || (fate.stops && share * images as f64 >= 1.0);
    if !is_many {
        return None;
    }
    let (part, place) = match &train.method.accumulate {
        Some(pieces) if pieces.node > 1 => ("piece", pieces.span),
        _ => ("batch", train.batch.span),
    };
    let classes = map.names.len();
    let per_class = batch as f64 / classes as f64;
    let mut diagnostic = Diagnostic::new(&codes::PARTNERS, message(share))
        .at(stage.data.span, format!("{classes} classes"))
        .at(place, format!("{} examples of each class per batch", short_count(per_class)))
        .at(term.call.span, fate.label);
    if stage.views.node == 1 && fate.has_twins {
        diagnostic = diagnostic.help("`views = 2` makes a second view of each image its partner");
    }
    let is_plain = train.method.sampler.bound.spec.name == "shuffled";
    let at_least = (batch / 2).min(4);
    if is_plain && is_own && at_least > 1 && part == "batch" {
        diagnostic = diagnostic.help(format!(
            "`sampler = balanced(at_least={at_least})` gives every anchor {}, at the same batch size",
            others(at_least - 1)
        ));
    }
    if !is_plain {
        diagnostic = diagnostic.help("`at_least=2` gives every anchor a partner");
    }
    if let Some((batch, share)) = draw.enough(batch).filter(|_| is_plain && part == "batch") {
        let share = in_percent(share);
        let help = format!("`batch = {batch}` brings the share down to {share}");
        diagnostic = diagnostic.help(help);
    }
    Some(diagnostic)
}

/// The share of lonely anchors in batches with equal shares of each class; none where they are not
/// of the classes that a term reads, or a batch is divided.
fn balanced(stage: &Stage, balance: &Balance, map: &ClassMap) -> Option<f64> {
    let train = &stage.train;
    if balance.by_group || train.together() < train.batch.node {
        return None;
    }
    let (batch, classes) = (train.batch.node, map.names.len());
    let held = balance.held(batch, classes);
    // Of `held` classes those have two that the rest of the batch is shared among.
    let alone = if batch / held >= 2 { 0 } else { held - batch % held };
    Some(alone as f64 / batch as f64)
}

fn others(count: usize) -> &'static str {
    match count {
        1 => "one other",
        2 => "two others",
        _ => "three others",
    }
}

fn message(share: f64) -> String {
    let share = in_percent(share);
    format!("{share} of the anchors will have no second example of their class in the batch")
}

/// `28%`, `0.6%`, `0.012%`
fn in_percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent >= 1.0 => format!("{percent:.0}%"),
        percent if percent >= 0.05 => format!("{percent:.1}%"),
        percent => format!("{}%", short(percent)),
    }
}

fn short_count(count: f64) -> String {
    if count < 0.1 { short(count) } else { format!("{count:.1}") }
}

/// What becomes of an anchor that is alone in its class.
struct Fate {
    label: &'static str,
    /// Whether a second view of an image would be its partner.
    has_twins: bool,
    /// Whether it ends the training.
    stops: bool,
}

/// None for a term that no anchor is lost to: with two views the supervised contrastive loss
/// counts an image's other view as a positive.
fn fate(term: &Term, views: usize) -> Option<Fate> {
    let bound = &term.call.bound;
    let is_cross = is_word(bound, "pairs", "cross");
    match bound.spec.name {
        "class_infonce" if is_cross || views == 2 => {
            Some(lost("needs two; alone it is 0, without gradient"))
        }
        "class_infonce" if views > 2 => {
            Some(lost("needs two; alone it only tells its views apart"))
        }
        "supcon" if !is_cross && views == 1 => Some(Fate { has_twins: true, ..unpaired(bound) }),
        _ => None,
    }
}

fn lost(label: &'static str) -> Fate {
    Fate { label, has_twins: false, stops: false }
}

/// What `no_positive` makes of an anchor without a positive.
fn unpaired(bound: &Bound) -> Fate {
    if is_word(bound, "no_positive", "error") {
        return Fate { stops: true, ..lost("needs two; one that is alone ends training") };
    }
    if is_word(bound, "no_positive", "zero") {
        return lost("needs two; alone it counts as 0, without gradient");
    }
    lost("needs two; alone it is left out of the mean")
}

/// How many of `images` are in a class, were the fine classes of one size, and how many classes have
/// that many.
fn sizes(map: &ClassMap, images: usize) -> Vec<(f64, usize)> {
    let mut of_class = vec![0; map.names.len()];
    map.of_fine.iter().for_each(|class| of_class[*class as usize] += 1);
    of_class.sort_unstable();
    let share = images as f64 / map.of_fine.len() as f64;
    let alike = of_class.chunk_by(|a, b| a == b);
    alike.map(|classes| (classes[0] as f64 * share, classes.len())).collect()
}

/// Batches drawn without replacement, epoch by epoch.
struct Draw {
    images: usize,
    drop_last: bool,
    /// The sizes of classes, and how many have each.
    classes: Vec<(f64, usize)>,
}

impl Draw {
    /// The expected share of anchors that are alone in their class.
    fn lonely(&self, batch: usize) -> Option<f64> {
        if batch > self.images {
            return None;
        }
        let rest = self.images % batch;
        let whole = self.alone(batch);
        if self.drop_last || rest == 0 {
            return Some(whole);
        }
        let share = rest as f64 / self.images as f64;
        Some((1.0 - share) * whole + share * self.alone(rest))
    }

    /// The same in batches of `batch` alone: for each class the chance that none of the other
    /// images drawn is one of it (hypergeometric).
    fn alone(&self, batch: usize) -> f64 {
        let images = self.images as f64;
        let chance = |size: f64| {
            let mut chance = size / images;
            for drawn in 0..batch - 1 {
                let left = images - 1.0 - drawn as f64;
                chance *= ((images - size - drawn as f64) / left).max(0.0);
                if chance < 1e-9 {
                    return 0.0;
                }
            }
            chance
        };
        self.classes.iter().map(|(size, count)| *count as f64 * chance(*size)).sum()
    }

    /// The first doubling of `batch` that leaves few anchors alone, with their share.
    fn enough(&self, batch: usize) -> Option<(usize, f64)> {
        let doubled = std::iter::successors(Some(batch), |batch| batch.checked_mul(2));
        let mut shares = doubled.skip(1).map_while(|batch| Some((batch, self.lonely(batch)?)));
        shares.find(|(_, share)| *share < FEW)
    }
}
