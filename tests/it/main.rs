//! The integration tests, one module for each part.

mod contrastive;
mod gradients;
mod kernels;
mod layers;
mod loss_cases;
mod numeric;
mod params;
mod tape;
