//! What clusters of embeddings are asked for, whoever asks.

use crate::catalog::{Count, NonNegative};
use crate::measure::mixture::{Covariance, Fit};
use crate::measure::subclasses::Search;
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

/// Most clusters that silhouettes choose among.
pub const MOST: usize = 10;

impl Clustering {
    /// A search for clusters by `method`.
    pub fn search(&self, method: Method) -> Search {
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

/// What to say where a mixture inside the class `name` was not found.
pub fn ill_defined(name: &str) -> String {
    format!(
        "a component of the mixture inside `{name}` has no covariance that can be inverted; \
         write a larger `regularisation`, or `covariance=diagonal`"
    )
}
