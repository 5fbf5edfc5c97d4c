//! Every test that needs no private item, in one binary: one link instead of twenty.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod architecture;
mod augments;
mod bad_input;
mod candle;
mod catalog;
mod cli;
mod contrastive;
mod data;
mod determinism;
mod digest;
mod docs;
mod engine;
mod evaluations;
mod extension;
mod golden;
mod gradients;
mod kernels;
mod lab;
mod language;
mod layers;
mod learning;
mod loss_cases;
mod losses;
mod networks;
mod numeric;
mod optimizers;
mod params;
mod parity;
mod properties;
mod resume;
mod sweeps;
mod tape;
mod worked;
