//! The cards that are there.

use std::sync::{Arc, OnceLock};

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaContext, result, sys};
use candle_core::cuda_backend::cudarc::{cublas, curand, nvrtc};
use candle_core::{CudaDevice, Device, Result, bail};

use crate::kernel::cards::{Card, Found};

/// The first card, once it was looked at: most programs use it next, and to open it again takes a tenth
/// of a second.
static FIRST: OnceLock<Arc<CudaContext>> = OnceLock::new();

/// What is found of CUDA on this machine.
pub fn cards() -> Found {
    let libraries = libraries().to_vec();
    if !libraries[0].1 {
        return Found { is_built_in: true, libraries, ..Found::default() };
    }
    let (driver, cards) = (driver(), all());
    let problem = driver.as_ref().err().or(cards.as_ref().err()).map(ToString::to_string);
    let (driver, cards) = (driver.ok(), cards.unwrap_or_default());
    Found { is_built_in: true, libraries, driver, cards, problem }
}

/// The newest CUDA that the driver knows, as (major, minor).
fn driver() -> Result<(i32, i32)> {
    let mut version = 0;
    // SAFETY: the library is there, and the number lives as long as the call.
    unsafe { sys::cuDriverGetVersion(&mut version) }.result().w()?;
    Ok((version / 1000, version % 1000 / 10))
}

fn all() -> Result<Vec<Card>> {
    let count = CudaContext::device_count().w()?;
    (0..count.max(0) as usize).map(card).collect()
}

fn card(ordinal: usize) -> Result<Card> {
    let context = CudaContext::new(ordinal).w()?;
    if ordinal == 0 {
        FIRST.get_or_init(|| context.clone());
    }
    let (free, total) = context.mem_get_info().w()?;
    Ok(Card {
        name: context.name().w()?,
        capability: context.compute_capability().w()?,
        free: free as u64,
        total: total as u64,
    })
}

/// The libraries of CUDA that a card is used through, each with whether it is found.
fn libraries() -> [(&'static str, bool); 4] {
    // SAFETY: the libraries are opened, and nothing of them is called.
    unsafe {
        [
            ("libcuda", sys::is_culib_present()),
            ("libcublas", cublas::sys::is_culib_present()),
            ("libcurand", curand::sys::is_culib_present()),
            ("libnvrtc", nvrtc::sys::is_culib_present()),
        ]
    }
}

/// A card as a device of tensors.
///
/// # Errors
/// When a library of CUDA is missing, or there is no such card.
pub fn card_device(ordinal: usize) -> Result<Device> {
    // candle panics where a library is missing.
    if let Some((name, _)) = libraries().iter().find(|(_, is_found)| !is_found) {
        bail!("{name} is not found");
    }
    let device = CudaDevice::new_with_stream(ordinal)?;
    // SAFETY: a device has one stream, so nothing needs to be waited for.
    unsafe { device.disable_event_tracking() };
    keep_memory(device.cuda_stream().context())?;
    Ok(Device::Cuda(device))
}

/// Bytes of a card's memory that nobody has.
pub(super) fn free_memory(device: &CudaDevice) -> Result<usize> {
    let (free, _) = device.cuda_stream().context().mem_get_info().w()?;
    Ok(free)
}

/// Keeps what is freed for what is asked for next, where it would be given back to the driver whenever
/// the card is waited for; and never lets one queue wait for memory of another.
fn keep_memory(context: &CudaContext) -> Result<()> {
    use sys::CUmemPool_attribute as Attribute;
    if !context.has_async_alloc() {
        return Ok(());
    }
    let (mut most, mut no) = (u64::MAX, 0i32);
    let settings: [(_, *mut std::ffi::c_void); 2] = [
        (Attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, std::ptr::from_mut(&mut most).cast()),
        (
            Attribute::CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES,
            std::ptr::from_mut(&mut no).cast(),
        ),
    ];
    let pool = pool(context)?;
    settings.into_iter().try_for_each(|(attribute, value)| {
        // SAFETY: the first attribute is 64 bits wide, the second an `int`.
        unsafe { sys::cuMemPoolSetAttribute(pool, attribute, value).result().w() }
    })
}

/// The most bytes that this program had of a card at once, for tensors or kept for them.
///
/// # Errors
/// When `device` is not a card.
pub fn most_used(device: &Device) -> Result<u64> {
    let stream = device.as_cuda_device()?.cuda_stream();
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
    let mut most = 0u64;
    let value = std::ptr::from_mut(&mut most).cast();
    // SAFETY: the attribute is 64 bits wide.
    unsafe { sys::cuMemPoolGetAttribute(pool(stream.context())?, attribute, value).result().w()? };
    Ok(most)
}

/// Where a card's memory is taken from.
fn pool(context: &CudaContext) -> Result<sys::CUmemoryPool> {
    let mut pool = std::ptr::null_mut();
    // SAFETY: the driver is there, as a context is.
    unsafe {
        let device = result::device::get(context.ordinal() as i32).w()?;
        sys::cuDeviceGetDefaultMemPool(&mut pool, device).result().w()?;
    }
    Ok(pool)
}
