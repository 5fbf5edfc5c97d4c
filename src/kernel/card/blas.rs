//! Matrix products by cuBLAS, row by row: in f32, or of bf16 numbers added up in f32.

use std::ffi::c_void;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::cublas::{result, sys};
use candle_core::{CudaDevice, DType, Result};

use super::{Arg, is_half};

/// A factor of a product: where it begins, elements from one row to the next, and whether it is
/// taken transposed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Factor {
    pub(crate) at: Arg,
    pub(crate) dtype: DType,
    pub(crate) row: usize,
    pub(crate) is_transposed: bool,
    /// Elements from one matrix of a batch to the next.
    pub(crate) stride: usize,
}

impl Factor {
    /// A matrix of rows of `row` elements, one of its kind.
    pub(crate) fn new(at: Arg, dtype: DType, row: usize) -> Self {
        Self { at, dtype, row, is_transposed: false, stride: 0 }
    }

    /// The same transposed.
    pub(crate) fn t(self) -> Self {
        Self { is_transposed: !self.is_transposed, ..self }
    }

    /// The same, the first of a batch.
    pub(crate) fn every(self, stride: usize) -> Self {
        Self { stride, ..self }
    }
}

/// `to = scale · left right + onto · to`, with `to` [rows, columns] and `inner` terms in each sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Product {
    pub(crate) left: Factor,
    pub(crate) right: Factor,
    pub(crate) to: Factor,
    /// Rows, columns, and terms of a sum.
    pub(crate) size: [usize; 3],
    pub(crate) scale: f32,
    pub(crate) onto: f32,
    /// How many there are, each a stride from the last.
    pub(crate) batch: usize,
}

impl Product {
    /// The product of two factors, alone.
    pub(crate) fn new(left: Factor, right: Factor, to: Factor, size: [usize; 3]) -> Self {
        Self { left, right, to, size, scale: 1.0, onto: 0.0, batch: 1 }
    }
}

fn kind(dtype: DType) -> Result<sys::cudaDataType> {
    Ok(match is_half(dtype)? {
        true => sys::cudaDataType_t::CUDA_R_16BF,
        false => sys::cudaDataType_t::CUDA_R_32F,
    })
}

fn address(arg: Arg) -> *mut c_void {
    match arg {
        Arg::At(at) => at as *mut c_void,
        _ => unreachable!("factors begin at an address"),
    }
}

fn operation(factor: &Factor) -> sys::cublasOperation_t {
    match factor.is_transposed {
        true => sys::cublasOperation_t::CUBLAS_OP_T,
        false => sys::cublasOperation_t::CUBLAS_OP_N,
    }
}

pub(super) fn multiply(device: &CudaDevice, product: &Product) -> Result<()> {
    let [rows, columns, _] = product.size;
    if rows == 0 || columns == 0 || product.batch == 0 {
        return Ok(());
    }
    #[cfg(feature = "opened")]
    if super::replay::keeps_product(product) {
        return Ok(());
    }
    queue(device, product)
}

/// cuBLAS counts by columns: a matrix there is its transpose here, so the factors change places.
pub(super) fn queue(device: &CudaDevice, product: &Product) -> Result<()> {
    let Product { left, right, to, size, scale, onto, batch } = product;
    let [rows, columns, inner] = size.map(|it| it as i32);
    let blas = device.cublas_handle();
    let scalar = |value: &f32| std::ptr::from_ref(value).cast::<c_void>();
    // SAFETY: factors lie inside rooms that outlive what is queued on their stream.
    unsafe {
        result::gemm_strided_batched_ex(
            *blas.handle(),
            operation(right),
            operation(left),
            columns,
            rows,
            inner,
            scalar(scale),
            address(right.at),
            kind(right.dtype)?,
            right.row as i32,
            right.stride as i64,
            address(left.at),
            kind(left.dtype)?,
            left.row as i32,
            left.stride as i64,
            scalar(onto),
            address(to.at),
            kind(to.dtype)?,
            to.row as i32,
            to.stride as i64,
            *batch as i32,
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
        )
    }
    .w()
}
