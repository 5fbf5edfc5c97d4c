//! The way from candle's tensors to slices and back.

use std::marker::PhantomData;
use std::ops::Deref;

use candle_core::{CpuStorage, Device, Layout, Result, Shape, Storage, Tensor, bail};

use super::real::Real;

/// The elements of a contiguous tensor on the CPU, borrowed.
pub(crate) struct Values<'a, T> {
    storage: Box<dyn Deref<Target = Storage> + 'a>,
    range: (usize, usize),
    element: PhantomData<T>,
}

impl<'a, T: Real> Values<'a, T> {
    /// Borrows `tensor`; an error when it is not contiguous, not on the CPU, or of another type.
    pub(crate) fn of(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        let range = offsets(layout)?;
        match &*storage {
            Storage::Cpu(cpu) => T::cpu_storage_as_slice(cpu)?,
            _ => bail!("this operation runs on the CPU only"),
        };
        Ok(Self { storage: Box::new(storage), range, element: PhantomData })
    }
}

impl<T: Real> Deref for Values<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &**self.storage {
            Storage::Cpu(cpu) => {
                let all = T::cpu_storage_as_slice(cpu).expect("the type was checked");
                &all[self.range.0..self.range.1]
            }
            _ => unreachable!("the device was checked"),
        }
    }
}

/// The elements an operation is given.
pub(crate) fn slice<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let (start, end) = offsets(layout)?;
    Ok(&T::cpu_storage_as_slice(storage)?[start..end])
}

/// What an operation gives back.
pub(crate) fn output<T: Real>(
    values: Vec<T>,
    shape: impl Into<Shape>,
) -> Result<(CpuStorage, Shape)> {
    Ok((T::to_cpu_storage_owned(values), shape.into()))
}

/// A tensor of `values`.
pub(crate) fn tensor<T: Real>(values: Vec<T>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}

fn offsets(layout: &Layout) -> Result<(usize, usize)> {
    match layout.contiguous_offsets() {
        Some(offsets) => Ok(offsets),
        None => bail!("this operation needs contiguous elements"),
    }
}
