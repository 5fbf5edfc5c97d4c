//! What the checker knows of the world: gathered outside, handed in, made up in tests.

#![allow(clippy::disallowed_types, reason = "calls have no order; each is asked for by itself")]

use std::collections::{BTreeMap, HashMap};

use super::{Bound, ImageShape, Labels};
use crate::diag::closest;

/// What the checker knows of the world.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// By the name of the dataset's component: what does not depend on its arguments.
    pub datasets: BTreeMap<String, DatasetFacts>,
    /// By the whole call.
    pub calls: HashMap<Bound, DatasetFacts>,
    /// By its path, a file of weights, or why it cannot be read.
    pub weights: BTreeMap<String, Result<WeightsFacts, String>>,
    pub machine: MachineFacts,
}

/// The shapes of named tensors.
pub type Tensors = BTreeMap<String, Vec<usize>>;

/// What is known of a file of weights before they are read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WeightsFacts {
    /// The digest of its content.
    pub digest: String,
    pub tensors: Tensors,
}

/// What is known of the machine; what is not known is not checked.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MachineFacts {
    /// Bytes of memory, whether they are free now or not.
    pub memory: Option<u64>,
    /// Bytes free where results are kept.
    pub disk_free: Option<u64>,
    /// Floating-point operations a second of a training, as measured.
    pub flops_per_second: Option<f64>,
}

/// What is known of a dataset before it is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatasetFacts {
    pub image: ImageShape,
    /// Names of the finest classes, in order of id.
    pub fine: Vec<String>,
    /// Names of the superclasses, and the superclass of each fine class.
    pub coarse: (Vec<String>, Vec<u32>),
    /// Further label columns by name, and those two when they are not what the fields above say:
    /// each gives every finest class its own.
    pub columns: Vec<(String, ClassMap)>,
    /// Images for training and validation; all of them when no test split was published.
    pub train: usize,
    /// Images of the published test split; none when it is cut from `train`.
    pub test: Option<usize>,
    /// Images of the published validation split; none when it is cut from `train`.
    pub val: Option<usize>,
    /// Training images of each finest class, where they are known.
    pub counts: Vec<usize>,
    /// The digest of its content, as pinned.
    pub digest: String,
    /// Why it cannot be read here, with what to do about it.
    pub absent: Option<String>,
    /// What is wrong with the files that are here.
    pub faults: Vec<DataFault>,
    /// The images that are left out because they cannot be decoded, as was asked.
    pub skipped: Vec<String>,
}

/// What is wrong with the files of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFault {
    /// The argument that they are named by, or that does not fit them.
    pub param: &'static str,
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to say at the argument.
    pub label: String,
    /// What to do.
    pub help: Vec<String>,
}

/// A labelling: the names of its classes, and the class of each fine class.
#[derive(Debug, Clone, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct ClassMap {
    pub names: Vec<String>,
    pub of_fine: Vec<u32>,
}

/// Why labels do not fit a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelError {
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to say of the labels.
    pub label: String,
    /// What to write instead, where the label does not say it.
    pub help: Option<String>,
}

impl Facts {
    /// What is known of the data that `call` asks for.
    pub fn of(&self, call: &Bound) -> Option<&DatasetFacts> {
        self.calls.get(call).or_else(|| self.datasets.get(call.spec.name))
    }
}

impl DatasetFacts {
    /// The classes that `labels` makes of the fine classes; `declared` is what the dataset's own
    /// argument says.
    pub fn class_map(&self, labels: &Labels, declared: &Labels) -> Result<ClassMap, LabelError> {
        match labels {
            Labels::Declared if *declared == Labels::Declared => self.column("fine"),
            Labels::Declared => self.class_map(declared, &Labels::Declared),
            Labels::Column(name) => self.column(name),
            Labels::Group(groups) => self.group(groups),
        }
    }

    /// The groups that the label columns `by` make together: their combinations that occur, in the
    /// order of the first column, then of the second; none without columns.
    pub fn groups(&self, by: &[Labels]) -> Result<Option<ClassMap>, LabelError> {
        let columns: Vec<ClassMap> = by
            .iter()
            .map(|labels| self.class_map(labels, &Labels::Declared))
            .collect::<Result<_, _>>()?;
        if columns.is_empty() {
            return Ok(None);
        }
        let of = |fine: usize| columns.iter().map(|column| column.of_fine[fine]).collect();
        let each: Vec<Vec<u32>> = (0..self.fine.len()).map(of).collect();
        let mut occurring = each.clone();
        occurring.sort();
        occurring.dedup();
        let name = |ids: &Vec<u32>| {
            let words = columns.iter().zip(ids).map(|(it, id)| it.names[*id as usize].as_str());
            words.collect::<Vec<_>>().join(" × ")
        };
        let place = |ids: &Vec<u32>| occurring.iter().position(|it| it == ids).unwrap_or_default();
        Ok(Some(ClassMap {
            names: occurring.iter().map(name).collect(),
            of_fine: each.iter().map(|ids| place(ids) as u32).collect(),
        }))
    }

    fn column(&self, name: &str) -> Result<ClassMap, LabelError> {
        if let Some((_, map)) = self.columns.iter().find(|(known, _)| known == name) {
            return Ok(map.clone());
        }
        match name {
            "fine" => Ok(ClassMap {
                names: self.fine.clone(),
                of_fine: (0..self.fine.len() as u32).collect(),
            }),
            // Of data that are not there nothing is known.
            "coarse" if self.has_coarse() || self.fine.is_empty() => {
                Ok(ClassMap { names: self.coarse.0.clone(), of_fine: self.coarse.1.clone() })
            }
            other => Err(LabelError {
                message: format!("this dataset has no labels `{other}`"),
                label: self.other_column(other),
                help: Some("`group({\"name\" = [class, …]})` makes others".to_owned()),
            }),
        }
    }

    /// Whether its classes have coarser ones.
    pub fn has_coarse(&self) -> bool {
        !self.coarse.0.is_empty()
    }

    /// What to write instead of a column that there is not.
    fn other_column(&self, wrong: &str) -> String {
        let mut names = vec!["fine"];
        names.extend(self.has_coarse().then_some("coarse"));
        let more = self.columns.iter().map(|(name, _)| name.as_str());
        names.extend(more.filter(|name| !["fine", "coarse"].contains(name)));
        match (closest(wrong, names.iter().copied()), names.split_last()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some((only, []))) => format!("expected `{only}`"),
            (None, Some((last, first))) => {
                let first: Vec<String> = first.iter().map(|name| format!("`{name}`")).collect();
                format!("expected {} or `{last}`", first.join(", "))
            }
            (None, None) => String::new(),
        }
    }

    fn group(&self, groups: &[(String, Vec<String>)]) -> Result<ClassMap, LabelError> {
        let fine = self.column("fine")?;
        let mut of_fine: Vec<Option<u32>> = vec![None; fine.names.len()];
        for (group, (name, members)) in groups.iter().enumerate() {
            for member in members {
                let id = fine_id(&fine.names, member)?;
                if let Some(other) = of_fine[id] {
                    let first = &groups[other as usize].0;
                    return Err(LabelError {
                        message: format!("the class `{member}` is in two groups"),
                        label: format!("it stands in `{first}` and in `{name}`"),
                        help: None,
                    });
                }
                of_fine[id] = Some(group as u32);
            }
        }
        let missing: Vec<_> =
            fine.names.iter().zip(&of_fine).filter(|(_, to)| to.is_none()).collect();
        if !missing.is_empty() {
            let names: Vec<_> = missing.iter().map(|(name, _)| name.as_str()).collect();
            return Err(LabelError {
                message: "some fine classes are in no group".to_owned(),
                label: format!("{} of {} are missing", names.len(), fine.names.len()),
                help: Some(format!("add {}", names.join(", "))),
            });
        }
        Ok(ClassMap {
            names: groups.iter().map(|(name, _)| name.clone()).collect(),
            of_fine: fine.of_fine.iter().filter_map(|id| of_fine[*id as usize]).collect(),
        })
    }
}

/// The id of a fine class given by its name, however it is spaced, or by its id.
fn fine_id(classes: &[String], member: &str) -> Result<usize, LabelError> {
    let simple = |name: &str| name.to_lowercase().replace([' ', '-', '/', '_'], "");
    let by_name = classes.iter().position(|name| simple(name) == simple(member));
    let by_id = || member.parse().ok().filter(|id| *id < classes.len());
    by_name.or_else(by_id).ok_or_else(|| LabelError {
        message: format!("no fine class is called `{member}`"),
        label: match closest(member, classes.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "grouped here".to_owned(),
        },
        help: Some(format!("the fine classes are {}", classes.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(names: &[&str], of_fine: &[u32]) -> ClassMap {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        ClassMap { names, of_fine: of_fine.to_vec() }
    }

    #[test]
    fn groups_are_the_combinations_that_occur_in_order() {
        let columns = vec![
            ("bird".to_owned(), map(&["landbird", "waterbird"], &[1, 0, 0])),
            ("background".to_owned(), map(&["land", "water"], &[1, 1, 0])),
        ];
        let facts = DatasetFacts { fine: vec![String::new(); 3], columns, ..Default::default() };
        let by = ["bird", "background"].map(|name| Labels::Column(name.to_owned()));
        let groups = facts.groups(&by).unwrap().unwrap();
        let names = ["landbird × land", "landbird × water", "waterbird × water"];
        assert_eq!(groups, map(&names, &[2, 1, 0]));
        assert_eq!(facts.groups(&[]), Ok(None));
        let error = facts.groups(&[Labels::Column("backgruond".to_owned())]).unwrap_err();
        assert_eq!(error.label, "did you mean `background`?");
    }
}
