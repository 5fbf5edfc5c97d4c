//! What the checker knows of the world: gathered outside, handed in, made up in tests.

use std::collections::BTreeMap;

use super::{ImageShape, Labels};
use crate::diag::closest;

/// What the checker knows of the world.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// By the name of the dataset's component.
    pub datasets: BTreeMap<String, DatasetFacts>,
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
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetFacts {
    pub image: ImageShape,
    /// Names of the finest classes, in order of id.
    pub fine: Vec<String>,
    /// Names of the superclasses, and the superclass of each fine class.
    pub coarse: (Vec<String>, Vec<u32>),
    /// Images for training and validation; all of them when no test split was published.
    pub train: usize,
    /// Images of the published test split; none when it is cut from `train`.
    pub test: Option<usize>,
    /// The digest of its content, as pinned.
    pub digest: String,
    /// Why it cannot be read here, with what to do about it.
    pub absent: Option<String>,
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

    fn column(&self, name: &str) -> Result<ClassMap, LabelError> {
        match name {
            "fine" => Ok(ClassMap {
                names: self.fine.clone(),
                of_fine: (0..self.fine.len() as u32).collect(),
            }),
            "coarse" => {
                Ok(ClassMap { names: self.coarse.0.clone(), of_fine: self.coarse.1.clone() })
            }
            other => Err(LabelError {
                message: format!("this dataset has no labels `{other}`"),
                label: match closest(other, ["fine", "coarse"]) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "expected `fine` or `coarse`".to_owned(),
                },
                help: Some("`group({\"name\" = [class, …]})` makes others".to_owned()),
            }),
        }
    }

    fn group(&self, groups: &[(String, Vec<String>)]) -> Result<ClassMap, LabelError> {
        let mut of_fine: Vec<Option<u32>> = vec![None; self.fine.len()];
        for (group, (name, members)) in groups.iter().enumerate() {
            for member in members {
                let id = self.fine_id(member)?;
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
            self.fine.iter().zip(&of_fine).filter(|(_, to)| to.is_none()).collect();
        if !missing.is_empty() {
            let names: Vec<_> = missing.iter().map(|(name, _)| name.as_str()).collect();
            return Err(LabelError {
                message: "some fine classes are in no group".to_owned(),
                label: format!("{} of {} are missing", names.len(), self.fine.len()),
                help: Some(format!("add {}", names.join(", "))),
            });
        }
        Ok(ClassMap {
            names: groups.iter().map(|(name, _)| name.clone()).collect(),
            of_fine: of_fine.into_iter().flatten().collect(),
        })
    }

    /// The id of a fine class given by its name, however it is spaced, or by its id.
    fn fine_id(&self, member: &str) -> Result<usize, LabelError> {
        let simple = |name: &str| name.to_lowercase().replace([' ', '-', '/', '_'], "");
        let by_name = self.fine.iter().position(|name| simple(name) == simple(member));
        let by_id = || member.parse().ok().filter(|id| *id < self.fine.len());
        by_name.or_else(by_id).ok_or_else(|| LabelError {
            message: format!("no fine class is called `{member}`"),
            label: match closest(member, self.fine.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "grouped here".to_owned(),
            },
            help: Some(format!("the fine classes are {}", self.fine.join(", "))),
        })
    }
}
