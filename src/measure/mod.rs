//! What evaluations compute of embeddings: numbers in, numbers out, and the same bits at any number
//! of threads. No N × N matrix is ever formed.

pub mod logistic;
pub mod nearest;
pub mod roc;
