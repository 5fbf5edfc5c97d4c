//! Every test that needs no private item, in one binary: one link instead of twenty.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod analyses;
mod architecture;
mod augment_parity;
mod augments;
mod bad_files;
mod bad_input;
mod begins;
mod candle;
mod catalog;
mod cli;
mod completions;
mod contrastive;
mod control;
mod cost;
mod courses;
mod data;
mod datasets;
mod determinism;
mod diagnostics;
mod digest;
mod docs;
mod engine;
mod evaluations;
mod extension;
mod foretold;
mod format;
mod found_groups;
mod freeze;
mod fuzz;
mod geometry;
mod given;
mod golden;
mod gradients;
mod halves;
mod jobs;
mod kernels;
mod lab;
mod language;
mod layers;
mod learning;
#[path = "../fuzz/locality.rs"]
mod locality;
mod loss_cases;
mod losses;
mod measure;
mod mixing;
#[path = "../fuzz/mutation.rs"]
mod mutation;
mod networks;
mod numeric;
mod optimizers;
mod params;
mod parity;
mod parts;
mod passes;
mod preview;
mod projectors;
mod properties;
mod regression;
mod resume;
mod robustness;
mod samplers;
mod schema;
mod spectral;
#[path = "../fuzz/survey.rs"]
mod survey;
mod sweeps;
mod tape;
mod theory;
mod tools;
mod training;
mod weights;
mod worked;
mod worst_group;
