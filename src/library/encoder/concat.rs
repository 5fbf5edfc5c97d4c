//! Two encoders trained as one.

use candle_core::{Result, Tensor};

use super::{Encoder, Network, part};
use crate::catalog::{self, EncoderCall, ImageShape, Misfit, Place};
use crate::component;
use crate::library::{self, Library};
use crate::nn::Mode;
use crate::tensor::Scope;

component! {
    /// Two encoders trained end to end, their embeddings side by side.
    ///
    /// Every term of the stage sees the whole embedding, that of `a` first, so both encoders learn
    /// from every term but those that see one part alone, as `supcon(on=a)`. Encoders that are
    /// trained apart are stages of their own, and joined where they are evaluated:
    /// `on=concat(contrast.encoder, recon.encoder)`. More than two are
    /// `concat(a=…, b=concat(a=…, b=…))`.
    ///
    /// Where both keep a Lipschitz bound, the bound of the whole is the root of the sum of their
    /// squares.
    ///
    /// ```exp
    /// edition 1
    ///
    /// experiment joint {
    ///   data = digits(labels=coarse)
    ///   encoder = concat(a=mlp(widths=[64], out=16), b=resnet(depth=8, width=4))
    ///   loss {
    ///     mse = class_autoencoder(decoder=mlp_decoder())
    ///     class = cross_entropy()
    ///   }
    ///   train { optimizer = adamw(lr=1e-3); batch = 128; for = 5 epochs }
    ///   eval { fine = linear(labels=fine) }
    /// }
    /// ```
    Encoder as dyn Encoder, version 1, network network;
    concat => Concat {
        /// The encoder whose embedding comes first.
        a: EncoderCall,
        /// The encoder whose embedding comes second.
        b: EncoderCall,
    }
}

fn network(concat: &Concat, place: &Place) -> std::result::Result<catalog::Network, Misfit> {
    let part = |param, call: &EncoderCall| {
        call.0.network(place).map_err(|misfit| Misfit { param: Some(param), ..misfit })
    };
    let mut whole = catalog::Network::of_images(place.image);
    let images = whole.here();
    whole.append(images, &part("a", &concat.a)?);
    let first = whole.here();
    whole.append(images, &part("b", &concat.b)?);
    let second = whole.here();
    Ok(whole.from(first).beside(&[second]))
}

impl Encoder for Concat {
    fn build(&self, input: ImageShape, scope: &Scope) -> Result<Box<dyn Network>> {
        self.build_from(&Library::standard(), input, scope)
    }

    fn build_from(
        &self,
        library: &Library,
        input: ImageShape,
        scope: &Scope,
    ) -> Result<Box<dyn Network>> {
        let built = |name, call: &EncoderCall| {
            let encoder: Box<dyn Encoder> = library::build(&library.encoders, &call.0);
            part(&*encoder, library, input, &scope.pp(name))
        };
        Ok(Box::new(Pair { a: built("a", &self.a)?, b: built("b", &self.b)? }))
    }
}

struct Pair {
    a: Box<dyn Network>,
    b: Box<dyn Network>,
}

impl Network for Pair {
    fn forward(&self, images: &Tensor, mode: &Mode) -> Result<Tensor> {
        Tensor::cat(&[self.a.forward(images, mode)?, self.b.forward(images, mode)?], 1)
    }
}
