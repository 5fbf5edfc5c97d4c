//! Sums of columns, added up from those of shares of the rows: at once, or on the way back through a
//! step at its end, those of all biases, scales and shifts by one kernel. Nothing on the way back reads
//! the gradient of a parameter, but where that has several, which are added up, or is computed from
//! another.

use std::cell::RefCell;

use candle_core::{DType, Result, Shape, Storage, Tensor};

use super::together::{self, Array};
use super::{Arg, Card, Grid, Room, Source, on};

/// Numbers that wait at most: 64 MiB.
const MOST: usize = 16 << 20;

thread_local! {
    /// What is to be added up, where that may wait.
    static DUE: RefCell<Option<Vec<Due>>> = const { RefCell::new(None) };
}

/// The sums of the columns of `parts` [shares, columns], which are to be in `to`.
struct Due {
    parts: Room,
    size: [usize; 2],
    to: Tensor,
    /// That of `to`, as it is asked for often.
    storage: *const Storage,
}

/// Whoever waits no longer, however the way back ends.
struct Until(Option<Vec<Due>>);

impl Drop for Until {
    fn drop(&mut self) {
        DUE.set(self.0.take());
    }
}

/// Runs `work`; what [`total`] gives it may be without its numbers until [`ready`] or the end.
///
/// # Errors
/// Those of `work`, and what the card says.
pub(crate) fn late<R>(work: impl FnOnce() -> Result<R>) -> Result<R> {
    let _until = Until(DUE.replace(Some(Vec::new())));
    let done = work()?;
    add_up()?;
    Ok(done)
}

/// Sees to it that a tensor has its numbers.
///
/// # Errors
/// What the card says.
pub(crate) fn ready(tensor: &Tensor) -> Result<()> {
    let is_due = DUE.with_borrow(|due| {
        let Some(due) = due.as_ref().filter(|due| !due.is_empty()) else { return false };
        let storage = storage_of(tensor);
        due.iter().any(|due| due.storage == storage)
    });
    if is_due { add_up() } else { Ok(()) }
}

fn storage_of(tensor: &Tensor) -> *const Storage {
    std::ptr::from_ref::<Storage>(&tensor.storage_and_layout().0)
}

/// The sum of each column of `parts` [shares, columns], in a shape; perhaps late.
pub(super) fn total(
    card: Card,
    parts: Room,
    size: [usize; 2],
    shape: impl Into<Shape>,
) -> Result<Tensor> {
    if size[0] == 1 || DUE.with_borrow(Option::is_none) {
        return Ok(column_totals(card, parts, size)?.tensor(shape));
    }
    let to = card.room(size[1], DType::F32)?.tensor(shape);
    let due = Due { parts, size, storage: storage_of(&to), to: to.clone() };
    let held = DUE.with_borrow_mut(|all| {
        let all = all.get_or_insert_default();
        all.push(due);
        all.iter().map(|due| due.parts.len()).sum::<usize>()
    });
    if held > MOST {
        add_up()?;
    }
    Ok(to)
}

/// The sum of each column of `parts` [shares, columns].
pub(super) fn column_totals(
    card: Card,
    parts: Room,
    [shares, columns]: [usize; 2],
) -> Result<Room> {
    if shares == 1 {
        return Ok(parts);
    }
    let to = card.room(columns, DType::F32)?;
    let args = [parts.at(), to.at(), Arg::size(shares), Arg::size(columns)];
    let grid = Grid::of(blocks_of(columns), 1024);
    card.launch((Source::LINEAR, "column_totals"), DType::F32, grid, &args)?;
    Ok(to)
}

fn blocks_of(columns: usize) -> usize {
    columns.div_ceil(32)
}

/// Adds up all that is due.
fn add_up() -> Result<()> {
    let all = DUE.with_borrow_mut(|all| all.as_mut().map(std::mem::take)).unwrap_or_default();
    let Some(first) = all.first() else { return Ok(()) };
    let array = |due: &Due| {
        let to = on([&due.to], |[to]| Ok(to.at()))?;
        let blocks = blocks_of(due.size[1]);
        Ok(Array { from: due.parts.at(), to, size: due.size, blocks })
    };
    let arrays: Vec<Array> = all.iter().map(array).collect::<Result<_>>()?;
    let kernel = (Source::LINEAR, "column_totals_together");
    together::launch(Card::from(&first.to)?, kernel, (DType::F32, 1024), &arrays)
}
