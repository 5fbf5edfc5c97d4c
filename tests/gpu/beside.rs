//! One computation on the CPU and on the card, and how far apart they are.

use balance::kernel::gradients;
use candle_core::{DType, Device, Result, Tensor, Var};

/// The first card.
pub fn card() -> Device {
    static CARD: std::sync::OnceLock<Device> = std::sync::OnceLock::new();
    CARD.get_or_init(|| balance::kernel::card_device(0).expect("these tests need a card")).clone()
}

/// Numbers between -1 and 1 that look random and differ from one `seed` to the next.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut stream = balance::seed::Stream::new(seed);
    (0..count).map(|_| stream.between(-1.0, 1.0) as f32).collect()
}

/// A tensor of [`numbers`] on the CPU.
pub fn tensor(shape: &[usize], seed: u64) -> Tensor {
    let count = shape.iter().product();
    Tensor::from_vec(numbers(count, seed), shape, &Device::Cpu).expect("the numbers fit")
}

/// Numbers that bf16 has, so that what depends on their order does not depend on the type.
pub fn halves(tensor: &Tensor) -> Tensor {
    let halves = tensor.to_dtype(DType::BF16).and_then(|it| it.to_dtype(DType::F32));
    halves.expect("both types are known")
}

/// What `work` makes of inputs, and the gradients of the sum of its elements times fixed numbers.
fn outcome(
    inputs: &[Tensor],
    (device, dtype): (&Device, DType),
    work: &impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<Vec<Vec<f32>>> {
    let variable = |(at, input): (usize, &Tensor)| {
        // The first input is an activation, the others are parameters.
        let dtype = if at == 0 { dtype } else { DType::F32 };
        Var::from_tensor(&input.to_device(device)?.to_dtype(dtype)?)
    };
    let vars: Vec<Var> = inputs.iter().enumerate().map(variable).collect::<Result<_>>()?;
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let mut output = None;
    let (_, found) = gradients(|| {
        let y = work(&tensors)?;
        output = Some(y.detach());
        let slope = tensor(y.dims(), 99).to_device(device)?.to_dtype(y.dtype())?;
        (y * slope)?.to_dtype(DType::F32)?.sum_all()
    })?;
    let grads = vars.iter().map(|var| found.get(var).expect("every input has a gradient").clone());
    let all = output.into_iter().chain(grads);
    all.map(|it| it.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1())
        .collect()
}

/// Numbers below this are what is left of sums that cancel out.
const NOTHING: f64 = 1e-7;

/// `|a - b| / |b|` of two lists of numbers; 0 where both are nothing.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|it| it * it).sum::<f64>();
    let apart = square(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let size = square(&mut b.iter().map(|b| f64::from(*b)));
    let nothing = a.len() as f64 * NOTHING * NOTHING;
    match (apart <= nothing && size <= nothing, size == 0.0) {
        (true, _) => 0.0,
        (false, true) => apart.sqrt(),
        (false, false) => (apart / size).sqrt(),
    }
}

/// Asserts that output and gradients of `work` on the card are those of the CPU: in f32 to 1e-5, and
/// with activations in bf16 (the first input) to 2 %, measured as [`distance`].
pub fn same(name: &str, inputs: &[Tensor], work: impl Fn(&[Tensor]) -> Result<Tensor>) {
    same_in(name, inputs, &[(DType::F32, 1e-5), (DType::BF16, 2e-2)], work);
}

/// The same in given types, each with what is allowed.
pub fn same_in(
    name: &str,
    inputs: &[Tensor],
    types: &[(DType, f64)],
    work: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let expected = outcome(inputs, (&Device::Cpu, DType::F32), &work).expect("the CPU computes it");
    for (dtype, most) in types {
        let found = outcome(inputs, (&card(), *dtype), &work)
            .unwrap_or_else(|error| panic!("{name} in {dtype:?}: {error}"));
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let apart = distance(found, expected);
            let what = if at == 0 { "output".to_owned() } else { format!("gradient {at}") };
            // A distance that is not a number is no distance to be content with.
            assert!(apart <= *most, "{name} in {dtype:?}: the {what} is {apart:.2e} apart");
        }
    }
}
