//! The assignment problem: which row goes to which column, so that the sum of their worths is
//! largest (the Hungarian method, by shortest augmenting paths; Crouse, 2016).

/// For each row the column it is given, each column to one row at most: the pairs whose `worth`
/// adds up to most. Where there are fewer columns than rows, some rows are given none.
pub fn assign(worth: &[f64], rows: usize, columns: usize) -> Vec<Option<usize>> {
    assert_eq!(worth.len(), rows * columns, "each pair has a worth");
    if columns >= rows {
        return Search::new(rows, columns, |row, column| -worth[row * columns + column]).solve();
    }
    let turned = Search::new(columns, rows, |column, row| -worth[row * columns + column]).solve();
    let mut given = vec![None; rows];
    for (column, row) in turned.into_iter().enumerate() {
        if let Some(row) = row {
            given[row] = Some(column);
        }
    }
    given
}

/// A search for the least cost where there are as many columns as rows, or more.
struct Search<Cost> {
    cost: Cost,
    columns: usize,
    /// The dual variables: no pair costs less than the two of its row and column together.
    of_row: Vec<f64>,
    of_column: Vec<f64>,
    column_of: Vec<Option<usize>>,
    row_of: Vec<Option<usize>>,
}

/// The shortest paths from a row that is free.
struct Paths {
    least: Vec<f64>,
    /// The row each column is reached from.
    before: Vec<usize>,
    seen_rows: Vec<bool>,
    seen_columns: Vec<bool>,
}

impl<Cost: Fn(usize, usize) -> f64> Search<Cost> {
    fn new(rows: usize, columns: usize, cost: Cost) -> Self {
        let (of_row, of_column) = (vec![0.0; rows], vec![0.0; columns]);
        Self {
            cost,
            columns,
            of_row,
            of_column,
            column_of: vec![None; rows],
            row_of: vec![None; columns],
        }
    }

    fn solve(mut self) -> Vec<Option<usize>> {
        for row in 0..self.of_row.len() {
            let mut paths = Paths {
                least: vec![f64::INFINITY; self.columns],
                before: vec![row; self.columns],
                seen_rows: vec![false; self.of_row.len()],
                seen_columns: vec![false; self.columns],
            };
            let (end, length) = self.shortest(row, &mut paths);
            self.raise(row, length, &paths);
            self.augment(row, end, &paths);
        }
        self.column_of
    }

    /// The free column that is nearest to `row`, and how far it is.
    fn shortest(&self, mut row: usize, paths: &mut Paths) -> (usize, f64) {
        let mut length = 0.0;
        loop {
            paths.seen_rows[row] = true;
            for column in (0..self.columns).filter(|it| !paths.seen_columns[*it]) {
                let slack = (self.cost)(row, column) - self.of_row[row] - self.of_column[column];
                if length + slack < paths.least[column] {
                    paths.least[column] = length + slack;
                    paths.before[column] = row;
                }
            }
            let column = self.nearest(paths);
            length = paths.least[column];
            paths.seen_columns[column] = true;
            match self.row_of[column] {
                Some(next) => row = next,
                None => return (column, length),
            }
        }
    }

    /// The column that is reached next; of several a free one.
    fn nearest(&self, paths: &Paths) -> usize {
        let open = (0..self.columns).filter(|it| !paths.seen_columns[*it]);
        let closer = |best: usize, it: usize| {
            let (least, known) = (paths.least[it], paths.least[best]);
            let is_free = self.row_of[it].is_none() && self.row_of[best].is_some();
            least < known || (least == known && is_free)
        };
        let nearest = open.reduce(|best, it| if closer(best, it) { it } else { best });
        nearest.expect("there are as many columns as rows")
    }

    fn raise(&mut self, start: usize, length: f64, paths: &Paths) {
        self.of_row[start] += length;
        for column in (0..self.columns).filter(|it| paths.seen_columns[*it]) {
            let behind = length - paths.least[column];
            self.of_column[column] -= behind;
            if let Some(row) = self.row_of[column] {
                self.of_row[row] += behind;
            }
        }
    }

    /// Gives every row on the path to `end` the column after it.
    fn augment(&mut self, start: usize, end: usize, paths: &Paths) {
        let mut column = end;
        loop {
            let row = paths.before[column];
            self.row_of[column] = Some(row);
            let left = self.column_of[row].replace(column);
            match left {
                Some(left) if row != start => column = left,
                _ => return,
            }
        }
    }
}
