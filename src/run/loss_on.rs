//! What the losses of an experiment come to on embeddings that another program made.

use std::borrow::Cow;
use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, View};

use crate::data::{NamedArray, Numbers};
use crate::graph::{OnGiven, on_given};
use crate::library::Library;
use crate::plan::Stage;

/// The terms of a stage on given embeddings.
pub struct LossOn {
    pub rows: usize,
    pub views: usize,
    pub dim: usize,
    pub classes: usize,
    pub terms: Vec<OnGiven>,
}

/// Embeddings with the class of each item.
struct Items {
    embeddings: Tensor,
    labels: Vec<u32>,
    classes: usize,
}

impl LossOn {
    /// The terms of `stage` on the array `embeddings`, views × items × numbers or items × numbers,
    /// with the classes that the array `labels` has for each item.
    ///
    /// # Errors
    /// When arrays are missing or do not fit, or a term cannot be computed of them: why, in words.
    pub fn of(
        stage: &Stage,
        library: &Library,
        arrays: &[NamedArray],
        (embeddings, labels): (&str, &str),
    ) -> Result<Self, String> {
        let items = items(find(arrays, embeddings)?, find(arrays, labels)?)?;
        let terms = on_given(stage, library, &items.embeddings, &items.labels);
        let terms = terms.map_err(|error| error.to_string())?;
        let (rows, dim) = items.embeddings.dims2().map_err(|error| error.to_string())?;
        let views = rows / items.labels.len();
        Ok(Self { rows, views, dim, classes: items.classes, terms })
    }

    /// The weighted sum of the terms that were computed.
    pub fn total(&self) -> f64 {
        let computed = self.terms.iter().filter_map(|it| Some((it.weight, it.computed.as_ref()?)));
        computed.map(|(weight, (value, _))| weight * value).sum()
    }

    /// The gradients by the embeddings, as a safetensors file: `gradient` of the weighted sum, and
    /// `gradient.NAME` of each term before its weight.
    ///
    /// # Errors
    /// When there is none.
    pub fn gradients(&self) -> Result<Vec<u8>, String> {
        let mut named: BTreeMap<String, Doubles> = BTreeMap::new();
        let shape = vec![self.views, self.rows / self.views, self.dim];
        let mut sum = vec![0.0; self.rows * self.dim];
        for term in &self.terms {
            let Some((_, gradient)) = &term.computed else { continue };
            let values = gradient.flatten_all().and_then(|it| it.to_vec1::<f64>());
            let values = values.map_err(|error| error.to_string())?;
            sum.iter_mut().zip(&values).for_each(|(sum, value)| *sum += term.weight * value);
            let name = format!("gradient.{}", term.name);
            named.insert(name, Doubles { shape: shape.clone(), values });
        }
        named.insert("gradient".to_owned(), Doubles { shape, values: sum });
        safetensors::serialize(named, None).map_err(|error| error.to_string())
    }
}

fn find<'a>(arrays: &'a [NamedArray], name: &str) -> Result<&'a NamedArray, String> {
    let names: Vec<String> = arrays.iter().map(|array| format!("`{}`", array.name)).collect();
    let found = arrays.iter().find(|array| array.name == name);
    found.ok_or_else(|| format!("the file has no array `{name}`; it has {}", names.join(", ")))
}

fn items(embeddings: &NamedArray, labels: &NamedArray) -> Result<Items, String> {
    let Numbers::Real(values) = &embeddings.numbers else {
        return Err(format!("`{}` does not hold numbers of 32 or 64 bits", embeddings.name));
    };
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(format!("number {at} of `{}` is not finite", embeddings.name));
    }
    let (rows, dim) = match embeddings.dims[..] {
        [views, items, dim] => (views * items, dim),
        [items, dim] => (items, dim),
        _ => return Err(format!("`{}` has the shape {:?}", embeddings.name, embeddings.dims)),
    };
    let names: Vec<String> = match &labels.numbers {
        Numbers::Whole(values) => values.iter().map(i64::to_string).collect(),
        Numbers::Text(texts) => texts.clone(),
        _ => return Err(format!("`{}` holds neither whole numbers nor names", labels.name)),
    };
    if rows == 0 || dim == 0 || names.is_empty() || rows % names.len() != 0 {
        return Err(format!("there are {rows} embeddings and {} labels", names.len()));
    }
    let ids: BTreeMap<&str, u32> = names.iter().map(|name| (name.as_str(), 0)).collect();
    let ids: BTreeMap<&str, u32> = ids.into_keys().zip(0..).collect();
    let embeddings = Tensor::from_slice(values, (rows, dim), &Device::Cpu);
    Ok(Items {
        embeddings: embeddings.map_err(|error| error.to_string())?,
        labels: names.iter().map(|name| ids[name.as_str()]).collect(),
        classes: ids.len(),
    })
}

/// Numbers as safetensors keeps them.
struct Doubles {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl View for Doubles {
    fn dtype(&self) -> Dtype {
        Dtype::F64
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        8 * self.values.len()
    }
}
