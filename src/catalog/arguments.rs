//! Arguments that several components share, declared once.

use super::{Bound, ParamSpec, Type};

/// Typed parameters that are declared apart from the components that take them. A component takes
/// them by `..name: Group`, behind one of its own.
pub trait Arguments: Sized {
    /// Their declarations.
    const PARAMS: &'static [ParamSpec];
    /// From checked arguments.
    fn from_bound(bound: &Bound) -> Self;
}

/// A parameter's name in the language: `r#for`, which Rust spells so, is called `for`.
pub const fn plain(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// How many parameters `parts` have together.
pub const fn counted(parts: &[&[ParamSpec]]) -> usize {
    let (mut part, mut count) = (0, 0);
    while part < parts.len() {
        count += parts[part].len();
        part += 1;
    }
    count
}

/// The `N` parameters of `parts`, in order.
pub const fn joined<const N: usize>(parts: &[&[ParamSpec]]) -> [ParamSpec; N] {
    let mut all = [ParamSpec { name: "", docs: "", ty: Type::Bool, default: None }; N];
    let (mut part, mut to) = (0, 0);
    while part < parts.len() {
        let mut at = 0;
        while at < parts[part].len() {
            all[to] = parts[part][at];
            at += 1;
            to += 1;
        }
        part += 1;
    }
    all
}

/// Declares arguments that several components share: a struct of typed parameters.
#[macro_export]
macro_rules! arguments {
    (
        $(#[doc = $doc:literal])+
        $name:ident {
            $( $(#[doc = $param_doc:literal])+ $param:ident: $ty:ty $(= $default:expr)? ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone)]
        #[allow(dead_code, reason = "some arguments are read from the plan, not by the component")]
        pub struct $name { $( $(#[doc = $param_doc])+ pub $param: $ty ),* }

        impl $crate::catalog::Arguments for $name {
            const PARAMS: &'static [$crate::catalog::ParamSpec] = &[ $(
                $crate::component!(@param [$($param_doc)+] $param: $ty $(= $default)?)
            ),* ];

            fn from_bound(bound: &$crate::catalog::Bound) -> Self {
                Self { $( $param: bound.get($crate::catalog::plain(stringify!($param))) ),* }
            }
        }
    };
}
