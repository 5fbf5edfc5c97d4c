//! Training on some images of each class: which classes keep how many.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Bound, ClassMap, DatasetFacts, Division, Labels, Natural, TooMany, shares};
use crate::choice;

choice! {
    /// How the images of a class are drawn.
    Draw {
        /// Different ones, of the training images alone; a class that has fewer keeps all.
        Once = "once",
        /// As the code of Chen et al. (2022) does: with replacement, in every split.
        Released = "released",
    }
}

/// How many images of each fine class are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Subsample {
    /// The most, by fine class.
    pub most: Vec<usize>,
    /// The fine class of each of the finest.
    #[serde(skip)]
    pub fine: Vec<u32>,
    /// Whether they are drawn with replacement, in every split.
    pub with_replacement: bool,
}

impl Subsample {
    /// What `bound` asks for, if anything, of a dataset with these `facts`.
    ///
    /// # Errors
    /// When the numbers do not fit the classes.
    pub fn of(bound: &Bound, facts: &DatasetFacts) -> Result<Option<Self>, TooMany> {
        let asked =
            bound.value("subsample").and_then(|_| bound.get::<Option<Vec<Natural>>>("subsample"));
        let Some(asked) = asked else { return Ok(None) };
        let asked: Vec<usize> = asked.into_iter().map(Natural::get).collect();
        let column = |name: &str| {
            let labels = Labels::Column(name.to_owned());
            facts.class_map(&labels, &Labels::Declared).ok()
        };
        let (Some(fine), Some(coarse)) = (column("fine"), column("coarse")) else {
            return Ok(None);
        };
        let most = spread(&asked, &fine, &coarse).ok_or_else(|| misfit(&asked, &fine, &coarse))?;
        let with_replacement =
            bound.value("draw").is_some() && bound.get::<Draw>("draw") == Draw::Released;
        Ok(Some(Self { most, fine: fine.of_fine, with_replacement }))
    }

    /// The division that is left of `whole`; `is_cut` says that `train` cuts it as well.
    pub(super) fn of_division(
        &self,
        whole: Division,
        facts: &DatasetFacts,
        is_cut: bool,
    ) -> Result<Division, TooMany> {
        if is_cut {
            return Err(TooMany {
                param: "train",
                headline: "`train` and `subsample` cannot both say what is trained on".to_owned(),
                message: "leave one of them out".to_owned(),
            });
        }
        let all: usize = self.most.iter().sum();
        if self.with_replacement {
            let some = |count: usize| if count == 0 { 0 } else { all };
            let (val, test) = (some(whole.val), some(whole.test));
            return Ok(Division { train: all, val, test, ..whole });
        }
        let train = self.left(whole, facts).iter().zip(&self.most).map(|(a, b)| a.min(b)).sum();
        match train {
            0 => Err(TooMany {
                param: "subsample",
                headline: "`subsample` leaves no images to train on".to_owned(),
                message: "every class keeps none".to_owned(),
            }),
            _ => Ok(Division { train, ..whole }),
        }
    }

    /// Training images of each fine class once test and validation images are cut.
    fn left(&self, whole: Division, facts: &DatasetFacts) -> Vec<usize> {
        let classes = facts.fine.len();
        let mut left = match facts.counts.is_empty() {
            true => shares(&vec![1; classes], facts.train),
            false => facts.counts.clone(),
        };
        let cut = if whole.test_is_cut { whole.test } else { 0 };
        let val = if whole.val_is_published { 0 } else { whole.val };
        for size in [cut, val] {
            let taken = shares(&left, size);
            left.iter_mut().zip(taken).for_each(|(left, taken)| *left -= taken);
        }
        let mut of_fine = vec![0; self.most.len()];
        left.iter().zip(&self.fine).for_each(|(count, fine)| of_fine[*fine as usize] += count);
        of_fine
    }
}

/// One number for each fine class: as given, or repeated in each superclass in order of fine id, or
/// one for all.
fn spread(asked: &[usize], fine: &ClassMap, coarse: &ClassMap) -> Option<Vec<usize>> {
    let classes = fine.names.len();
    match asked {
        [all] => return Some(vec![*all; classes]),
        _ if asked.len() == classes => return Some(asked.to_vec()),
        _ => {}
    }
    let superclass = superclasses(fine, coarse)?;
    let mut rank = vec![0; coarse.names.len()];
    let mut most = Vec::with_capacity(classes);
    for class in superclass {
        most.push(*asked.get(rank[class as usize])?);
        rank[class as usize] += 1;
    }
    rank.iter().all(|count| *count == asked.len() || *count == 0).then_some(most)
}

/// The superclass of each fine class, where there is one.
fn superclasses(fine: &ClassMap, coarse: &ClassMap) -> Option<Vec<u32>> {
    let mut of: Vec<Option<u32>> = vec![None; fine.names.len()];
    for (fine, coarse) in fine.of_fine.iter().zip(&coarse.of_fine) {
        let known = of[*fine as usize].get_or_insert(*coarse);
        if known != coarse {
            return None;
        }
    }
    of.into_iter().collect()
}

fn misfit(asked: &[usize], fine: &ClassMap, coarse: &ClassMap) -> TooMany {
    let (all, upper) = (fine.names.len(), coarse.names.len());
    let each = match all % upper.max(1) {
        0 if upper < all => format!(", {} as a superclass has,", all / upper),
        _ => String::new(),
    };
    TooMany {
        param: "subsample",
        headline: "`subsample` does not fit the classes".to_owned(),
        message: format!("{} numbers; expected 1{each} or {all}", asked.len()),
    }
}
