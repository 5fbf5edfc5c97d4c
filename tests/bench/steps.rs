//! Times of training steps on this machine: forward, backward and a plain descent step.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "its output is for people")]

use std::time::Instant;

use balance::kernel::{self, Denominator, PairKind, PairTerm, Sum, contrastive, cross_entropy};
use balance::nn::{BatchNorm, Conv2d, Linear, Mode};
use balance::seed::Stream;
use balance::tensor::{Params, Scope};
use candle_core::{DType, Device, Result, Tensor};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A residual network of basic blocks: the filters of each stage, and its blocks.
struct ResNet {
    stem: (Conv2d, BatchNorm),
    blocks: Vec<Block>,
    head: Linear,
}

struct Block {
    first: (Conv2d, BatchNorm),
    second: (Conv2d, BatchNorm),
    shortcut: Option<(Conv2d, BatchNorm)>,
}

fn conv(
    scope: &Scope,
    size: [usize; 2],
    kernel: usize,
    stride: usize,
) -> Result<(Conv2d, BatchNorm)> {
    let conv = kernel::Conv2d { stride, padding: kernel / 2 };
    Ok((
        Conv2d::new(&scope.pp("conv"), size, kernel, conv)?,
        BatchNorm::new(&scope.pp("bn"), size[1])?,
    ))
}

impl ResNet {
    fn new(scope: &Scope, channels: usize, stages: &[(usize, usize)]) -> Result<Self> {
        let mut width = stages[0].0;
        let stem = conv(&scope.pp("stem"), [channels, width], 3, 1)?;
        let mut blocks = Vec::new();
        for (stage, (filters, count)) in stages.iter().enumerate() {
            for block in 0..*count {
                let scope = scope.pp(stage).pp(block);
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let change = stride != 1 || width != *filters;
                let shortcut = || conv(&scope.pp("shortcut"), [width, *filters], 1, stride);
                blocks.push(Block {
                    first: conv(&scope.pp("first"), [width, *filters], 3, stride)?,
                    second: conv(&scope.pp("second"), [*filters, *filters], 3, 1)?,
                    shortcut: change.then(shortcut).transpose()?,
                });
                width = *filters;
            }
        }
        Ok(Self { stem, blocks, head: Linear::new(&scope.pp("fc"), width, 128)? })
    }

    fn forward(&self, x: &Tensor, mode: &Mode) -> Result<Tensor> {
        let apply =
            |(conv, norm): &(Conv2d, BatchNorm), x: &Tensor, residual: Option<&Tensor>, relu| {
                norm.forward(&conv.forward(x)?, residual, relu, mode)
            };
        let mut x = apply(&self.stem, x, None, true)?;
        for block in &self.blocks {
            let y = apply(&block.first, &x, None, true)?;
            let residual = match &block.shortcut {
                Some(shortcut) => apply(shortcut, &x, None, false)?,
                None => x,
            };
            x = apply(&block.second, &y, Some(&residual), true)?;
        }
        self.head.forward(&kernel::global_average_pool(&x)?)
    }
}

/// The median and the least time of `work`, in words.
fn time(times: usize, mut work: impl FnMut() -> Result<()>) -> Result<String> {
    work()?;
    let mut seconds = Vec::new();
    for _ in 0..times {
        let start = Instant::now();
        work()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(format!("{:.2} ms (least {:.2})", seconds[times / 2] * 1e3, seconds[0] * 1e3))
}

fn normal(shape: &[usize]) -> Result<Tensor> {
    let mut stream = Stream::new(3);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

fn step(name: &str, x: [usize; 4], stages: &[(usize, usize)], times: usize) -> Result<()> {
    let params = Params::new(Stream::new(1), DType::F32, Device::Cpu);
    let net = ResNet::new(&params.root(), x[3], stages)?;
    let (x, mode) = (normal(&x)?, Mode::Train(Stream::new(2)));
    let labels: Vec<u32> = (0..x.dim(0)? as u32).map(|i| i % 10).collect();
    let all = time(times, || {
        let loss = || cross_entropy(&net.forward(&x, &mode)?, &labels, 0.0);
        let (_, grads) = kernel::gradients(loss)?;
        for (_, var) in params.vars() {
            let gradient = grads.get(&var).expect("every variable has a gradient");
            var.set(&(var.as_detached_tensor() - (gradient * 0.01)?)?)?;
        }
        Ok(())
    })?;
    println!("{name}: {all}");
    Ok(())
}

fn pairs(items: usize, width: usize) -> Result<()> {
    let z = candle_core::Var::from_tensor(&normal(&[2 * items, width])?)?;
    let labels: Vec<u32> = (0..items as u32).map(|i| i % 10).collect();
    let term = |kind, weight| PairTerm { weight, ..PairTerm::new(kind) };
    let sup = |denominator| term(PairKind::SupCon { sum: Sum::Out, denominator }, 0.5);
    for (name, terms) in [
        ("L_out", vec![sup(Denominator::All)]),
        ("spread", vec![sup(Denominator::Own), term(PairKind::ClassInfoNce, 0.5)]),
    ] {
        let time = time(50, || {
            kernel::gradients(|| Ok(contrastive(&z, &labels, 2, &terms)?.0)).map(|_| ())
        })?;
        println!("contrastive {name}, {} x {width}: {time}", 2 * items);
    }
    Ok(())
}

/// Runs what the arguments name a part of, or everything.
fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
    for width in [16, 32] {
        let name = format!("ResNet-8 width {width}, 256 x 28x28x1");
        let stages = [(width, 1), (2 * width, 1), (4 * width, 1)];
        if wants(&name) {
            step(&name, [256, 28, 28, 1], &stages, 15)?;
        }
    }
    let name = "ResNet-18 width 64, 128 x 32x32x3";
    if wants(name) {
        step(name, [128, 32, 32, 3], &[(64, 2), (128, 2), (256, 2), (512, 2)], 5)?;
    }
    if wants("contrastive") {
        pairs(256, 128)?;
        pairs(1024, 128)?;
    }
    Ok(())
}
