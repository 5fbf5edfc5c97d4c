//! A loss term.

use balance::catalog::Positive;
use balance::component;
use balance::library::loss::{Activations, Loss, Single, Site, Term};
use balance::nn::Mode;
use balance::tensor::Scope;
use candle_core::{Result, Tensor};

component! {
    /// Spreads embeddings evenly over the sphere (Wang & Isola, 2020, eq. 2).
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment even {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp(widths=[32], out=8)
    ///   loss { even = 0.5 * uniformity(); class = cross_entropy() }
    ///   train { optimizer = adamw(lr=1e-3); batch = 64; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Loss as dyn Loss, version 1, needs [Embedding];
    uniformity => Uniformity {
        /// How fast the repulsion falls with the squared distance.
        t: Positive = 2.0,
    }
}

impl Loss for Uniformity {
    fn build(&self, _site: &Site, _scope: &Scope) -> Result<Term> {
        Ok(Term::Single(Box::new(self.clone())))
    }
}

impl Single for Uniformity {
    fn value(&self, batch: &Activations, _mode: &Mode) -> Result<Tensor> {
        let length = batch.embedding.sqr()?.sum_keepdim(1)?.sqrt()?;
        let z = batch.embedding.broadcast_div(&length)?;
        let squared_distance = z.matmul(&z.t()?)?.affine(-2.0, 2.0)?;
        squared_distance.affine(-self.t.get(), 0.0)?.exp()?.mean_all()?.log()
    }
}
