//! The card against the CPU: the same operations, with their gradients, on both.
//!
//! Run by `tests/gpu/check` on a machine with a card, and on a make-believe one elsewhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attention;
mod beside;
mod candle;
mod contrastive;
mod convolution;
mod cross_entropy;
mod dropout;
mod elementwise;
mod layers;
mod ledger;
mod losses;
mod memory;
mod norms;
mod optimizers;
#[path = "../bench/shared/planned.rs"]
mod planned;
mod pooling;
#[cfg(feature = "opened")]
mod replay;
mod rounded;
mod spectral;
mod tokens;
mod views;
