//! What evaluations may ask of the trainings behind their features.

use serde::{Deserialize, Serialize};

use crate::theory::Setting;

/// What theory says of a training depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Foretold {
    pub setting: Setting,
    /// The summed weights of the terms it is said of.
    pub weight: f64,
}

/// What a loss term comes to, times its weight at the end of training.
#[derive(Debug, Clone, PartialEq)]
pub struct TermValue {
    pub name: String,
    pub value: f64,
    pub sees: Sees,
    /// Whether theory speaks of it.
    pub is_foretold: bool,
}

/// What of an embedding's image a loss term sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sees {
    /// No more than its class, of those inside which an evaluation looks.
    Class,
    /// A finer label.
    Label,
    /// The image itself.
    Image,
}

impl Sees {
    /// The word in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Label => "label",
            Self::Image => "image",
        }
    }
}

/// What a loss term comes to, times its weight, before and after embeddings trade places; means
/// over batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfTerm {
    pub term: String,
    pub sees: Sees,
    pub before: f64,
    pub after: f64,
}
