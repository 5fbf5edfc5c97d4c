//! Where a contrastive loss has its least value, and what it is worth there. Closed forms of numbers
//! in, numbers out; `docs/guide/theory.md` derives them.

mod bessel;
mod geometry;
mod reference;
mod sphere;

pub use bessel::bessel_ratio;
pub use geometry::{Denominator, Phase, Setting};
pub use reference::{Contrast, Reference};
