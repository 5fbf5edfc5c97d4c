//! `balance` compiles declarative experiment files into candle graphs, trains them, and reports
//! what their representations are worth.

pub mod analysis;
pub mod catalog;
pub mod cli;
pub mod data;
pub mod diag;
pub mod digest;
pub mod graph;
pub mod kernel;
pub mod library;
pub mod measure;
pub mod nn;
pub mod plan;
pub mod process;
pub mod report;
pub mod resolve;
pub mod run;
pub mod seed;
pub mod statistics;
pub mod store;
pub mod syntax;
pub mod tensor;
pub mod theory;
