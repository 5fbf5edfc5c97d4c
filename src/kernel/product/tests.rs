//! Products against naive sums.

use super::*;

fn numbers(count: usize, from: usize) -> Vec<f64> {
    (from..from + count).map(|i| ((i * 7919) % 1009) as f64 / 1009.0 - 0.5).collect()
}

/// The product of `(rows, inner, columns)`, with a bias, added to what is there, rectified.
fn naive((rows, inner, columns): (usize, usize, usize), there: &[f64]) -> Vec<f64> {
    let (left, right) = (numbers(rows * inner, 1), numbers(inner * columns, 5));
    let bias = numbers(columns, 3);
    let element = |at: usize| {
        let (row, column) = (at / columns, at % columns);
        let terms = (0..inner).map(|k| left[row * inner + k] * right[k * columns + column]);
        (there[at] + terms.sum::<f64>() + bias[column]).max(0.0)
    };
    (0..rows * columns).map(element).collect()
}

fn transposed(values: &[f64], columns: usize) -> Vec<f64> {
    (0..values.len())
        .map(|at| {
            let rows = values.len() / columns;
            values[at % rows * columns + at / rows]
        })
        .collect()
}

/// The product in rows that do not touch, with what is between them left as it is.
fn apart<T: Real>(
    (left, right): (Matrix<T>, Matrix<T>),
    there: &[f64],
    finish: Finish<T>,
) -> Vec<T> {
    let (rows, columns) = (left.size().0, right.size().1);
    let (row_stride, between) = (columns + 3, T::of(7.0));
    let mut to = vec![between; rows * row_stride];
    for (to, there) in to.chunks_exact_mut(row_stride).zip(there.chunks_exact(columns)) {
        to.iter_mut().zip(there).for_each(|(to, there)| *to = T::of(*there));
    }
    product(left, right, Apart { to: &mut to, row_stride }, finish);
    let (found, gaps): (Vec<&[T]>, Vec<&[T]>) =
        to.chunks_exact(row_stride).map(|row| row.split_at(columns)).unzip();
    assert!(gaps.concat().iter().all(|it| *it == between));
    found.concat()
}

fn check<T: Real>(size: (usize, usize, usize), tolerance: f64) {
    let (rows, inner, columns) = size;
    let of = |values: Vec<f64>| values.into_iter().map(T::of).collect::<Vec<T>>();
    let (left, right) = (numbers(rows * inner, 1), numbers(inner * columns, 5));
    let (there, bias) = (numbers(rows * columns, 9), of(numbers(columns, 3)));
    let expected = naive(size, &there);
    let lefts = [of(left.clone()), of(transposed(&left, inner.max(1)))];
    let rights = [of(right.clone()), of(transposed(&right, columns))];
    let finish = Finish { onto: true, bias: Some(&bias), relu: true };
    for turned in 0..4 {
        let left = match turned % 2 {
            0 => Matrix::new(&lefts[0], rows, inner),
            _ => Matrix::new(&lefts[1], inner, rows).t(),
        };
        let right = match turned / 2 {
            0 => Matrix::new(&rights[0], inner, columns),
            _ => Matrix::new(&rights[1], columns, inner).t(),
        };
        let (values, mut found) = (packed(right), of(there.clone()));
        let panels = Panels::of((inner, columns), &values);
        panels.times(left, &mut found, finish);
        let close = |found: &[T]| {
            let errors = found.iter().zip(&expected).map(|(a, b)| (a.to_f64() - b).abs());
            errors.fold(0.0, f64::max) < tolerance * (1.0 + inner as f64).sqrt()
        };
        assert!(close(&found), "{size:?} {turned}");
        let is_same = apart((left, right), &there, finish) == found;
        assert!(is_same, "{size:?} {turned} in rows apart");
        if width() == 16 {
            let (mut plain, mut strips) = (of(there.clone()), vec![T::ZERO; ROWS * BLOCK]);
            let to = Apart { to: &mut plain, row_stride: columns };
            times::<T, 16, false>(panels, left, to, (finish, &mut strips));
            assert!(close(&plain), "{size:?} {turned} without fused operations");
        }
    }
}

#[test]
fn products_are_those_of_naive_sums() {
    for rows in [1, 5, 13, 97] {
        for inner in [0, 1, 7, 256, 300] {
            for columns in [1, 15, 16, 17, 33, 65] {
                check::<f32>((rows, inner, columns), 1e-6);
                check::<f64>((rows, inner, columns), 1e-14);
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_how_rows_are_divided() {
    let (rows, inner, columns) = (97, 300, 33);
    let of = |values: Vec<f64>| values.into_iter().map(|it| it as f32).collect::<Vec<f32>>();
    let (left, right) = (of(numbers(rows * inner, 1)), of(numbers(inner * columns, 5)));
    let values = packed(Matrix::new(&right, inner, columns));
    let panels = Panels::of((inner, columns), &values);
    let product = |rows: usize, left: &[f32]| {
        let mut to = vec![0.0; rows * columns];
        panels.times(Matrix::new(left, rows, inner), &mut to, Finish::default());
        to
    };
    let apart = left.chunks(inner * 10).flat_map(|left| product(left.len() / inner, left));
    assert_eq!(apart.collect::<Vec<_>>(), product(rows, &left));
}
