//! Contrastive terms by tiles of anchors: dot products by cuBLAS, then one kernel that puts the
//! derivatives in their place, then products back to the embeddings.

mod tiles;

use candle_core::{DType, Result, Tensor};

use super::{Arg, Card, Grid, Operand, Room, Source, on};
use tiles::Pass;
pub use tiles::holding_at_once;

/// Threads of a block that has a warp for each row.
const ROWS: usize = 8;

/// What the terms of a batch compare, as the kernels read it.
pub(crate) struct Table {
    pub(crate) views: usize,
    pub(crate) items: usize,
    /// For each position the item, and where its class begins and ends; then the terms, and the
    /// weights of positions.
    pub(crate) words: Vec<u32>,
    pub(crate) groups: Vec<Group>,
}

/// Numbers that a term has in a table.
pub(crate) const TERM: usize = 11;

/// Terms, one after the other in a table, that see embeddings alike.
pub(crate) struct Group {
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) sight: Sight,
}

/// How terms see embeddings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// As they are, or of length 1; with pairs across views alone if `cross`.
    Rows { unit: bool, cross: bool },
    /// Each pair of views with lengths of columns.
    Columns,
}

/// What a pass over a batch finds.
pub(crate) struct Outcome {
    pub(crate) total: Room,
    /// [terms]
    pub(crate) values: Tensor,
    /// By the embeddings, in f32.
    pub(crate) gradient: Option<Tensor>,
}

/// The terms of a batch of embeddings, and the gradient of their weighted sum if `track`.
pub(crate) fn run(z: Operand, table: &Table, track: bool) -> Result<Outcome> {
    let (card, rows) = (z.card(), table.views * table.items);
    let count: usize = table.groups.iter().map(|group| group.count).sum();
    let work = Work {
        card,
        z,
        table,
        width: z.len() / rows,
        words: card.upload(&table.words)?,
        values: card.room(count * rows, DType::F32)?,
    };
    let gradient = match &table.groups[..] {
        _ if !track => None,
        [] => Some(card.zeros(z.len(), DType::F32)?),
        _ => Some(card.room(z.len(), DType::F32)?),
    };
    for (at, group) in table.groups.iter().enumerate() {
        let to = gradient.as_ref().map(Room::at);
        match group.sight {
            Sight::Rows { unit, cross } => work.rows(group, (unit, cross), (to, at > 0))?,
            Sight::Columns => work.columns(group, (to, at > 0))?,
        }
    }
    let (means, total) = (card.room(count, DType::F32)?, card.room(1, DType::F32)?);
    let terms = work.terms(0);
    let args = [work.values.at(), terms, means.at(), total.at(), Arg::size(rows), Arg::size(count)];
    let grid = Grid::of(1, 1024);
    card.launch((Source::CONTRASTIVE, "totals"), DType::F32, grid, &args)?;
    let gradient = gradient.map(|room| room.tensor(z.shape()));
    Ok(Outcome { total, values: means.tensor(count), gradient })
}

/// The gradient of a loss, in the type of `like`, from that in f32 and the gradient by the loss.
pub(crate) fn backward(gradient: &Tensor, by_loss: &Tensor, like: &Tensor) -> Result<Tensor> {
    on([gradient, by_loss], |[gradient, by_loss]| {
        let (card, len) = (gradient.card(), gradient.len());
        let to = card.room(len, like.dtype())?;
        let args = [gradient.at(), by_loss.at(), to.at(), Arg::Long(len as i64)];
        card.launch((Source::EMBEDDINGS, "times"), like.dtype(), Grid::over(len), &args)?;
        Ok(to.tensor(like.shape()))
    })
}

struct Work<'a> {
    card: Card<'a>,
    z: Operand<'a>,
    table: &'a Table,
    width: usize,
    words: Room,
    /// What each term comes to for each anchor: [terms, rows].
    values: Room,
}

/// Where a gradient goes, if it is wanted, and whether it is added to what is there.
type To = (Option<Arg>, bool);

/// Sorted embeddings.
struct Sorted {
    rows: Room,
    /// One over their lengths.
    inverse: Option<Room>,
}

impl Work<'_> {
    fn terms(&self, first: usize) -> Arg {
        self.words.from(3 * self.table.items + first * TERM)
    }

    fn sizes(&self) -> [Arg; 3] {
        let Table { views, items, .. } = self.table;
        [Arg::size(views * items), Arg::size(*items), Arg::size(self.width)]
    }

    fn of_rows(&self, name: &'static str, rows: usize, args: &[Arg]) -> Result<()> {
        let grid = Grid::of(rows.div_ceil(ROWS), 32 * ROWS);
        let dtype = if name == "sorted" { self.z.dtype() } else { DType::F32 };
        self.card.launch((Source::EMBEDDINGS, name), dtype, grid, args)
    }

    fn sorted(&self, unit: bool, with_lengths: bool) -> Result<Sorted> {
        let count = self.table.views * self.table.items;
        let rows = self.card.room(count * self.width, DType::F32)?;
        let inverse = with_lengths.then(|| self.card.room(count, DType::F32)).transpose()?;
        let at = inverse.as_ref().map_or(Arg::NONE, Room::at);
        let [of_rows, items, width] = self.sizes();
        let unit = Arg::Int(i32::from(unit));
        let args = [self.z.at(), self.words.at(), rows.at(), at, of_rows, items, width, unit];
        self.of_rows("sorted", count, &args)?;
        Ok(Sorted { rows, inverse })
    }

    /// The gradient by the batch from that by sorted embeddings.
    fn back(&self, gradient: &Room, u: Arg, inverse: Arg, (to, onto): (Arg, bool)) -> Result<()> {
        let [rows, items, width] = self.sizes();
        let onto = Arg::Int(i32::from(onto));
        let order = self.words.at();
        let args = [gradient.at(), u, inverse, order, to, rows, items, width, onto];
        self.of_rows("back", self.table.views * self.table.items, &args)
    }

    /// Terms that see embeddings as they are, or of length 1.
    fn rows(&self, group: &Group, (unit, cross): (bool, bool), (to, onto): To) -> Result<()> {
        let Table { views, items, .. } = *self.table;
        let sorted = self.sorted(unit, unit)?;
        let gradient = match to {
            Some(_) => Some(self.card.zeros(sorted.rows.len(), DType::F32)?),
            None => None,
        };
        let first = if cross { items } else { 0 };
        let halves = self.halves(sorted.rows.at(), views * items)?;
        self.pass(&Pass {
            group: (group.first, group.count),
            anchors: &halves,
            from: first,
            first,
            count: views * items - first,
            columns: &halves,
            views: if cross { views - 1 } else { views },
            shift: 0,
            onto: false,
            by: gradient.as_ref().map(|it| [it.from(first * self.width), it.at()]),
        })?;
        let Some((gradient, to)) = gradient.zip(to) else { return Ok(()) };
        let inverse = sorted.inverse.as_ref().map_or(Arg::NONE, Room::at);
        self.back(&gradient, sorted.rows.at(), inverse, (to, onto))
    }

    /// Terms that divide by the lengths of columns, one pair of views after the other.
    fn columns(&self, group: &Group, (to, onto): To) -> Result<()> {
        let sorted = self.sorted(false, true)?;
        let gradient = match to {
            Some(_) => Some(self.card.zeros(sorted.rows.len(), DType::F32)?),
            None => None,
        };
        for later in 1..self.table.views {
            for earlier in 0..later {
                self.pair(group, [later, earlier], &sorted, gradient.as_ref())?;
            }
        }
        let Some((gradient, to)) = gradient.zip(to) else { return Ok(()) };
        self.back(&gradient, sorted.rows.at(), Arg::NONE, (to, onto))
    }

    /// A view against an earlier one.
    fn pair(
        &self,
        group: &Group,
        [later, earlier]: [usize; 2],
        sorted: &Sorted,
        gradient: Option<&Room>,
    ) -> Result<()> {
        let (items, width) = (self.table.items, self.width);
        let inverse = sorted.inverse.as_ref().expect("lengths were asked for");
        let rows = [later, earlier].map(|view| sorted.rows.from(view * items * width));
        let over = [later, earlier].map(|view| inverse.from(view * items));
        let sizes = [Arg::size(items), Arg::size(width)];
        let columns = self.card.room(items * width, DType::F32)?;
        let args = [rows[1], over[0], over[1], columns.at(), sizes[0], sizes[1]];
        self.of_rows("divided", items, &args)?;
        let by_columns = self.card.zeros(items * width, DType::F32)?;
        let halves = [self.halves(rows[0], items)?, self.halves(columns.at(), items)?];
        let by = gradient.map(|it| [later, earlier].map(|view| it.from(view * items * width)));
        self.pass(&Pass {
            group: (group.first, group.count),
            anchors: &halves[0],
            from: 0,
            first: items,
            count: items,
            columns: &halves[1],
            views: 1,
            shift: (later - 1) * items,
            onto: earlier > 0,
            by: by.map(|[by_later, _]| [by_later, by_columns.at()]),
        })?;
        let Some([by_later, by_earlier]) = by else { return Ok(()) };
        let [of_later, of_earlier] = over;
        let (at, [later, earlier], [items_at, width]) = (by_columns.at(), rows, sizes);
        let args =
            [at, earlier, later, of_earlier, of_later, by_earlier, by_later, items_at, width];
        self.of_rows("divided_back", items, &args)
    }
}
