//! Attention: on tensor cores where numbers are in bf16 and a head fits what a block shares, and in
//! tiles otherwise.

use std::sync::OnceLock;

use candle_core::{DType, Error, Result, Tensor, bail};

use super::dropout::Draws;
use super::{Arg, Card, Grid, Made, Operand, Room, Source, on};
use crate::kernel::PairFactors;

/// Bytes that a block may share, where a card has as many.
const SHARED: usize = 220 * 1024;

/// Bytes of which four blocks find room at a time.
const FOURTH: usize = 56 * 1024;

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
    pub(crate) of_pairs: Option<&'a PairFactors>,
    /// What the way there leaves for the way back.
    pub(crate) known: &'a Known,
}

/// What blocks with whole heads leave for the way back.
pub(crate) type Known = OnceLock<Traces>;

/// Of each query, the logarithm of the sum of its exponentials; and which pairs were kept, if any
/// were dropped: bits as the lanes of a warp have them.
pub(crate) struct Traces {
    logs: Tensor,
    kept: Option<Tensor>,
}

impl Traces {
    fn new(card: Card, sizes: &Sizes, draws: Draws) -> Result<Self> {
        let [asking, tokens] = sizes.blocks();
        let rows = sizes.batch * sizes.heads * asking;
        let room = |len, dtype| Ok::<_, Error>(card.room(len, dtype)?.tensor(len));
        let kept = draws.thins().then(|| room(rows * tokens / 8, DType::U8));
        Ok(Self { logs: room(rows, DType::F32)?, kept: kept.transpose()? })
    }

    fn args(&self) -> Result<[Arg; 2]> {
        let at = |tensor: &Tensor| on([tensor], |[it]| Ok(it.at()));
        Ok([at(&self.logs)?, self.kept.as_ref().map_or(Ok(Arg::NONE), at)?])
    }
}

impl Factors<'_> {
    /// Runs `work` on where those of queries are.
    fn at_queries<R>(&self, work: impl FnOnce(Arg) -> Result<R>) -> Result<R> {
        match self.of_queries {
            None => work(Arg::NONE),
            Some(factors) => on([&factors.to_dtype(DType::F32)?], |[it]| work(it.at())),
        }
    }

    /// Runs `work` on where those of pairs are, drawn for it if they are to be.
    fn at_pairs<R>(
        &self,
        (card, sizes, dtype): (Card, &Sizes, DType),
        work: impl FnOnce(Arg) -> Result<R>,
    ) -> Result<R> {
        let factors = match self.of_pairs {
            None => return work(Arg::NONE),
            Some(PairFactors::Given(factors)) => factors.to_dtype(dtype)?,
            Some(PairFactors::Drawn(draws)) => {
                let rows = sizes.batch * sizes.heads * sizes.queries;
                draws.factors_of_rows([rows, sizes.tokens], dtype, card)?
            }
        };
        on([&factors], |[it]| work(it.at()))
    }

    /// The draws that blocks with whole heads make of their pairs; none where factors are given.
    fn draws(&self) -> Option<Draws> {
        match self.of_pairs {
            None => Some(Draws::NONE),
            Some(PairFactors::Drawn(draws)) => Some(*draws),
            Some(PairFactors::Given(_)) => None,
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

    /// Queries and tokens up to whole blocks of 16.
    fn blocks(&self) -> [usize; 2] {
        [self.queries, self.tokens].map(|rows| rows.next_multiple_of(16))
    }

    /// Bytes that a block shares with all rows of a head, on the way back if so.
    fn whole(&self, back: bool) -> usize {
        let [asking, tokens] = self.blocks();
        let rows = 2 * tokens + if back { 2 * asking } else { asking };
        let numbers = if back { 16 * asking + asking * tokens / 8 } else { 0 };
        2 * rows * (self.width + 8) + numbers
    }

    /// The same on the way back with the gradients of all pairs, where that leaves room for other
    /// blocks.
    fn whole_with_pairs(&self) -> Option<usize> {
        let [asking, tokens] = self.blocks();
        let shared = self.whole(true) + 2 * tokens * (asking + 8);
        Some(shared).filter(|shared| *shared <= FOURTH)
    }

    /// Bytes that a block shares with some tiles of rows, of pairs, and numbers of each row.
    fn tiled(&self, rows: usize, pairs: usize, numbers: usize) -> usize {
        4 * TILE * (rows * (self.width + 1) + pairs * (TILE + 1) + numbers)
    }

    /// How to work: by whole heads if they may be, fit and lie well.
    fn way(&self, card: Card, dtype: DType, places: &[Arg], may_be_whole: bool) -> Result<Way> {
        let most = card.most_shared()?.min(SHARED);
        let fits = may_be_whole && self.whole(true) <= most && places.iter().all(|it| it.is_even());
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
        let strips = longest.div_ceil(16).max(1);
        let warps = strips.div_ceil(strips.div_ceil(8)).max(4);
        let with_pairs = self.whole_with_pairs().filter(|_| back);
        let shared = with_pairs.unwrap_or_else(|| self.whole(back));
        Grid { shared, ..Grid::of(self.batch * self.heads, 32 * warps) }
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
    factors: &'a Factors<'a>,
}

impl<'a> Problem<'a> {
    fn new(like: Operand<'a>, sizes: Sizes, factors: &'a Factors<'a>) -> Self {
        let (card, dtype) = (like.card(), like.dtype());
        Self { card, dtype, sizes, factors }
    }

    /// Queues a kernel for whole heads.
    fn by_heads(
        &self,
        name: &'static str,
        grid: Grid,
        places: &[Arg],
        (draws, traces): (Draws, &Traces),
    ) -> Result<()> {
        self.factors.at_queries(|of_queries| {
            let factors = [&[of_queries][..], &traces.args()?, &draws.args()].concat();
            let scale = [Arg::Float(self.sizes.scale as f32)];
            let args = [places, &factors, &self.sizes.args(), &scale].concat();
            self.card.launch((Source::ATTENTION_HALVES, name), self.dtype, grid, &args)
        })
    }

    /// Queues kernels for tiles, one after the other.
    fn by_tiles(&self, launches: &[(&'static str, Grid, &[Arg])]) -> Result<()> {
        let form = (self.card, &self.sizes, self.dtype);
        self.factors.at_queries(|of_queries| {
            self.factors.at_pairs(form, |of_pairs| {
                let last = [Arg::size(self.sizes.width), Arg::Float(self.sizes.scale as f32)];
                let rest = [&[of_queries, of_pairs][..], &self.sizes.args(), &last].concat();
                launches.iter().try_for_each(|(name, grid, places)| {
                    let args = [*places, &rest].concat();
                    self.card.launch((Source::ATTENTION, name), self.dtype, *grid, &args)
                })
            })
        })
    }

    fn forward(&self, [q, k, v]: Places) -> Result<Room> {
        let sizes = &self.sizes;
        let y = self.card.room(sizes.batch * sizes.queries * sizes.total(), self.dtype)?;
        let places = [q, k, v, y.at()];
        let draws = self.factors.draws();
        match (sizes.way(self.card, self.dtype, &places, draws.is_some())?, draws) {
            (Way::Whole([name, _]), Some(draws)) => {
                let traces = Traces::new(self.card, sizes, draws)?;
                let traces = self.factors.known.get_or_init(|| traces);
                self.by_heads(name, sizes.whole_grid(false), &places, (draws, traces))?;
            }
            (Way::Tiles([name, ..]), _) => {
                let grid = sizes.tile_grid(sizes.queries, sizes.tiled(3, 1, 4));
                self.by_tiles(&[(name, grid, &places)])?;
            }
            (Way::Whole(_), None) => unreachable!("whole heads have no given factors"),
        }
        Ok(y)
    }

    /// Fills gradients, from the output and its gradient.
    fn backward(&self, [q, k, v]: Places, [y, dy]: [Arg; 2], to: Places) -> Result<()> {
        let (sizes, [dq, dk, dv]) = (&self.sizes, to);
        let places = [q, k, v, y, dy, dq, dk, dv];
        let known = self.factors.draws().zip(self.factors.known.get());
        match (sizes.way(self.card, self.dtype, &places, known.is_some())?, known) {
            (Way::Whole([_, name]), Some(known)) => {
                let keeps = Arg::Int(i32::from(sizes.whole_with_pairs().is_some()));
                let places = [&places[..], &[keeps]].concat();
                self.by_heads(name, sizes.whole_grid(true), &places, known)
            }
            (Way::Tiles([_, to_queries, to_tokens]), _) => {
                let rows = sizes.batch * sizes.heads * sizes.queries;
                let known = self.card.room(3 * rows, DType::F32)?;
                let grids =
                    [(sizes.queries, 1, 7), (sizes.tokens, 2, 4)].map(|(rows, pairs, numbers)| {
                        sizes.tile_grid(rows, sizes.tiled(4, pairs, numbers))
                    });
                self.by_tiles(&[
                    (to_queries, grids[0], &[q, k, v, y, dy, dq, known.at()]),
                    (to_tokens, grids[1], &[q, k, v, dy, dk, dv, known.at()]),
                ])
            }
            (Way::Whole(_), None) => unreachable!("whole heads have left what is known"),
        }
    }
}

/// The mixed values, [B,M,H·W], of packed queries, keys and values, or of queries and the others.
pub(crate) fn forward(
    first: Operand,
    second: Option<Operand>,
    sizes: Sizes,
    factors: &Factors,
) -> Result<Made> {
    let problem = Problem::new(first, sizes, factors);
    let places = sizes.places(first.at(), second.map(|it| it.at()), first.dtype());
    let y = problem.forward(places)?;
    Ok(y.made((sizes.batch, sizes.queries, sizes.total())))
}

/// The gradient of packed queries, keys and values.
pub(crate) fn backward(
    [qkv, y, dy]: [&Tensor; 3],
    sizes: Sizes,
    factors: &Factors,
) -> Result<Tensor> {
    on([qkv, y, dy], |[of_qkv, of_y, of_dy]| {
        let problem = Problem::new(of_qkv, sizes, factors);
        let to = problem.card.room(of_qkv.len(), of_qkv.dtype())?;
        let [from, into] = [of_qkv.at(), to.at()].map(|it| sizes.places(it, None, of_qkv.dtype()));
        problem.backward(from, [of_y.at(), of_dy.at()], into)?;
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
        let (problem, dtype) = (Problem::new(of_q, sizes, factors), of_q.dtype());
        let [dq, dkv] =
            [problem.card.room(of_q.len(), dtype)?, problem.card.room(of_kv.len(), dtype)?];
        let from = sizes.places(of_q.at(), Some(of_kv.at()), dtype);
        let into = sizes.places(dq.at(), Some(dkv.at()), dtype);
        problem.backward(from, [of_y.at(), of_dy.at()], into)?;
        Ok([dq.tensor(q.shape()), dkv.tensor(kv.shape())])
    })
}
