//! What a component is: one declaration that the checker, the help, the plan and the engine read.

mod account;
mod arguments;
mod bound;
mod compose;
mod cost;
mod course;
mod division;
mod facts;
mod forms;
mod kind;
mod nested;
mod page;
mod part;
mod picture;
mod several;
mod subsample;
mod sums;
mod types;
mod value;
mod weights;

pub use account::Account;
pub use arguments::{Arguments, counted, joined, plain};
pub use bound::{Bound, is_unsaid, shown};
pub use cost::{At, Layer, Network, NetworkFn, Op, Pairing, Place, product};
pub use course::{Course, Horizon, Join, Shape, Varying};
pub use division::{Division, TooMany, follows_seed, shares};
pub use facts::{
    ClassMap, DataFault, DatasetFacts, Facts, LabelError, MachineFacts, Tensors, WeightsFacts,
};
pub use forms::Forms;
pub use kind::Kind;
pub use nested::*;
pub use part::Part;
pub use picture::{ImageShape, Picture, PictureFn};
pub use several::Several;
pub use subsample::{Draw, Subsample};
pub use types::*;
pub use value::*;
pub use weights::{BALANCED, ClassWeights};

/// What a component reads of a batch or a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// The encoder's output, `[rows, dim]`.
    Embedding,
    /// The class of each item.
    Labels,
    /// The group of each item, as the dataset names groups.
    Groups,
    /// Two or more views of each item.
    Views,
    /// The images the encoder saw, `[rows, height, width, channels]`.
    Input,
    /// The same images before augmentation, normalised.
    Clean,
    /// Values of an image in 0..=1, before they are normalised; what a transform reads.
    Unit,
    /// All images of a batch, to mix them and their classes; what a transform reads.
    Batch,
    /// Several classes of an item, each with its share, where images are mixed.
    Shares,
    /// All images of a split at once; what an optimizer reads that takes no single steps.
    Split,
    /// The class of each item as training saw it, where labels are noisy.
    Observed,
    /// What a classifier that was trained with the encoder gives to each class.
    Scores,
}

/// Why a component does not fit the images it is given.
#[derive(Debug, Clone, PartialEq)]
pub struct Misfit {
    /// The parameter at fault, if it is one.
    pub param: Option<&'static str>,
    /// What is wrong, as a sentence.
    pub message: String,
    /// What to say at the parameter.
    pub label: String,
    /// What to write.
    pub help: String,
}

/// From arguments to what they make a component read beyond [`Spec::needs`].
pub type NeedsFn = fn(&Bound) -> &'static [Port];

/// From arguments and the shape of an image to what a file of an encoder's weights holds.
pub type StoredFn = fn(&Bound, ImageShape) -> Tensors;

/// From arguments and the names of classes to the names of the groups that may be found in them.
pub type GroupsFn = fn(&Bound, &[String]) -> Vec<String>;

/// Whether a metric is a share of all images, written in percent.
pub fn is_share(metric: &str) -> bool {
    metric.ends_with("accuracy")
}

/// The declaration of a component.
#[derive(Debug)]
pub struct Spec {
    pub kind: Kind,
    /// The name in `.exp` files; also its file's name under `src/library`.
    pub name: &'static str,
    /// Raised when its numbers change, so that old results are not reused.
    pub version: u32,
    /// Markdown: first sentence, details, and an `exp` example that checks.
    pub docs: &'static str,
    pub params: &'static [ParamSpec],
    pub needs: &'static [Port],
    /// What some arguments make it read besides.
    pub also: Option<NeedsFn>,
    /// What an evaluation measures; the first is shown where one number is asked for.
    pub metrics: &'static [&'static str],
    /// How many of them tables show.
    pub shown: usize,
    /// The parameter that names sets of arguments.
    pub forms: Option<Forms>,
    /// What it computes, in formulas.
    pub account: Option<fn(&Bound) -> Account>,
    /// The layers it adds to a model.
    pub network: Option<NetworkFn>,
    /// Whether a transform draws nothing, and so applies at evaluation as well.
    pub fixed: bool,
    /// What a transform makes of images, where that is not the same.
    pub picture: Option<PictureFn>,
    /// What a file of its weights holds.
    pub stored: Option<StoredFn>,
    /// The groups that a grouping may find, of which some may stay empty.
    pub groups: Option<GroupsFn>,
    /// Numbers an optimizer keeps for each number it trains.
    pub moments: usize,
    /// The splits an evaluation measures on.
    pub splits: &'static [&'static str],
    /// Why no bound holds of how far it carries two inputs apart, where that is known.
    pub unbounded: Option<&'static str>,
}

impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, self.name) == (other.kind, other.name)
    }
}

impl Spec {
    /// The split that is meant where none is named: `test`, if it is measured on that.
    pub fn usual_split(&self) -> &'static str {
        match self.splits {
            [.., last] if !self.splits.contains(&"test") => last,
            _ => "test",
        }
    }

    /// The declared parameter called `name`.
    pub fn param(&self, name: &str) -> Option<&'static ParamSpec> {
        self.params.iter().find(|param| param.name == name)
    }
}

impl Bound {
    /// The layers this adds to a model at `place`; none without a declaration of them.
    ///
    /// # Errors
    /// When it does not fit what it is given.
    pub fn network(&self, place: &Place) -> Result<Network, Misfit> {
        match self.spec.network {
            Some(network) => network(self, place),
            None => Ok(Network::new(&[place.dim])),
        }
    }
}

/// The declaration of a parameter.
#[derive(Debug, Clone, Copy)]
pub struct ParamSpec {
    pub name: &'static str,
    pub docs: &'static str,
    pub ty: Type,
    /// Absent when the argument must be given.
    pub default: Option<fn() -> Value>,
}

/// A component's declaration with what builds it.
pub struct Entry<T: ?Sized + 'static> {
    pub spec: Spec,
    /// From checked arguments to the component.
    pub build: fn(&Bound) -> Box<T>,
}

/// Every component an experiment file can name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    specs: Vec<&'static Spec>,
    facts: Facts,
}

impl Catalog {
    /// A catalog of `specs`, in reading order.
    pub fn new(specs: impl IntoIterator<Item = &'static Spec>) -> Self {
        Self { specs: specs.into_iter().collect(), facts: Facts::default() }
    }

    /// The same with what is known of its datasets, for advice that counts images.
    pub fn knowing(self, facts: &Facts) -> Self {
        Self { facts: facts.clone(), ..self }
    }

    /// What is known of the dataset that `spec` declares.
    pub fn facts(&self, spec: &Spec) -> Option<&DatasetFacts> {
        self.facts.datasets.get(spec.name).filter(|_| spec.kind == Kind::Dataset)
    }

    /// The component of `kind` called `name`.
    pub fn find(&self, kind: Kind, name: &str) -> Option<&'static Spec> {
        self.of(kind).find(|spec| spec.name == name)
    }

    /// Every component called `name`, whatever its kind.
    pub fn named(&self, name: &str) -> Vec<&'static Spec> {
        self.specs.iter().copied().filter(|spec| spec.name == name).collect()
    }

    /// The components of `kind`, in reading order.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &'static Spec> + '_ {
        self.specs.iter().copied().filter(move |spec| spec.kind == kind)
    }

    /// All components, in reading order.
    pub fn all(&self) -> &[&'static Spec] {
        &self.specs
    }
}

/// Declares a component: a struct of typed parameters, and the [`Entry`] for its registry.
#[macro_export]
macro_rules! component {
    (
        $(#[doc = $doc:literal])+
        $kind:ident as dyn $trait:path, version $version:literal
            $(, needs [$($port:ident),* $(,)?])? $(, also $also:path)?
            $(, metrics [$($metric:ident),* $(,)?])? $(, splits [$($split:ident),* $(,)?])?
            $(, shown $shown:literal)?
            $(, forms $form:ident by $forms:path)? $(, account $account:path)?
            $(, network $network:path)? $(, stored $stored:path)? $(, groups $groups:path)? $(, moments $moments:literal)?
            $(, fixed $fixed:literal)? $(, picture $picture:path)?
            $(, unbounded $unbounded:literal)?;
        $name:ident $(. $part:ident)? => $struct:ident {
            $(
                $(#[doc = $param_doc:literal])+ $param:ident: $ty:ty $(= $default:expr)?,
                $( ..$shared:ident: $group:ty, )*
            )*
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone)]
        #[allow(dead_code, reason = "some arguments are read from the plan, not by the component")]
        pub struct $struct { $(
            $(#[doc = $param_doc])+ pub $param: $ty,
            $( #[doc = "Arguments that it shares."] pub $shared: $group, )*
        )* }

        impl $struct {
            /// From checked arguments.
            #[allow(unused_variables)]
            pub fn from_bound(bound: &$crate::catalog::Bound) -> Self {
                Self { $(
                    $param: bound.get($crate::catalog::plain(stringify!($param))),
                    $( $shared: $crate::catalog::Arguments::from_bound(bound), )*
                )* }
            }
        }

        /// The declaration and the constructor, for the registry.
        pub static ENTRY: $crate::catalog::Entry<dyn $trait> = $crate::catalog::Entry {
            spec: $crate::catalog::Spec {
                kind: $crate::catalog::Kind::$kind,
                name: concat!(stringify!($name) $(, ".", stringify!($part))?),
                version: $version,
                docs: concat!($($doc, "\n"),+),
                params: {
                    const PARTS: &[&[$crate::catalog::ParamSpec]] = &[ $(
                        &[$crate::component!(@param [$($param_doc)+] $param: $ty $(= $default)?)],
                        $( <$group as $crate::catalog::Arguments>::PARAMS, )*
                    )* ];
                    const PARAMS: [$crate::catalog::ParamSpec; $crate::catalog::counted(PARTS)] =
                        $crate::catalog::joined(PARTS);
                    &PARAMS
                },
                needs: &[ $($( $crate::catalog::Port::$port ),*)? ],
                also: $crate::component!(@also $struct $($also)?),
                metrics: &[ $($( stringify!($metric) ),*)? ],
                shown: $crate::component!(@shown $($shown)?),
                account: $crate::component!(@account $struct $($account)?),
                forms: $crate::component!(@forms $($form $forms)?),
                network: $crate::component!(@network $struct $($network)?),
                fixed: $crate::component!(@fixed $($fixed)?),
                picture: $crate::component!(@network $struct $($picture)?),
                stored: $crate::component!(@stored $struct $($stored)?),
                groups: $crate::component!(@groups $struct $($groups)?),
                moments: $crate::component!(@moments $($moments)?),
                splits: $crate::component!(@splits $($($split)*)?),
                unbounded: $crate::component!(@unbounded $($unbounded)?),
            },
            build: |bound| Box::new($struct::from_bound(bound)),
        };
    };
    (@param [$($doc:literal)+] $param:ident: $ty:ty $(= $default:expr)?) => {
        $crate::catalog::ParamSpec {
            name: $crate::catalog::plain(stringify!($param)),
            docs: concat!($($doc, "\n"),+),
            ty: <$ty as $crate::catalog::ParamType>::TYPE,
            default: $crate::component!(@default $ty $(= $default)?),
        }
    };
    (@default $ty:ty = $default:expr) => {
        Some(|| $crate::catalog::ParamType::to_value(&<$ty>::from($default)))
    };
    (@default $ty:ty) => { None };
    (@network $struct:ident $network:path) => {
        Some(|bound, place| $network(&$struct::from_bound(bound), place))
    };
    (@fixed $fixed:literal) => { $fixed };
    (@fixed) => { false };
    (@also $struct:ident $also:path) => { Some(|bound| $also(&$struct::from_bound(bound))) };
    (@also $struct:ident) => { None };
    (@network $struct:ident) => { None };
    (@account $struct:ident $account:path) => {
        Some(|bound| $account(&$struct::from_bound(bound)))
    };
    (@account $struct:ident) => { None };
    (@forms $form:ident $forms:path) => {
        Some($crate::catalog::Forms { param: stringify!($form), of: $forms })
    };
    (@forms) => { None };
    (@stored $struct:ident $stored:path) => {
        Some(|bound, image| $stored(&$struct::from_bound(bound), image))
    };
    (@stored $struct:ident) => { None };
    (@groups $struct:ident $groups:path) => {
        Some(|bound, classes| $groups(&$struct::from_bound(bound), classes))
    };
    (@groups $struct:ident) => { None };
    (@shown $shown:literal) => { $shown };
    (@shown) => { 1 };
    (@moments $moments:literal) => { $moments };
    (@moments) => { 0 };
    (@unbounded $unbounded:literal) => { Some($unbounded) };
    (@unbounded) => { None };
    (@splits) => { &["train", "val", "test"] };
    (@splits $($split:ident)+) => { &[ $( stringify!($split) ),+ ] };
}
