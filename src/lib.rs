//! `balance` compiles declarative experiment files into candle graphs, trains them, and reports
//! what their representations are worth.

pub mod kernel;
pub mod nn;
pub mod seed;
pub mod tensor;
