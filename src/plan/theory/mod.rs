//! What theory says of a stage before it is trained: where the least loss lies, and what the loss
//! is worth there. The closed forms are those of `crate::theory`.

mod notes;
mod part;
mod reach;
mod stage;
mod verdict;

pub use crate::theory::{Contrast, Denominator, Phase, Reference, Setting, bessel_ratio};
pub use notes::theory_notes;
pub use reach::out_of_reach;
pub use stage::{Theory, is_foretold, theory_lines};
pub use verdict::{is_contrastive, sees, verdict};
