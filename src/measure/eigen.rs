//! Eigenvalues of symmetric matrices: Householder's reduction to three diagonals, then the QL
//! algorithm with implicit shifts, in double precision.

/// The eigenvalues of a symmetric matrix from the largest down, and unit eigenvectors, each a row,
/// in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct Eigen {
    pub values: Vec<f64>,
    pub vectors: Vec<Vec<f64>>,
}

/// The eigenvalues of a symmetric `size` × `size` matrix, from the largest down; its numbers are
/// finite.
pub fn eigenvalues(matrix: Vec<f64>, size: usize) -> Vec<f64> {
    let mut three = reduce(matrix, size, &mut []);
    three.diagonalise(&mut []);
    three.diagonal.sort_by(|a, b| b.total_cmp(a));
    three.diagonal
}

/// The same with eigenvectors.
pub fn eigen(matrix: Vec<f64>, size: usize) -> Eigen {
    let unit = |at: usize| (0..size).map(|it| if it == at { 1.0 } else { 0.0 }).collect();
    let mut rows: Vec<Vec<f64>> = (0..size).map(unit).collect();
    let mut three = reduce(matrix, size, &mut rows);
    three.diagonalise(&mut rows);
    let mut pairs: Vec<(f64, Vec<f64>)> = three.diagonal.into_iter().zip(rows).collect();
    pairs.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let (values, vectors) = pairs.into_iter().unzip();
    Eigen { values, vectors }
}

/// A symmetric matrix that is zero but on three diagonals.
struct ThreeDiagonals {
    diagonal: Vec<f64>,
    /// Beside the diagonal, and a zero at the end.
    beside: Vec<f64>,
}

/// Reflects a matrix, and `rows` with it, until three diagonals are left.
fn reduce(mut matrix: Vec<f64>, size: usize, rows: &mut [Vec<f64>]) -> ThreeDiagonals {
    assert_eq!(matrix.len(), size * size, "the matrix is square");
    let mut beside = vec![0.0; size];
    for at in 0..size.saturating_sub(1) {
        let from = at + 1;
        let (normal, length) = reflector(&matrix[at * size + from..from * size]);
        beside[at] = length;
        if let Some(normal) = normal {
            reflect_both_sides(&mut matrix, size, from, &normal);
            reflect_rows(rows, from, &normal);
        }
    }
    let diagonal = (0..size).map(|at| matrix[at * size + at]).collect();
    ThreeDiagonals { diagonal, beside }
}

/// The unit normal of the mirror that carries `vector` to a multiple of the first axis, and that
/// multiple; none when it lies there.
fn reflector(vector: &[f64]) -> (Option<Vec<f64>>, f64) {
    let scale = vector.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    if vector[1..].iter().all(|x| *x == 0.0) {
        return (None, vector[0]);
    }
    let mut normal: Vec<f64> = vector.iter().map(|x| x / scale).collect();
    // Away from the vector, so that nothing cancels.
    let length = -dot(&normal, &normal).sqrt().copysign(normal[0]);
    normal[0] -= length;
    let norm = dot(&normal, &normal).sqrt();
    normal.iter_mut().for_each(|x| *x /= norm);
    (Some(normal), length * scale)
}

/// `H A H` for the mirror `H = 1 - 2 v v'` on the rows and columns `from` on.
fn reflect_both_sides(matrix: &mut [f64], size: usize, from: usize, v: &[f64]) {
    let rows = || matrix.chunks_exact(size).skip(from);
    let p: Vec<f64> = rows().map(|row| 2.0 * dot(&row[from..], v)).collect();
    let along = dot(&p, v);
    let w: Vec<f64> = p.iter().zip(v).map(|(p, v)| p - along * v).collect();
    for (at, row) in matrix.chunks_exact_mut(size).skip(from).enumerate() {
        for ((x, v_column), w_column) in row[from..].iter_mut().zip(v).zip(&w) {
            *x -= v[at] * w_column + w[at] * v_column;
        }
    }
}

/// `H R` on the rows `from` on; nothing where no vectors are asked for.
fn reflect_rows(rows: &mut [Vec<f64>], from: usize, v: &[f64]) {
    let Some(rows) = rows.get_mut(from..).filter(|rows| !rows.is_empty()) else { return };
    let mut along = vec![0.0; rows[0].len()];
    for (row, v) in rows.iter().zip(v) {
        along.iter_mut().zip(row).for_each(|(sum, x)| *sum += 2.0 * v * x);
    }
    for (row, v) in rows.iter_mut().zip(v) {
        row.iter_mut().zip(&along).for_each(|(x, along)| *x -= v * along);
    }
}

impl ThreeDiagonals {
    /// Rotates what is beside the diagonal to zero, and `rows` with it.
    fn diagonalise(&mut self, rows: &mut [Vec<f64>]) {
        let scale =
            self.diagonal.iter().chain(&self.beside).fold(0.0, |most: f64, x| most.max(x.abs()));
        for first in 0..self.diagonal.len() {
            loop {
                let last = self.block(first, scale);
                if last == first {
                    break;
                }
                self.sweep(first, last, rows);
            }
        }
    }

    /// The end of the block that begins at `first`: where what is beside the diagonal is rounding.
    fn block(&self, first: usize, scale: f64) -> usize {
        let is_zero = |at: &usize| {
            let around = self.diagonal[*at].abs() + self.diagonal[at + 1].abs();
            self.beside[*at].abs() <= f64::EPSILON * around.max(f64::EPSILON * scale)
        };
        let end = self.diagonal.len() - 1;
        (first..end).find(is_zero).unwrap_or(end)
    }

    /// One sweep of rotations up the block, shifted by an eigenvalue of its first two rows.
    fn sweep(&mut self, first: usize, last: usize, rows: &mut [Vec<f64>]) {
        let Self { diagonal: d, beside: e } = self;
        let slope = (d[first + 1] - d[first]) / (2.0 * e[first]);
        let root = slope.hypot(1.0).copysign(slope);
        let mut g = d[last] - d[first] + e[first] / (slope + root);
        let (mut sine, mut cosine, mut shift) = (1.0, 1.0, 0.0);
        for at in (first..last).rev() {
            let (f, b) = (sine * e[at], cosine * e[at]);
            let radius = f.hypot(g);
            e[at + 1] = radius;
            if radius == 0.0 {
                // The block falls apart here.
                d[at + 1] -= shift;
                e[last] = 0.0;
                return;
            }
            (sine, cosine) = (f / radius, g / radius);
            let ahead = d[at + 1] - shift;
            let turned = (d[at] - ahead) * sine + 2.0 * cosine * b;
            shift = sine * turned;
            d[at + 1] = ahead + shift;
            g = cosine * turned - b;
            rotate(rows, at, sine, cosine);
        }
        d[first] -= shift;
        e[first] = g;
        e[last] = 0.0;
    }
}

/// Turns two neighbouring rows in their plane.
fn rotate(rows: &mut [Vec<f64>], at: usize, sine: f64, cosine: f64) {
    let Some([low, high]) = rows.get_mut(at..at + 2) else { return };
    for (low, high) in low.iter_mut().zip(high) {
        let (l, h) = (*low, *high);
        *high = sine * l + cosine * h;
        *low = cosine * l - sine * h;
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
