//! Operations of candle itself, which lie between those that have kernels of their own.

use candle_core::{DType, Result, Tensor};

use crate::beside::{card, distance, tensor};

/// Numbers of a tensor, wherever it is.
fn numbers(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_dtype(DType::F32).and_then(|it| it.flatten_all());
    tensor.and_then(|it| it.to_vec1()).expect("numbers are read")
}

/// Asserts that `work` makes the same of tensors on the card and on the CPU.
fn same(most: f64, shapes: &[&[usize]], work: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let inputs: Vec<Tensor> = (1..).zip(shapes).map(|(seed, shape)| tensor(shape, seed)).collect();
    let there: Result<Vec<Tensor>> = inputs.iter().map(|it| it.to_device(&card())).collect();
    let found = there.and_then(|it| work(&it)).expect("the card computes it");
    let expected = work(&inputs).expect("the CPU computes it");
    assert_eq!(found.dims(), expected.dims());
    let apart = distance(&numbers(&found), &numbers(&expected));
    assert!(apart <= most, "{apart:.2e} apart");
}

#[test]
fn products_are_those_of_the_cpu() {
    same(1e-6, &[&[7, 65], &[65, 33]], |it| it[0].matmul(&it[1]));
    same(1e-6, &[&[65, 7], &[33, 65]], |it| it[0].t()?.matmul(&it[1].t()?));
    same(1e-6, &[&[3, 4, 5, 6], &[3, 4, 6, 2]], |it| it[0].matmul(&it[1]));
    let half = |it: &Tensor| it.to_dtype(DType::BF16);
    same(1e-2, &[&[40, 70], &[70, 50]], |it| half(&it[0])?.matmul(&half(&it[1])?));
}

#[test]
fn elements_are_those_of_the_cpu() {
    same(1e-7, &[&[5, 1, 7], &[1, 3, 7]], |it| it[0].broadcast_add(&it[1]));
    same(1e-6, &[&[9, 33], &[9, 33]], |it| (&it[0] * &it[1])?.exp()?.affine(2.0, -1.0));
    same(1e-6, &[&[1000]], |it| it[0].sqr()?.sqrt()?.maximum(&it[0].gelu_erf()?));
    same(0.0, &[&[4, 50]], |it| it[0].to_dtype(DType::BF16)?.to_dtype(DType::F32));
    same(0.0, &[&[6, 7], &[6, 7]], |it| it[0].gt(&it[1])?.where_cond(&it[0], &it[1]));
}

#[test]
fn sums_and_maxima_are_those_of_the_cpu() {
    for axis in 0..3 {
        same(1e-6, &[&[37, 3, 100]], |it| it[0].sum(axis));
        same(0.0, &[&[37, 3, 100]], |it| it[0].max(axis));
        same(0.0, &[&[37, 3, 100]], |it| it[0].argmax(axis));
    }
    // What is left of numbers that cancel out is less exact than they are.
    same(1e-5, &[&[3, 5000]], |it| it[0].sum_all());
    for columns in [7, 640] {
        // The CPU would add up in bf16.
        same(1e-2, &[&[9, columns]], |it| {
            let half = it[0].to_dtype(DType::BF16)?;
            if half.device().is_cpu() { half.to_dtype(DType::F32)?.sum(1) } else { half.sum(1) }
        });
    }
}

#[test]
fn places_are_those_of_the_cpu() {
    same(0.0, &[&[6, 5, 4]], |it| it[0].narrow(1, 1, 3)?.contiguous());
    same(0.0, &[&[6, 5, 4]], |it| it[0].permute((2, 0, 1))?.contiguous());
    same(0.0, &[&[3, 8], &[2, 8]], |it| Tensor::cat(&it[..2], 0));
    same(0.0, &[&[6, 7]], |it| {
        let at = Tensor::from_vec(vec![5u32, 0, 3, 3], 4, it[0].device())?;
        it[0].index_select(&at, 0)
    });
    same(1e-6, &[&[6, 7], &[4, 7]], |it| {
        let at = Tensor::from_vec(vec![5u32, 0, 3, 3], 4, it[0].device())?;
        it[0].index_add(&at, &it[1], 0)
    });
    same(0.0, &[&[2, 5]], |it| {
        let at = Tensor::from_vec(vec![4u32, 0, 1, 1], (2, 2), it[0].device())?;
        it[0].gather(&at, 1)
    });
}
