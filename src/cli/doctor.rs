//! `doctor`: what balance finds on this machine, and whether it computes as it should.

use std::fmt::Write;

use candle_core::{DType, Device, Tensor};

use super::machine::{disk_free, memory, memory_free};
use super::workspace::data_root;
use super::{Places, exit, prompt};
use crate::data::{self, Presence};
use crate::kernel::{
    self, Card, Found, card_device, cards, compile_all, has_bf16, has_cudnn, is_sound,
};
use crate::plan::amount::bytes;
use crate::seed::Stream;

/// Arguments of `doctor`.
#[derive(clap::Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    places: Places,
}

/// Says what is found; fails when a device computes something else than the CPU.
pub fn doctor(args: &DoctorArgs) -> u8 {
    #[cfg(feature = "cuda")]
    super::device::keep_kernels();
    let found = cards();
    let mut text = String::new();
    for (what, said) in lines(args, &found) {
        writeln!(text, "{what:<10} {said}").expect("a text can be written to");
    }
    let tried: Vec<_> = (0..found.cards.len()).map(tried).collect();
    for said in &tried {
        let (what, said) = match said {
            Ok(said) => ("tried", said),
            Err(said) => ("failed", said),
        };
        writeln!(text, "{what:<10} {said}").expect("a text can be written to");
    }
    prompt::print(&text);
    if tried.iter().all(Result::is_ok) { 0 } else { exit::FAILED }
}

fn lines(args: &DoctorArgs, found: &Found) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("balance", env!("CARGO_PKG_VERSION").to_owned()),
        ("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ("processor", processor()),
        ("memory", free_of(memory_free(), memory())),
    ];
    let root = data_root(&args.places);
    let free = disk_free(&root).map_or(String::new(), |free| format!(", {} free", bytes(free)));
    lines.push(("data", format!("{}{free}", root.display())));
    let is_here = |it: &&&data::Description| {
        matches!(data::presence(it, &root), Presence::Here(_) | Presence::Embedded)
    };
    let here: Vec<&str> = data::all().iter().filter(is_here).map(|it| it.name).collect();
    lines.push(("datasets", here.join(", ")));
    lines.extend(of_cuda(found));
    lines
}

fn processor() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let units: &[(&str, bool)] = &[
        #[cfg(target_arch = "x86_64")]
        ("AVX2", is_x86_feature_detected!("avx2")),
        #[cfg(target_arch = "x86_64")]
        ("AVX-512", is_x86_feature_detected!("avx512f")),
        ("bf16", has_bf16()),
    ];
    let has = units.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| format!(", {name}"));
    format!("{}{}", crate::diag::plural(threads, "thread"), has.collect::<String>())
}

fn free_of(free: Option<u64>, all: Option<u64>) -> String {
    match (free, all) {
        (Some(free), Some(all)) => format!("{} free of {}", bytes(free), bytes(all)),
        _ => "not known".to_owned(),
    }
}

fn of_cuda(found: &Found) -> Vec<(&'static str, String)> {
    if !found.is_built_in {
        return vec![("cuda", "not built in: tests/gpu/build makes a program that has it".into())];
    }
    let mut lines = Vec::new();
    if let Some((major, minor)) = found.driver {
        lines.push(("driver", format!("CUDA {major}.{minor}")));
    }
    for (at, card) in found.cards.iter().enumerate() {
        lines.push(("card", described(at, card)));
    }
    for (name, is_found) in &found.libraries {
        let said = if *is_found { "found" } else { "not found" };
        lines.push(("library", format!("{name} {said}")));
    }
    let has_cudnn = found.cards.is_empty() || has_cudnn();
    if !has_cudnn {
        let instead = "convolutions take a slower way";
        lines.push(("library", format!("libcudnn not found: {instead}")));
    }
    lines.extend(found.lacks().map(|why| ("cuda", format!("not used: {why}"))));
    lines
}

fn described(at: usize, card: &Card) -> String {
    let Card { name, capability: (major, minor), free, total } = card;
    let memory = free_of(Some(*free), Some(*total));
    format!("{at}: {name}, capability {major}.{minor}, {memory}")
}

/// Whether a card compiles every kernel and computes what the CPU does, in words.
fn tried(ordinal: usize) -> Result<String, String> {
    let said = |what: String| format!("card {ordinal}: {what}");
    let trial = || -> candle_core::Result<(usize, f32, bool)> {
        let card = card_device(ordinal)?;
        Ok((compile_all(&card)?, apart(&card)?, is_sound(&card, true)))
    };
    match trial() {
        Ok((files, apart, is_sound)) if apart < 1e-4 => {
            let files = crate::diag::plural(files, "file");
            let steps = if is_sound { "as one graph" } else { "kernel by kernel" };
            let found = "compile, a layer is that of the CPU, and a step is queued";
            Ok(said(format!("kernels of {files} {found} {steps}")))
        }
        // What is not a number is no small distance.
        Ok((_, apart, _)) => Err(said(format!("a layer is {apart:.1e} from that of the CPU"))),
        Err(error) => Err(said(error.to_string())),
    }
}

/// The largest difference of a small layer's outputs on `card` and on the CPU.
fn apart(card: &Device) -> candle_core::Result<f32> {
    let mut stream = Stream::new(0);
    let mut drawn = |rows: usize, columns: usize| {
        let values: Vec<f32> = (0..rows * columns).map(|_| stream.normal() as f32).collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu)
    };
    let (x, weight) = (drawn(33, 65)?, drawn(17, 65)?);
    let layer = |device: &Device| {
        kernel::linear(&x.to_device(device)?, &weight.to_device(device)?, None, true)?
            .to_device(&Device::Cpu)
    };
    let difference = (layer(card)? - layer(&Device::Cpu)?)?.abs()?;
    difference.to_dtype(DType::F32)?.max_all()?.to_scalar()
}
