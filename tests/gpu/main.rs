//! The card against the CPU: the same operations, with their gradients, on both.
//!
//! Run by `tests/gpu/check` on a machine with a card, and on a make-believe one elsewhere.

mod attention;
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod beside;
mod convolution;
mod dropout;
mod elementwise;
mod layers;
mod norms;
#[path = "../bench/shared/planned.rs"]
mod planned;
mod views;
mod contrastive;
mod cross_entropy;
mod elementwise;
mod losses;
mod pooling;
mod spectral;
