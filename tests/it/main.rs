//! Every test that needs no private item, in one binary: one link instead of twenty.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod architecture;
mod augments;
mod catalog;
mod checking;
mod contrastive;
mod data;
mod digest;
mod docs;
mod evaluations;
mod extension;
mod golden;
mod gradients;
mod kernels;
mod language;
mod layers;
mod loss_cases;
mod losses;
mod networks;
mod numeric;
mod optimizers;
mod params;
mod parity;
mod properties;
mod tape;
mod worked;
