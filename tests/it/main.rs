//! The integration tests, one module for each part.

mod augments;
mod contrastive;
mod data;
mod digest;
mod evaluations;
mod gradients;
mod kernels;
mod layers;
mod loss_cases;
mod losses;
mod networks;
mod numeric;
mod optimizers;
mod params;
mod parity;
