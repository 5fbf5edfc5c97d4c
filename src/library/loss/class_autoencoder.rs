//! The autoencoder term.

use candle_core::{Result, Tensor, bail};

use super::{Activations, Loss, Single, Site, Term};
use crate::catalog::{self, DecoderCall, Misfit, Place};
use crate::library::build;
use crate::library::encoder::Network;
use crate::nn::Mode;
use crate::tensor::Scope;
use crate::{choice, component};

choice! {
    /// Which image is to be restored.
    Target {
        /// The one the encoder saw, after augmentation and normalisation.
        Input = "input",
        /// The same image without random changes, normalised.
        Clean = "clean",
    }
}

component! {
    /// Mean squared error of images restored from the embedding by a decoder.
    ///
    /// The mean is over all numbers of all images and views. The label is given to neither encoder
    /// nor decoder: what makes the autoencoder class-conditional is the cross-entropy trained
    /// beside it on the same encoder (Chen et al., *Perfectly Balanced*, 2022, as released).
    /// Unlike the contrastive terms it changes when members of a class trade places.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment restored {
    ///   data = digits(labels=coarse)
    ///   encoder = mlp()
    ///   loss {
    ///     mse = class_autoencoder(decoder=mlp_decoder())
    ///     class = cross_entropy()
    ///   }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { probe = linear(labels=fine) }
    /// }
    /// ```
    Loss as dyn Loss, version 1, needs [Embedding, Input, Clean],
        network network;
    class_autoencoder => ClassAutoencoder {
        /// What turns embeddings back into images.
        decoder: DecoderCall,
        /// Which image is to be restored; `clean` makes it a denoising autoencoder (Vincent et al.,
        /// 2008).
        target: Target = Target::Input,
    }
}

fn network(
    term: &ClassAutoencoder,
    place: &Place,
) -> std::result::Result<catalog::Network, Misfit> {
    Ok(term.decoder.0.network(place)?.squared_error())
}

impl Loss for ClassAutoencoder {
    fn build(&self, site: &Site, scope: &Scope) -> Result<Term> {
        let decoder = build(&site.library.decoders, &self.decoder.0);
        let decoder = decoder.build(site.dim, site.image, &scope.pp("decoder"))?;
        Ok(Term::Single(Box::new(Autoencoder { decoder, target: self.target })))
    }
}

struct Autoencoder {
    decoder: Box<dyn Network>,
    target: Target,
}

impl Single for Autoencoder {
    fn is_mean(&self) -> bool {
        true
    }

    fn needs_clean(&self) -> bool {
        self.target == Target::Clean
    }

    fn value(&self, batch: &Activations, mode: &Mode) -> Result<Tensor> {
        let restored = self.decoder.forward(&batch.embedding, mode)?;
        let error = match (self.target, &batch.clean) {
            (Target::Input, _) => (restored - &batch.input)?,
            (Target::Clean, Some(clean)) => {
                (restored - Tensor::cat(&vec![clean; batch.views], 0)?)?
            }
            (Target::Clean, None) => bail!("the batch has no images without augmentation"),
        };
        error.sqr()?.mean_all()
    }
}
