//! Attention, there and back.

use balance::kernel::{Attention, PairFactors, attention, attention_from};
use balance::nn::{Mode, pair_factors};
use balance::seed::Stream;
use candle_core::{DType, Device, Result, Tensor};

use crate::beside::{same, same_in, tensor};

/// Factors as dropout has them: some 0, the others above 1.
fn kept(shape: &[usize], seed: u64) -> Tensor {
    let drawn = tensor(shape, seed).gt(-0.6f32);
    drawn.and_then(|it| it.to_dtype(DType::F32)? * 1.25).expect("factors fit")
}

struct Case {
    batch: usize,
    queries: usize,
    tokens: usize,
    heads: usize,
    width: usize,
    thinned: [bool; 2],
}

impl Case {
    fn attention(&self, device: &Device) -> Result<Attention> {
        let Self { batch, queries, tokens, heads, width, thinned } = *self;
        let on = |is_thinned: bool, factors: Tensor| {
            is_thinned.then(|| factors.to_device(device)).transpose()
        };
        Ok(Attention {
            heads,
            scale: (width as f64).powf(-0.5) * 3.0,
            query_factors: on(thinned[0], kept(&[batch, queries], 8))?,
            probability_factors: on(thinned[1], kept(&[batch, heads, queries, tokens], 9))?
                .map(PairFactors::Given),
        })
    }

    fn name(&self) -> String {
        let Self { batch, queries, tokens, heads, width, thinned } = self;
        format!("{batch} x {queries} x {tokens}, {heads} heads of {width}, {thinned:?}")
    }

    fn packed(&self) {
        let qkv = tensor(&[self.batch, self.tokens, 3 * self.heads * self.width], 1);
        let types = [(DType::F32, 1e-5), (DType::BF16, 2e-2)];
        same_in(&self.name(), &[qkv], &types, |it| {
            attention(&it[0], &self.attention(it[0].device())?)
        });
    }

    fn apart(&self) {
        let total = self.heads * self.width;
        let q = tensor(&[self.batch, self.queries, total], 1);
        let kv = tensor(&[self.batch, self.tokens, 2 * total], 2);
        same(&self.name(), &[q, kv], |it| {
            // In a network both are activations.
            let kv = it[1].to_dtype(it[0].dtype())?;
            attention_from(&it[0], &kv, &self.attention(it[0].device())?)
        });
    }
}

/// (samples, tokens, heads, width): for tensor cores, in tiles, and too long for tensor cores.
const CASES: [[usize; 4]; 12] = [
    [1, 1, 1, 1],
    [2, 5, 3, 4],
    [3, 65, 2, 32],
    [2, 16, 1, 16],
    [1, 17, 2, 64],
    [1, 80, 1, 32],
    [1, 81, 2, 24],
    [2, 33, 1, 48],
    [1, 197, 1, 64],
    [1, 40, 1, 128],
    [1, 129, 3, 16],
    [1, 450, 1, 64],
];

#[test]
fn packed_tokens_attend_as_on_the_cpu() {
    for [batch, tokens, heads, width] in CASES {
        for thinned in [[false, false], [true, true], [false, true]] {
            Case { batch, queries: tokens, tokens, heads, width, thinned }.packed();
        }
    }
}

#[test]
fn queries_of_their_own_attend_as_on_the_cpu() {
    // Of one token all is read, whatever is asked: the gradient of a query is nothing.
    let cases = CASES.into_iter().filter(|[_, tokens, ..]| *tokens > 1);
    for queries in [1, 7, 83] {
        for [batch, tokens, heads, width] in cases.clone() {
            for thinned in [[false, false], [true, true]] {
                Case { batch, queries, tokens, heads, width, thinned }.apart();
            }
        }
    }
}

#[test]
fn pairs_are_dropped_as_on_the_cpu() {
    let mode = Mode::Train(Stream::new(7));
    // Fewer than a block, a rest behind blocks, and pieces that end within a row.
    for [batch, tokens, heads, width] in CASES.into_iter().chain([[2, 130, 2, 16]]) {
        for (queries, probability) in [(1, 0.2), (tokens, 0.1), (tokens, 0.0), (83, 0.5)] {
            let attention_of = |like: &Tensor| -> Result<Attention> {
                let shape = [batch, heads, queries, tokens];
                let queries = kept(&[batch, queries], 8).to_device(like.device())?;
                Ok(Attention {
                    heads,
                    scale: (width as f64).powf(-0.5) * 3.0,
                    query_factors: Some(queries),
                    probability_factors: pair_factors((&mode, "pairs"), probability, &shape, like)?,
                })
            };
            let total = heads * width;
            let name = format!("{batch} x {queries} x {tokens}, {heads} heads of {width}");
            if queries == tokens {
                let qkv = tensor(&[batch, tokens, 3 * total], 1);
                same(&name, &[qkv], |it| attention(&it[0], &attention_of(&it[0])?));
            } else if tokens > 1 {
                let inputs =
                    [tensor(&[batch, queries, total], 1), tensor(&[batch, tokens, 2 * total], 2)];
                same(&name, &inputs, |it| {
                    let kv = it[1].to_dtype(it[0].dtype())?;
                    attention_from(&it[0], &kv, &attention_of(&it[0])?)
                });
            }
        }
    }
}

#[test]
fn heads_wider_than_any_are_refused() {
    let qkv = tensor(&[1, 2, 3 * 130], 1).to_device(&crate::beside::card()).unwrap();
    let one = Attention { heads: 1, scale: 1.0, query_factors: None, probability_factors: None };
    assert!(attention(&qkv, &one).unwrap_err().to_string().contains("130"));
}
