//! Rows of numbers that kernels write one after the other: which is next the card itself knows, so that
//! a step that is queued as one piece is the same each time.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::{Arg, Card, Grid, Source, on};

/// Numbers that a kernel takes.
const PLACES: usize = 8;

/// Rows on a card, written over when all are full and have been read.
pub(crate) struct Rows {
    /// [most, width]
    rows: Tensor,
    /// How many were written, [1].
    written: Tensor,
    /// The same, as the CPU counts, and how many of them have been read.
    noted: usize,
    read: usize,
}

impl Rows {
    /// Room for [most, width] numbers.
    pub(crate) fn new(device: &Device, [most, width]: [usize; 2]) -> Result<Self> {
        let card = Card::on(device)?;
        Ok(Self {
            rows: card.zeros(most * width, DType::F32)?.tensor((most, width)),
            written: card.zeros(1, DType::U32)?.tensor(1),
            noted: 0,
            read: 0,
        })
    }

    /// Adds a row of scalars.
    pub(crate) fn note(&mut self, row: &[Tensor]) -> Result<()> {
        let (most, width) = self.rows.dims2()?;
        if row.len() != width || row.iter().any(|it| it.elem_count() != 1) {
            bail!("a row has {width} scalars, not {row:?}");
        }
        if self.noted - self.read == most {
            bail!("{most} rows were not read");
        }
        let row: Vec<Tensor> =
            row.iter().map(|it| it.to_dtype(DType::F32)).collect::<Result<_>>()?;
        for (at, some) in row.chunks(PLACES).enumerate() {
            self.write(some, at * PLACES, [most, width])?;
        }
        self.noted += 1;
        Ok(())
    }

    /// Writes some numbers of a row, from place `first` on.
    fn write(&self, some: &[Tensor], first: usize, [most, width]: [usize; 2]) -> Result<()> {
        on([&self.rows, &self.written], |[rows, written]| {
            let mut args = vec![rows.at(), written.at()];
            for place in 0..PLACES {
                let number = some.get(place).map(|it| on([it], |[it]| Ok(it.at())));
                args.push(number.unwrap_or(Ok(Arg::NONE))?);
            }
            args.extend([first, some.len(), width, most].map(Arg::size));
            let grid = Grid::of(1, 32);
            rows.card().launch((Source::LOSSES, "note"), DType::F32, grid, &args)
        })
    }

    /// The rows that were added since the last time, in order.
    pub(crate) fn read(&mut self) -> Result<Vec<Vec<f64>>> {
        let (from, behind) = (self.read, self.noted);
        if from == behind {
            return Ok(Vec::new());
        }
        let rows = self.rows.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec2()?;
        self.read = behind;
        Ok((from..behind).map(|row| rows[row % rows.len()].clone()).collect())
    }
}
