//! Embeddings that another program made, as evaluations read them.

use std::ops::ControlFlow;
use std::path::PathBuf;

use candle_core::{Device, Tensor};

use crate::catalog::{Bound, ClassMap, DatasetFacts, LabelError, Labels, Value};
use crate::data::folder::{Listing, Row};
use crate::data::{NamedArray, Numbers, Split as Published};
use crate::library::dataset::facts_of_listing;
use crate::library::eval::{
    Column, EvalError, Evaluation, FeatureSource, Features, Labelling, Score, Site, Split, View,
};
use crate::library::{self, Library};
use crate::seed::Stream;

/// The parts an array may come in, by the end of its name.
const PARTS: [(&str, Published); 3] =
    [("_train", Published::Train), ("_val", Published::Val), ("_test", Published::Test)];

/// The array that says of each row which split it is of.
const SPLIT: &str = "split";

/// What to read of a file.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The array of embeddings.
    pub embeddings: String,
    /// Label columns with their arrays; all that fit when there are none.
    pub labels: Vec<(String, String)>,
    /// The columns whose combinations are groups.
    pub groups: Vec<String>,
    /// The share of each finest class that is tested on, where the file divides nothing.
    pub test: f64,
    /// Draws that share, and what evaluations draw.
    pub seed: u64,
}

/// Embeddings in splits, with their labels.
#[derive(Debug)]
pub struct Given {
    dim: usize,
    /// By split, as [`Split::ALL`] lists them.
    splits: [Rows; 3],
    facts: DatasetFacts,
    groups: Option<ClassMap>,
    seed: u64,
}

/// The rows of a split.
#[derive(Debug, Default)]
struct Rows {
    values: Vec<f32>,
    fine: Vec<u32>,
}

/// The labels that an evaluation asks for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub classes: ClassMap,
    pub within: Option<ClassMap>,
}

impl Given {
    /// What `wanted` names of the arrays of a file.
    ///
    /// # Errors
    /// When an array is missing, or does not fit the others: why, in words.
    pub fn of(arrays: &[NamedArray], wanted: &Wanted) -> Result<Self, String> {
        let file = File { arrays, name: &wanted.embeddings };
        let parts = file.parts()?;
        let columns = match wanted.labels.is_empty() {
            true => file.columns(&parts[0]),
            false => wanted.labels.clone(),
        };
        if columns.is_empty() {
            return Err("no array of the file has a label for each row".to_owned());
        }
        let (mut rows, mut values, dim) = (Vec::new(), Vec::new(), parts[0].dim);
        for part in &parts {
            if part.dim != dim {
                return Err(format!("embeddings of {dim} and of {} numbers", part.dim));
            }
            rows.append(&mut file.rows(part, &columns)?);
            values.extend_from_slice(part.values);
        }
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let mut listing = Listing::of_rows(PathBuf::new(), &names, rows);
        if listing.items.iter().all(|item| item.split == Published::Pool) {
            divide(&mut listing, wanted);
        }
        let facts = facts_of_listing(&listing);
        let by: Vec<Labels> = wanted.groups.iter().cloned().map(Labels::Column).collect();
        let groups = facts.groups(&by);
        let groups = groups.map_err(|error| format!("{}; {}", error.message, error.label))?;
        let splits = split(&listing, &values, dim);
        Ok(Self { dim, splits, facts, groups, seed: wanted.seed })
    }

    /// Classes and label columns.
    pub fn facts(&self) -> &DatasetFacts {
        &self.facts
    }

    /// Numbers in an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Whether groups were named.
    pub fn has_groups(&self) -> bool {
        self.groups.is_some()
    }

    /// How many rows a split has.
    pub fn count(&self, split: Split) -> usize {
        self.rows(split).fine.len()
    }

    /// The classes that the argument `param` of an evaluation asks for, if it has one.
    pub fn asked(&self, call: &Bound, param: &str) -> Option<Result<ClassMap, LabelError>> {
        match call.value(param) {
            Some(Value::Labels(labels)) => {
                Some(self.facts.class_map(labels, &Labels::Column("fine".to_owned())))
            }
            _ => None,
        }
    }

    /// What the evaluation `call` named `name` measures.
    ///
    /// # Errors
    /// When the user asks to stop, or when the features allow no measurement.
    pub fn evaluate(
        &self,
        library: &Library,
        (name, call): (&str, &Bound),
        asked: &Asked,
        progress: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Result<Vec<Score>, EvalError> {
        let component: Box<dyn Evaluation> = library::build(&library.evaluations, call);
        let stream = Stream::new(self.seed).named("eval").named(name);
        let mut site = Site { library, stream, progress };
        component.evaluate(&mut Source { given: self, asked }, &mut site)
    }

    fn rows(&self, split: Split) -> &Rows {
        &self.splits[split as usize]
    }
}

/// Moves a share of each finest class to the test split.
fn divide(listing: &mut Listing, wanted: &Wanted) {
    let stream = Stream::new(wanted.seed).named("split");
    for class in 0..listing.classes.len() as u32 {
        let mut items: Vec<_> =
            listing.items.iter_mut().filter(|item| item.class == class).collect();
        let tested = (items.len() as f64 * wanted.test).round() as usize;
        let order = stream.at(u64::from(class)).permutation(items.len());
        for (place, at) in order.into_iter().enumerate() {
            let split = if place < tested { Published::Test } else { Published::Train };
            items[at as usize].split = split;
        }
    }
}

fn split(listing: &Listing, values: &[f32], dim: usize) -> [Rows; 3] {
    let mut splits = [Rows::default(), Rows::default(), Rows::default()];
    for (item, row) in listing.items.iter().zip(values.chunks_exact(dim)) {
        let rows = &mut splits[match item.split {
            Published::Train | Published::Pool => Split::Train,
            Published::Val => Split::Val,
            Published::Test => Split::Test,
        } as usize];
        rows.values.extend_from_slice(row);
        rows.fine.push(item.class);
    }
    splits
}

/// The arrays of a file, and what its embeddings are called.
struct File<'a> {
    arrays: &'a [NamedArray],
    name: &'a str,
}

/// The embeddings of a part of the rows.
struct Part<'a> {
    end: &'static str,
    split: Published,
    values: &'a [f32],
    count: usize,
    dim: usize,
}

impl<'a> File<'a> {
    fn find(&self, name: &str) -> Option<&'a NamedArray> {
        self.arrays.iter().find(|array| array.name == name)
    }

    fn missing(&self, name: &str) -> String {
        let shown = |array: &NamedArray| format!("`{}` {:?}", array.name, array.dims);
        let known: Vec<String> = self.arrays.iter().map(shown).collect();
        format!("the file has no array `{name}`; it has {}", known.join(", "))
    }

    fn parts(&self) -> Result<Vec<Part<'a>>, String> {
        if let Some(array) = self.find(self.name) {
            return Ok(vec![part(array, "", Published::Pool)?]);
        }
        let found = PARTS.into_iter().filter_map(|(end, split)| {
            Some(part(self.find(&format!("{}{end}", self.name))?, end, split))
        });
        let parts: Vec<Part> = found.collect::<Result<_, _>>()?;
        if parts.is_empty() { Err(self.missing(self.name)) } else { Ok(parts) }
    }

    /// Arrays with a label for each row of `part`; the one called `labels` is the column `fine`.
    fn columns(&self, part: &Part) -> Vec<(String, String)> {
        let fits = |array: &&NamedArray| {
            let is_label = matches!(array.numbers, Numbers::Whole(_) | Numbers::Text(_));
            is_label && array.dims == [part.count]
        };
        let names = self.arrays.iter().filter(fits).map(|array| array.name.as_str());
        let names = names.filter_map(|name| name.strip_suffix(part.end));
        let column = |name: &str| if name == "labels" { "fine" } else { name }.to_owned();
        let names = names.filter(|it| *it != SPLIT);
        let mut all: Vec<_> = names.map(|name| (column(name), name.to_owned())).collect();
        all.sort_by_key(|(name, _)| name != "fine");
        all
    }

    /// The rows of `part` with the names of their classes.
    fn rows(&self, part: &Part, columns: &[(String, String)]) -> Result<Vec<Row>, String> {
        let texts = |(_, array): &(String, String)| {
            let name = format!("{array}{}", part.end);
            let array = self.find(&name).ok_or_else(|| self.missing(&name))?;
            labels(array, part.count)
        };
        let columns: Vec<Vec<String>> = columns.iter().map(texts).collect::<Result<_, _>>()?;
        let splits = match self.find(SPLIT).filter(|_| part.split == Published::Pool) {
            Some(array) => splits(array, part.count)?,
            None => vec![part.split; part.count],
        };
        let row = |(at, split): (usize, Published)| Row {
            path: at.to_string(),
            split,
            labels: columns.iter().map(|column| column[at].clone()).collect(),
        };
        Ok(splits.into_iter().enumerate().map(row).collect())
    }
}

fn part<'a>(
    array: &'a NamedArray,
    end: &'static str,
    split: Published,
) -> Result<Part<'a>, String> {
    let name = &array.name;
    let Numbers::Real(values) = &array.numbers else {
        return Err(format!("`{name}` does not hold numbers of 32 or 64 bits"));
    };
    match array.dims[..] {
        [_, dim] if let Some(at) = values.iter().position(|value| !value.is_finite()) => {
            Err(format!("row {} of `{name}` holds {}", at / dim, values[at]))
        }
        [count, dim] if count > 0 && dim > 0 => Ok(Part { end, split, values, count, dim }),
        _ => Err(format!("`{name}` has the shape {:?}, not rows × numbers", array.dims)),
    }
}

/// The labels of `array`, as names.
fn labels(array: &NamedArray, count: usize) -> Result<Vec<String>, String> {
    let texts: Vec<String> = match &array.numbers {
        Numbers::Whole(values) => values.iter().map(i64::to_string).collect(),
        Numbers::Text(texts) => texts.clone(),
        Numbers::Real(_) => return Err(format!("`{}` holds no whole numbers", array.name)),
        Numbers::Other(kind) => return Err(format!("`{}` is of type {kind}", array.name)),
    };
    match texts.len() == count {
        true => Ok(texts),
        false => {
            let found = texts.len();
            Err(format!("there are {count} embeddings and {found} `{}`", array.name))
        }
    }
}

fn splits(array: &NamedArray, count: usize) -> Result<Vec<Published>, String> {
    let split = |text: String| match text.as_str() {
        "train" | "0" => Ok(Published::Train),
        "val" | "1" => Ok(Published::Val),
        "test" | "2" => Ok(Published::Test),
        other => Err(format!("`{SPLIT}` says `{other}`, not `train`, `val` or `test`")),
    };
    labels(array, count)?.into_iter().map(split).collect()
}

/// What an evaluation is given.
struct Source<'a> {
    given: &'a Given,
    asked: &'a Asked,
}

impl FeatureSource for Source<'_> {
    fn features(&mut self, split: Split) -> Result<Features, EvalError> {
        let Rows { values, fine } = self.given.rows(split);
        let shape = (fine.len(), self.given.dim);
        Ok(Features {
            embedding: Tensor::from_slice(values, shape, &Device::Cpu)?,
            labels: of(&self.asked.classes, fine),
        })
    }

    fn augmented(&mut self, _: View) -> Result<Features, EvalError> {
        let why = "embeddings that are given have no augmented views";
        Err(EvalError::Failed(why.to_owned()))
    }

    fn classes(&self) -> usize {
        self.asked.classes.names.len()
    }

    fn column(&mut self, split: Split, column: Column) -> Result<Option<Labelling>, EvalError> {
        let map = match column {
            Column::Within => self.asked.within.as_ref(),
            Column::Groups => self.given.groups.as_ref(),
            Column::Observed => None,
        };
        let fine = &self.given.rows(split).fine;
        Ok(map.map(|map| Labelling { labels: of(map, fine), names: map.names.clone() }))
    }
}

fn of(map: &ClassMap, fine: &[u32]) -> Vec<u32> {
    fine.iter().map(|fine| map.of_fine[*fine as usize]).collect()
}
