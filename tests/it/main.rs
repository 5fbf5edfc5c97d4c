mod contrastive;
mod data;
mod gradients;
mod kernels;
mod layers;
mod loss_cases;
mod numeric;
mod params;
