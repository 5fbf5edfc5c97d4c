//! What clusters of embeddings are asked for, whoever asks.

use super::eval::EvalError;
use crate::catalog::{Count, NonNegative};
use crate::measure::Points;
use crate::measure::mixture::{Covariance, Fit};
use crate::measure::subclasses::{Search, Told, Tree, Unfound};
use crate::seed::Stream;
use crate::{arguments, choice};

choice! {
    /// What finds the clusters.
    Method {
        /// K-means.
        KMeans = "kmeans",
        /// A mixture of Gaussians, begun with the clusters of k-means.
        Mixture = "gmm",
    }
}

choice! {
    /// What the covariance of a mixture's component may be.
    Shape {
        /// No two dimensions vary together.
        Diagonal = "diagonal",
        /// Any.
        Full = "full",
        /// The same in every direction.
        Spherical = "spherical",
    }
}

arguments! {
    /// How clusters are looked for.
    Clustering {
        /// How often clustering is begun anew; the best counts.
        starts: Count = 3,
        /// What the covariance of a mixture's component may be.
        covariance: Shape = Shape::Diagonal,
        /// What is added to every variance of a mixture.
        regularisation: NonNegative = 1e-6,
    }
}

/// What is asked for inside a class.
pub struct Wanted {
    pub method: Method,
    /// How many clusters; without a number, as silhouettes say.
    pub k: Option<usize>,
    /// Whether clusters are cut further where silhouettes grow.
    pub overcluster: bool,
}

/// What clusters are looked for in: the images of a class.
pub struct Inside<'a> {
    pub train: Points<'a>,
    /// The loss of each training image, where it is known.
    pub losses: Option<&'a [f64]>,
    /// Those of the validation split, if there are any.
    pub val: Option<Points<'a>>,
}

/// Most clusters that silhouettes choose among.
pub const MOST: usize = 10;

impl Clustering {
    /// The clusters inside a class.
    ///
    /// # Errors
    /// When the covariance of a mixture's component cannot be inverted, or `told` asks to stop.
    pub fn tree(
        &self,
        wanted: &Wanted,
        inside: &Inside,
        stream: &Stream,
        told: &mut Told,
    ) -> Result<Tree, Unfound> {
        let Inside { train, losses, val } = *inside;
        let (search, named) = (self.search(wanted.method), stream.named("clusters"));
        let found = match wanted.k {
            Some(k) => search.fit(train, k, &named),
            None => search.choose(train, MOST, &named, told),
        }?;
        Ok(match wanted.overcluster {
            true => search.cut((train, losses), val, found, &stream.named("parts")),
            false => Tree::whole(found),
        })
    }

    /// A search for clusters by `method`.
    fn search(&self, method: Method) -> Search {
        let covariance = match self.covariance {
            Shape::Diagonal => Covariance::Diagonal,
            Shape::Full => Covariance::Full,
            Shape::Spherical => Covariance::Spherical,
        };
        let fit = Fit { regularisation: self.regularisation.get(), ..Fit::new(covariance) };
        let mixture = (method == Method::Mixture).then_some(fit);
        Search { mixture, starts: self.starts.get() }
    }
}

/// What to say where the clusters inside the class `name` were not found.
pub fn unfound(why: Unfound, name: &str) -> EvalError {
    match why {
        Unfound::Stopped => EvalError::Stopped,
        Unfound::IllDefined => EvalError::Failed(format!(
            "a component of the mixture inside `{name}` has no covariance that can be inverted; \
             write a larger `regularisation`, or `covariance=diagonal`"
        )),
    }
}
