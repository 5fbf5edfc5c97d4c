//! What theory says of a stage before it is trained: where the least loss lies, and what the loss
//! is worth there. Closed forms of numbers in, numbers out; `docs/guide/theory.md` derives them.

mod bessel;
mod geometry;
mod notes;
mod part;
mod reference;
mod sphere;
mod stage;
mod verdict;

pub use bessel::bessel_ratio;
pub use geometry::{Denominator, Phase, Setting};
pub use notes::theory_notes;
pub use reference::{Contrast, Reference};
pub use stage::{Theory, theory_lines};
pub use verdict::{is_contrastive, sees, verdict};
