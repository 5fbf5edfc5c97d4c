//! Training operations, each with its gradient written by hand: channels last; on the CPU in f32
//! (fast) or f64 (exact), with the same bits at any number of threads, and on CUDA cards (`card`).
//!
//! Work is cut into pieces whose borders depend on shapes alone, and partial sums are added in the
//! order of the pieces; so the number of threads decides only who computes what.

// Inner loops index several slices in step.
#![allow(clippy::needless_range_loop)]

mod activation;
mod attention;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod batch_norm;
#[cfg(feature = "cuda")]
pub(crate) mod card;
mod cards;
mod channel_map;
mod channels;
mod contrastive;
mod conv;
mod cross_entropy;
mod first_channels;
mod first_token;
mod group_norm;
mod lanes;
mod layer_norm;
mod ledger;
mod linear;
pub(crate) mod matrix;
mod max_pool;
mod norm;
mod pieces;
mod pixels;
mod precision;
mod product;
pub(crate) mod real;
#[cfg(not(feature = "opened"))]
mod replay;
mod scaled;
mod spectral;
mod squared_error;
mod stacked;
mod sum;
mod tape;
mod total;
mod turn;
mod values;
pub(crate) mod wide;

pub use activation::{gelu, relu};
pub use attention::{Attention, PairFactors, attention, attention_from};
pub use batch_norm::{BatchNorm, BatchNormed, Running};
pub use batch_norm::{batch_norm, batch_norm_recorded, channel_affine};
#[cfg(feature = "cuda")]
pub use card::{
    Draws, Rounded, Shelf, Touch, View, bounded_on_card, card_device, cards, compile_all,
    gelu_of_sums, has_cudnn, holding_at_once, is_paintable, keep_compiled, leave_cudnn, most_used,
    paint, patches_on_card, resident, residual, tokens_on_card, without_cudnn,
};
#[cfg(feature = "opened")]
pub use card::{Replay, held, is_sound};
#[cfg(not(feature = "cuda"))]
pub use cards::elsewhere::{card_device, cards, compile_all, has_cudnn, most_used};
pub use cards::{Card, Found};
pub use contrastive::{
    Denominator, Lengths, NoPositive, PairKind, PairTerm, Sum, contrastive, contrastive_weighted,
};
pub use conv::{Conv2d, conv2d};
pub use cross_entropy::{Portion, cross_entropy, cross_entropy_mixed, cross_entropy_weighted};
pub use first_channels::first_channels;
pub use first_token::first_token;
pub use group_norm::{GroupNorm, group_norm};
pub use layer_norm::layer_norm;
pub use ledger::Ledger;
pub use linear::linear;
pub use max_pool::{MaxPool, max_pool};
pub use norm::squared_norm;
pub use pixels::{global_average_pool, upsample_nearest};
#[cfg(not(feature = "cuda"))]
pub use precision::Rounded;
pub(crate) use precision::between;
pub use precision::in_halves;
pub use product::has_bf16;
#[cfg(not(feature = "opened"))]
pub use replay::{Replay, held, is_sound};
pub use scaled::scaled;
pub use spectral::{Effort, Map, Singular, bounded, singular};
pub use squared_error::squared_error;
pub use stacked::stacked;
pub use sum::sum;
pub use tape::{gradients, without_gradients};
pub(crate) use total::plus;
