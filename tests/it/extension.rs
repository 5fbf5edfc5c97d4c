//! A loss term declared outside the crate: all that a program with components of its own needs
//! besides `balance::cli::main(&library())`.

use balance::catalog::Positive;
use balance::component;
use balance::graph::{Batch, build};
use balance::library::Library;
use balance::library::loss::{Activations, Loss, Single, Site, Term};
use balance::nn::Mode;
use balance::seed::Stream;
use balance::tensor::Scope;
use candle_core::{DType, Device, Result, Tensor};

use crate::numeric::{normal, values};
use crate::worked::{Asked, work_with};

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

fn library() -> Library {
    let mut library = Library::standard();
    library.losses.push(&ENTRY);
    library
}

#[test]
fn a_component_of_ones_own_is_checked_and_trained_like_any_other() {
    let library = library();
    let example = ENTRY.spec.examples().next().unwrap();
    let worked = work_with(&library, &[("own.exp", &example)], &Asked::default());
    assert!(worked.diagnostics.is_empty(), "{}", worked.rendered());
    let slip = example.replace("uniformity", "uniformty");
    let shown = work_with(&library, &[("own.exp", &slip)], &Asked::default()).rendered();
    assert!(shown.contains("did you mean `uniformity`?"), "{shown}");

    let stage = &worked.plans[0].stages[0];
    let model = build(stage, &library, DType::F64, &Device::Cpu).unwrap();
    let images = normal("images", &[4, 8, 8, 1]);
    let batch = Batch { images, clean: None, fine: vec![0, 3, 5, 9], views: 1 };
    let loss = model.loss(batch, &Mode::Train(Stream::new(1))).unwrap();
    let names: Vec<&str> = loss.terms.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["even", "class"]);
    let total = 0.5 * loss.terms[0].1 + loss.terms[1].1;
    assert!((values(&loss.total)[0] - total).abs() < 1e-12);
    assert!(loss.terms[0].1 < 0.0);
    let grads = loss.total.backward().unwrap();
    assert!(model.params().without_gradient(&grads).is_empty());
}
