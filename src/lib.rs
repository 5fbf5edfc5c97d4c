//! `balance` compiles declarative experiment files into candle graphs, trains them, and reports
//! what their representations are worth.

pub mod catalog;
pub mod diag;
pub mod kernel;
pub mod library;
pub mod nn;
pub mod seed;
pub mod tensor;
