//! A multilayer perceptron on the embedding.

use candle_core::{Result, Tensor};

use super::Projector;
use crate::catalog::{self, Count, Misfit, Place};
use crate::component;
use crate::library::encoder::Network;
use crate::nn::{BatchNorm, Linear, Mode};
use crate::tensor::Scope;

component! {
    /// A multilayer perceptron on the embedding (Chen et al., 2020, *SimCLR*).
    ///
    /// Linear layers with rectifiers between them. Terms that compare embeddings by pairs see what
    /// it makes of them; all other terms and the evaluations see the embedding itself. With the
    /// defaults it is the head of Khosla et al. (2020), up to its width; with `batch_norm=true`,
    /// hidden layers are normalised instead of having a bias, as in SimCLR. Weights begin as
    /// PyTorch's do.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment projected {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   projector = mlp_projector(hidden=128, out=32)
    ///   views = 2
    ///   loss { sup = supcon(temperature=0.1) }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Projector as dyn Projector, version 1, network network;
    mlp_projector => MlpProjector {
        /// Width of the hidden layers.
        hidden: Count = 512,
        /// Width of what is compared.
        out: Count = 128,
        /// Linear layers, the last included; one alone is a linear map.
        layers: Count = 2,
        /// Whether hidden layers are normalised over the batch.
        batch_norm: bool = false,
    }
}

/// More layers than anyone trains.
const MOST_LAYERS: usize = 100;

fn network(head: &MlpProjector, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    let layers = head.layers.get();
    if layers > MOST_LAYERS {
        return Err(Misfit {
            param: Some("layers"),
            message: format!("a projector of {layers} layers cannot be meant"),
            label: "layers one after the other".to_owned(),
            help: format!("the most there may be are {MOST_LAYERS}"),
        });
    }
    let mut network = catalog::Network::new(&[place.dim]);
    for _ in 1..layers {
        network = network.linear(head.hidden.get(), !head.batch_norm);
        if head.batch_norm {
            network = network.batch_norm(None);
        }
    }
    Ok(network.linear(head.out.get(), true))
}

impl Projector for MlpProjector {
    fn build(&self, dim: usize, scope: &Scope) -> Result<Box<dyn Network>> {
        let (mut hidden, mut from) = (Vec::new(), dim);
        for index in 1..self.layers.get() {
            let (to, named) = (self.hidden.get(), format!("layer{index}"));
            hidden.push(match self.batch_norm {
                true => {
                    let norm = BatchNorm::new(&scope.pp(format_args!("norm{index}")), to)?;
                    (Linear::without_bias(&scope.pp(named), from, to)?, Some(norm))
                }
                false => (Linear::new(&scope.pp(named), from, to)?, None),
            });
            from = to;
        }
        let last = scope.pp(format_args!("layer{}", self.layers.get()));
        Ok(Box::new(Head { hidden, last: Linear::new(&last, from, self.out.get())? }))
    }
}

struct Head {
    hidden: Vec<(Linear, Option<BatchNorm>)>,
    last: Linear,
}

impl Network for Head {
    fn forward(&self, embeddings: &Tensor, mode: &Mode) -> Result<Tensor> {
        let mut x = embeddings.clone();
        for (layer, norm) in &self.hidden {
            x = match norm {
                Some(norm) => norm.forward(&layer.forward(&x)?, None, true, mode)?,
                None => layer.forward_relu(&x)?,
            };
        }
        self.last.forward(&x)
    }
}
