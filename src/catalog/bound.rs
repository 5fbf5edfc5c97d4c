//! A component with every argument filled in.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{
    ImageShape, ParamSpec, ParamType, Percent, Port, Spec, Tensors, Type, Value, WeightsFile,
};

/// A component with every argument checked, defaults included. Prints as a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    pub spec: &'static Spec,
    /// One value for each declared parameter, in order; the stages of a sweep share them.
    pub args: Arc<[Value]>,
}

impl Bound {
    /// `spec` with its defaults; parameters without one are [`Value::None`] until they are set.
    pub fn defaults(spec: &'static Spec) -> Self {
        let args = spec.params.iter().map(|param| param.default.map_or(Value::None, |it| it()));
        Self { spec, args: args.collect() }
    }

    /// The same with `name` set to `value`.
    pub fn with(mut self, name: &str, value: Value) -> Self {
        let at = self.index(name);
        Arc::make_mut(&mut self.args)[at] = value;
        self
    }

    /// The argument called `name`, as its declared type.
    pub fn get<T: ParamType>(&self, name: &str) -> T {
        T::from_value(&self.args[self.index(name)])
    }

    /// The argument called `name`, if the component declares it.
    pub fn value(&self, name: &str) -> Option<&Value> {
        let at = self.spec.params.iter().position(|param| param.name == name)?;
        Some(&self.args[at])
    }

    /// Whether it reads `port`, with these arguments.
    pub fn needs(&self, port: Port) -> bool {
        let also = self.spec.also.map_or(&[][..], |also| also(self));
        self.spec.needs.contains(&port) || also.contains(&port)
    }

    /// As a call that says what is computed: the name of a form does not, its arguments do.
    pub fn canonical(&self) -> impl fmt::Display + '_ {
        Written { call: self, left_out: self.spec.forms.map(|forms| forms.param) }
    }

    /// How many components of its own kind it is made of; one where it is not made of others.
    pub fn parts(&self) -> usize {
        let parts = self.args.iter().filter_map(|arg| match arg {
            Value::Component(part) if part.spec.kind == self.spec.kind => Some(part.parts()),
            _ => None,
        });
        parts.sum::<usize>().max(1)
    }

    /// The file of weights it begins with, if it does.
    pub fn weights(&self) -> Option<&WeightsFile> {
        self.args.iter().find_map(|value| match value {
            Value::Weights(file) => Some(file),
            _ => None,
        })
    }

    /// What a file of its weights holds, for images of a shape.
    pub fn stored(&self, image: ImageShape) -> Option<Tensors> {
        self.spec.stored.map(|stored| stored(self, image))
    }

    fn index(&self, name: &str) -> usize {
        let found = self.spec.params.iter().position(|param| param.name == name);
        found.unwrap_or_else(|| panic!("`{}` declares no parameter `{name}`", self.spec.name))
    }
}

/// Whether an argument is no part of a call: weights that are drawn, and all of the embedding for a
/// term, are said by nothing, as they were before there was anything else.
pub fn is_unsaid(param: &ParamSpec, value: &Value) -> bool {
    let is_later = matches!(param.ty, Type::Optional(Type::Weights | Type::Part));
    is_later && *value == Value::None
}

impl Eq for Bound {}

impl Hash for Bound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spec.name.hash(state);
        self.args.hash(state);
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        Written { call: self, left_out: None }.fmt(f)
    }
}

/// A call as it is written, all but one of its arguments.
struct Written<'a> {
    call: &'a Bound,
    left_out: Option<&'a str>,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Bound { spec, args } = self.call;
        f.write_str(spec.name)?;
        f.write_str("(")?;
        let mut gap = "";
        for (param, value) in spec.params.iter().zip(args.iter()) {
            if Some(param.name) != self.left_out && !is_unsaid(param, value) {
                for part in [gap, param.name, "="] {
                    f.write_str(part)?;
                }
                Shown(&param.ty, value).fmt(f)?;
                gap = ", ";
            }
        }
        f.write_str(")")
    }
}

/// A value as a user writes it for a parameter of a type.
pub struct Shown<'a>(pub &'a Type, pub &'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (self.0, self.1) {
            (Type::Real { name: "fraction", .. }, Value::Real(value)) => Percent(*value).fmt(f),
            (_, value) => value.fmt(f),
        }
    }
}

/// A value as a user writes it for a parameter of type `ty`.
pub fn shown(ty: &Type, value: &Value) -> String {
    Shown(ty, value).to_string()
}
