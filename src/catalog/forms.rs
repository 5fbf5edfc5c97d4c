//! Named sets of arguments.

use super::{ParamSpec, Spec, Type, Value};

/// A parameter whose word decides what the arguments that are not written are.
#[derive(Debug, Clone, Copy)]
pub struct Forms {
    /// The parameter.
    pub param: &'static str,
    /// From its word and the name of another parameter to that parameter's value, if the form sets
    /// it.
    pub of: fn(&str, &str) -> Option<Value>,
}

impl Spec {
    /// What the argument of `param` is when it is not written, in the form called `form`; none when
    /// it must be written.
    pub fn default_in(&self, form: Option<&str>, param: &ParamSpec) -> Option<Value> {
        let set = self.forms.zip(form).and_then(|(forms, form)| (forms.of)(form, param.name));
        set.or_else(|| param.default.map(|default| default()))
    }

    /// The names of its forms, in order.
    pub fn form_names(&self) -> &'static [&'static str] {
        match self.forms.and_then(|forms| self.param(forms.param)).map(|param| param.ty) {
            Some(Type::Choice(words)) => words,
            _ => &[],
        }
    }

    /// What the form called `form` sets, by parameter.
    pub fn form(&self, form: &str) -> Vec<(&'static ParamSpec, Value)> {
        let Some(forms) = self.forms else { return Vec::new() };
        let set = |param: &'static ParamSpec| Some((param, (forms.of)(form, param.name)?));
        self.params.iter().filter_map(set).collect()
    }
}
