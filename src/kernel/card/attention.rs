//! Attention: on tensor cores where numbers are in bf16 and a head fits what a block shares, and in
//! tiles otherwise.

use candle_core::{DType, Result, Tensor, bail};

use super::{Arg, Card, Grid, Made, Operand, Room, Source, on};

/// Bytes that a block may share, where a card has as many.
const SHARED: usize = 220 * 1024;

/// Queries, and tokens, of a tile.
const TILE: usize = 80;

/// The widest head that tiles are there for.
const WIDEST: usize = 128;

/// The sizes of the problem.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    /// Tokens that ask.
    pub(crate) queries: usize,
    /// Tokens that answer.
    pub(crate) tokens: usize,
    pub(crate) heads: usize,
    /// The width of one head.
    pub(crate) width: usize,
    pub(crate) scale: f64,
    /// Whether queries, keys and values lie side by side; else keys and values do.
    pub(crate) is_packed: bool,
}

/// Constant factors, in f32 of queries and as activations are of pairs.
pub(crate) struct Factors<'a> {
    pub(crate) of_queries: Option<&'a Tensor>,
    pub(crate) of_pairs: Option<&'a Tensor>,
}

impl Factors<'_> {
    /// Runs `work` on where they are.
    fn at<R>(&self, dtype: DType, work: impl FnOnce([Arg; 2]) -> Result<R>) -> Result<R> {
        let as_read = |it: Option<&Tensor>, dtype| it.map(|it| it.to_dtype(dtype)).transpose();
        let of_queries = as_read(self.of_queries, DType::F32)?;
        let of_pairs = as_read(self.of_pairs, dtype)?;
        match (&of_queries, &of_pairs) {
            (None, None) => work([Arg::NONE; 2]),
            (Some(one), None) => on([one], |[one]| work([one.at(), Arg::NONE])),
            (None, Some(two)) => on([two], |[two]| work([Arg::NONE, two.at()])),
            (Some(one), Some(two)) => on([one, two], |[one, two]| work([one.at(), two.at()])),
        }
    }
}

/// Where queries, keys and values begin, or their gradients.
type Places = [Arg; 3];

/// How a problem is worked on.
#[derive(Clone, Copy)]
enum Way {
    /// A block for each head of each sample; kernels there and back.
    Whole([&'static str; 2]),
    /// Kernels there, back to queries, and back to keys and values.
    Tiles([&'static str; 3]),
}

impl Sizes {
    fn total(&self) -> usize {
        self.heads * self.width
    }

    /// Elements from one row of queries, and of keys and values, to the next.
    fn rows(&self) -> [usize; 2] {
        let total = self.total();
        if self.is_packed { [3 * total; 2] } else { [total, 2 * total] }
    }

    /// Where the parts begin in one tensor, or in two.
    fn places(&self, first: Arg, second: Option<Arg>, dtype: DType) -> Places {
        let total = self.total();
        match second {
            None => [first, first.further(total, dtype), first.further(2 * total, dtype)],
            Some(second) => [first, second, second.further(total, dtype)],
        }
    }

    fn args(&self) -> Vec<Arg> {
        let [of_queries, others] = self.rows();
        let sizes = [of_queries, others, self.queries, self.tokens, self.heads];
        sizes.map(Arg::size).to_vec()
    }

    /// Bytes that a block shares with all rows of a head, on the way back if so.
    fn whole(&self, back: bool) -> usize {
        let (asking, tokens) =
            (self.queries.next_multiple_of(16), self.tokens.next_multiple_of(16));
        let rows = 2 * tokens + if back { 2 * asking } else { asking };
        2 * rows * (self.width + 8) + if back { 12 * asking } else { 0 }
    }

    /// Bytes that a block shares with some tiles of rows, of pairs, and numbers of each row.
    fn tiled(&self, rows: usize, pairs: usize, numbers: usize) -> usize {
        4 * TILE * (rows * (self.width + 1) + pairs * (TILE + 1) + numbers)
    }

    fn way(&self, card: Card, dtype: DType, places: &[Arg]) -> Result<Way> {
        let most = card.most_shared()?.min(SHARED);
        let fits = self.whole(true) <= most && places.iter().all(|it| it.is_even());
        let way = match (dtype, self.width) {
            (DType::BF16, 16) if fits => Way::Whole(["attention_16", "attention_back_16"]),
            (DType::BF16, 32) if fits => Way::Whole(["attention_32", "attention_back_32"]),
            (DType::BF16, 64) if fits => Way::Whole(["attention_64", "attention_back_64"]),
            (_, ..=32) => {
                Way::Tiles(["attention_2", "attention_to_queries_2", "attention_to_tokens_2"])
            }
            (_, ..=64) => {
                Way::Tiles(["attention_4", "attention_to_queries_4", "attention_to_tokens_4"])
            }
            (_, ..=WIDEST) => {
                Way::Tiles(["attention_8", "attention_to_queries_8", "attention_to_tokens_8"])
            }
            (_, width) => {
                bail!("a card has attention with heads of a width up to {WIDEST}, not {width}")
            }
        };
        let needed = self.tiled(4, 2, 4);
        if matches!(way, Way::Tiles(_)) && needed > most {
            let width = self.width;
            bail!(
                "attention with heads of a width of {width} needs {needed} bytes that a block \
                 shares, and this card has {most}"
            );
        }
        Ok(way)
    }

    /// A block for each head of each sample, with a warp for 16 rows as far as there are warps.
    fn whole_grid(&self, back: bool) -> Grid {
        let longest = if back { self.queries.max(self.tokens) } else { self.queries };
        let strips = longest.div_ceil(16);
        let warps = strips.div_ceil(strips.div_ceil(8)).max(4);
        Grid { shared: self.whole(back), ..Grid::of(self.batch * self.heads, 32 * warps) }
    }

    fn tile_grid(&self, rows: usize, shared: usize) -> Grid {
        let blocks = [self.batch * self.heads, rows.div_ceil(TILE), 1];
        Grid { blocks, threads: 256, shared }
    }
}

/// A problem on a card.
struct Problem<'a> {
    card: Card<'a>,
    dtype: DType,
    sizes: Sizes,
    factors: [Arg; 2],
}

impl Problem<'_> {
    fn launch(&self, way: Way, name: &'static str, grid: Grid, places: &[Arg]) -> Result<()> {
        let mut args = [places, &self.factors, &self.sizes.args()].concat();
        let source = match way {
            Way::Whole(_) => Source::ATTENTION_HALVES,
            Way::Tiles(_) => {
                args.push(Arg::size(self.sizes.width));
                Source::ATTENTION
            }
        };
        args.push(Arg::Float(self.sizes.scale as f32));
        self.card.launch((source, name), self.dtype, grid, &args)
    }

    fn forward(&self, [q, k, v]: Places) -> Result<Room> {
        let sizes = &self.sizes;
        let y = self.card.room(sizes.batch * sizes.queries * sizes.total(), self.dtype)?;
        let places = [q, k, v, y.at()];
        let way = sizes.way(self.card, self.dtype, &places)?;
        let (name, grid) = match way {
            Way::Whole([name, _]) => (name, sizes.whole_grid(false)),
            Way::Tiles([name, ..]) => (name, sizes.tile_grid(sizes.queries, sizes.tiled(3, 1, 4))),
        };
        self.launch(way, name, grid, &places)?;
        Ok(y)
    }

    /// Fills gradients, from the output and its gradient.
    fn backward(&self, [q, k, v]: Places, [y, dy]: [Arg; 2], to: Places) -> Result<()> {
        let (sizes, [dq, dk, dv]) = (&self.sizes, to);
        let way = sizes.way(self.card, self.dtype, &[q, k, v, y, dy, dq, dk, dv])?;
        let [_, to_queries, to_tokens] = match way {
            Way::Whole([_, name]) => {
                let places = [q, k, v, y, dy, dq, dk, dv];
                return self.launch(way, name, sizes.whole_grid(true), &places);
            }
            Way::Tiles(names) => names,
        };
        let rows = sizes.batch * sizes.heads * sizes.queries;
        let known = self.card.room(3 * rows, DType::F32)?;
        let grid = sizes.tile_grid(sizes.queries, sizes.tiled(4, 1, 7));
        self.launch(way, to_queries, grid, &[q, k, v, y, dy, dq, known.at()])?;
        let grid = sizes.tile_grid(sizes.tokens, sizes.tiled(4, 2, 4));
        self.launch(way, to_tokens, grid, &[q, k, v, dy, dk, dv, known.at()])
    }
}

/// The mixed values, [B,M,H·W], of packed queries, keys and values, or of queries and the others.
pub(crate) fn forward(
    first: Operand,
    second: Option<Operand>,
    sizes: Sizes,
    factors: &Factors,
) -> Result<Made> {
    let (card, dtype) = (first.card(), first.dtype());
    factors.at(dtype, |factors| {
        let problem = Problem { card, dtype, sizes, factors };
        let y = problem.forward(sizes.places(first.at(), second.map(|it| it.at()), dtype))?;
        Ok(y.made((sizes.batch, sizes.queries, sizes.total())))
    })
}

/// The gradient of packed queries, keys and values.
pub(crate) fn backward(
    [qkv, y, dy]: [&Tensor; 3],
    sizes: Sizes,
    factors: &Factors,
) -> Result<Tensor> {
    on([qkv, y, dy], |[of_qkv, of_y, of_dy]| {
        let (card, dtype) = (of_qkv.card(), of_qkv.dtype());
        let to = card.room(of_qkv.len(), dtype)?;
        factors.at(dtype, |factors| {
            let problem = Problem { card, dtype, sizes, factors };
            let [from, into] = [of_qkv.at(), to.at()].map(|it| sizes.places(it, None, dtype));
            problem.backward(from, [of_y.at(), of_dy.at()], into)
        })?;
        Ok(to.tensor(qkv.shape()))
    })
}

/// The gradients of queries, and of keys and values.
pub(crate) fn backward_from(
    [q, kv, y, dy]: [&Tensor; 4],
    sizes: Sizes,
    factors: &Factors,
) -> Result<[Tensor; 2]> {
    on([q, kv, y, dy], |[of_q, of_kv, of_y, of_dy]| {
        let (card, dtype) = (of_q.card(), of_q.dtype());
        let [dq, dkv] = [card.room(of_q.len(), dtype)?, card.room(of_kv.len(), dtype)?];
        factors.at(dtype, |factors| {
            let problem = Problem { card, dtype, sizes, factors };
            let from = sizes.places(of_q.at(), Some(of_kv.at()), dtype);
            let into = sizes.places(dq.at(), Some(dkv.at()), dtype);
            problem.backward(from, [of_y.at(), of_dy.at()], into)
        })?;
        Ok([dq.tensor(q.shape()), dkv.tensor(kv.shape())])
    })
}
