//! The variables of a model by name: drawn from a seed, kept in name order,
//! saved and restored as one map.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard};

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Shape, Tensor, Var, bail};

use crate::seed::Stream;

/// How the values of a new variable are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Every element is this number.
    Const(f64),
    /// Normal around 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// `scale * clamp(n, -1, 1)` with `n` standard normal.
    ClampedNormal {
        /// The largest magnitude that occurs.
        scale: f64,
    },
    /// Uniform in `[-bound, bound)`.
    Uniform {
        /// Half the width of the interval.
        bound: f64,
    },
}

impl Init {
    fn draw(self, stream: &mut Stream) -> f64 {
        match self {
            Self::Const(value) => value,
            Self::Normal { std } => std * stream.normal(),
            Self::ClampedNormal { scale } => scale * stream.normal().clamp(-1.0, 1.0),
            Self::Uniform { bound } => stream.between(-bound, bound),
        }
    }
}

/// All variables of a model, in name order; clones share them.
#[derive(Clone)]
pub struct Params {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
    /// Where draws come from; without it every variable is zero.
    seed: Option<Stream>,
    /// Below these names nothing is trained.
    frozen: Arc<[String]>,
    dtype: DType,
    device: Device,
}

struct Entry {
    var: Var,
    trained: bool,
}

impl Params {
    /// No variables yet; those to come are drawn from `seed` by their names alone.
    pub fn new(seed: Stream, dtype: DType, device: Device) -> Self {
        Self { entries: Arc::default(), seed: Some(seed), frozen: Arc::default(), dtype, device }
    }

    /// No variables yet; those to come are zero, for who wants to know their names and shapes.
    pub fn blank(dtype: DType, device: Device) -> Self {
        Self { entries: Arc::default(), seed: None, frozen: Arc::default(), dtype, device }
    }

    /// The same, where the variables to come below `names` are kept and not trained.
    pub fn freezing(self, names: &[String]) -> Self {
        Self { frozen: names.into(), ..self }
    }

    fn is_frozen(&self, path: &str) -> bool {
        let is_below = |name: &String| {
            path.strip_prefix(name.as_str()).is_some_and(|it| it.is_empty() || it.starts_with('.'))
        };
        self.frozen.iter().any(is_below)
    }

    /// The scope with the empty name, where every path begins.
    pub fn root(&self) -> Scope {
        Scope { params: self.clone(), path: String::new() }
    }

    /// The trained variables with their names, in name order.
    pub fn vars(&self) -> Vec<(String, Var)> {
        self.select(|entry| entry.trained)
    }

    /// Whether some are filters of convolutions, which have four dimensions.
    pub fn has_filters(&self) -> bool {
        self.vars().iter().chain(&self.buffers()).any(|(_, var)| var.rank() == 4)
    }

    /// The variables that are kept but not trained (running statistics), in name order.
    pub fn buffers(&self) -> Vec<(String, Var)> {
        self.select(|entry| !entry.trained)
    }

    /// A copy of every variable and buffer, detached from any graph.
    ///
    /// # Errors
    /// When the device cannot copy.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let copy = |(name, entry): (&String, &Entry)| {
            Ok((name.clone(), entry.var.as_detached_tensor().copy()?))
        };
        self.entries().iter().map(copy).collect()
    }

    /// Sets every variable and buffer to its value in `state`; names `state` has besides are
    /// ignored.
    ///
    /// # Errors
    /// When a name is missing or has another shape; nothing is changed then.
    pub fn restore(&self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let entries = self.entries();
        let problems: Vec<String> =
            entries.iter().filter_map(|(name, entry)| misfit(name, entry, state)).collect();
        if !problems.is_empty() {
            bail!("the saved state does not fit: {}", problems.join("; "));
        }
        for (name, entry) in entries.iter() {
            let value = state[name].to_dtype(entry.var.dtype())?.to_device(entry.var.device())?;
            entry.var.set(&value)?;
        }
        Ok(())
    }

    /// The trained variables `grads` has no entry for: an operation without a backward pass cuts
    /// them off silently.
    pub fn without_gradient(&self, grads: &GradStore) -> Vec<String> {
        let missing = |(name, var): (String, Var)| grads.get(&var).is_none().then_some(name);
        self.vars().into_iter().filter_map(missing).collect()
    }

    /// The number of trained scalars.
    pub fn count(&self) -> usize {
        self.vars().iter().map(|(_, var)| var.elem_count()).sum()
    }

    fn select(&self, keep: impl Fn(&Entry) -> bool) -> Vec<(String, Var)> {
        let entries = self.entries();
        let kept = entries.iter().filter(|(_, entry)| keep(entry));
        kept.map(|(name, entry)| (name.clone(), entry.var.clone())).collect()
    }

    fn get_or_create(&self, request: &Request) -> Result<Var> {
        let mut entries = self.entries();
        if let Some(entry) = entries.get(&request.name) {
            return request.answer_with(entry);
        }
        let var = request.create(self)?;
        let entry = Entry { var: var.clone(), trained: request.trained };
        entries.insert(request.name.clone(), entry);
        Ok(var)
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().expect("no holder of the lock panics")
    }
}

/// What is wrong with the value `state` has for `entry`, in words.
fn misfit(name: &str, entry: &Entry, state: &BTreeMap<String, Tensor>) -> Option<String> {
    let expected = entry.var.shape();
    match state.get(name) {
        None => Some(format!("`{name}` is missing")),
        Some(value) if value.shape() != expected => Some(format!(
            "`{name}`: expected shape {:?}, found {:?}",
            expected.dims(),
            value.dims()
        )),
        Some(_) => None,
    }
}

/// A variable as a layer asks for it.
struct Request {
    name: String,
    shape: Shape,
    init: Init,
    trained: bool,
}

impl Request {
    fn answer_with(&self, entry: &Entry) -> Result<Var> {
        let Self { name, shape, trained, .. } = self;
        let found = entry.var.shape();
        if found != shape {
            bail!("`{name}` has shape {:?}, asked for as {:?}", found.dims(), shape.dims());
        }
        if entry.trained != *trained {
            bail!("`{name}` is asked for both as a variable and as a buffer");
        }
        Ok(entry.var.clone())
    }

    fn create(&self, params: &Params) -> Result<Var> {
        let Some(seed) = &params.seed else {
            return Var::zeros(self.shape.clone(), params.dtype, &params.device);
        };
        let mut stream = seed.named(&self.name);
        let values: Vec<f64> =
            (0..self.shape.elem_count()).map(|_| self.init.draw(&mut stream)).collect();
        let values = Tensor::from_vec(values, self.shape.clone(), &params.device)?;
        Var::from_tensor(&values.to_dtype(params.dtype)?)
    }
}

/// A place in the tree of names, handed to the layer that lives there.
#[derive(Clone)]
pub struct Scope {
    params: Params,
    path: String,
}

impl Scope {
    /// The scope `name` below this one.
    pub fn pp(&self, name: impl Display) -> Self {
        Self { params: self.params.clone(), path: self.full(&name) }
    }

    /// The full name of this scope, its parts joined by dots.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether what is made here is kept and not trained.
    pub fn is_frozen(&self) -> bool {
        self.params.is_frozen(&self.path)
    }

    /// The element type of the variables made here.
    pub fn dtype(&self) -> DType {
        self.params.dtype
    }

    /// The device of the variables made here.
    pub fn device(&self) -> &Device {
        &self.params.device
    }

    /// The trained variable `name`; its draw depends on the seed and its full name only, and
    /// asking again gives the same variable.
    ///
    /// # Errors
    /// When it exists with another shape or as a buffer.
    pub fn var(&self, name: impl Display, shape: impl Into<Shape>, init: Init) -> Result<Tensor> {
        let name = self.full(&name);
        let trained = !self.params.is_frozen(&name);
        let request = Request { name, shape: shape.into(), init, trained };
        Ok(self.params.get_or_create(&request)?.as_tensor().clone())
    }

    /// The buffer `name`, filled with `value` when it is new: saved with the model, never trained.
    ///
    /// # Errors
    /// When it exists with another shape or as a variable.
    pub fn buffer(&self, name: impl Display, shape: impl Into<Shape>, value: f64) -> Result<Var> {
        self.drawn_buffer(name, shape, Init::Const(value))
    }

    /// The buffer `name`, drawn as a variable is when it is new.
    ///
    /// # Errors
    /// When it exists with another shape or as a variable.
    pub fn drawn_buffer(
        &self,
        name: impl Display,
        shape: impl Into<Shape>,
        init: Init,
    ) -> Result<Var> {
        let request = Request { name: self.full(&name), shape: shape.into(), init, trained: false };
        self.params.get_or_create(&request)
    }

    fn full(&self, name: &dyn Display) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }
}
