//! What the numeric tests share: seeded tensors, finite differences, comparisons.

use balance::seed::Stream;
use candle_core::{DType, Device, Result, Tensor, Var};

/// A tensor of standard normal draws in f64, different for every `name`.
pub fn normal(name: &str, shape: &[usize]) -> Tensor {
    let mut stream = Stream::new(11).named(name);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| stream.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The elements of a tensor of any float type.
pub fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// `Σ w y` with weights that differ from element to element, so that errors do not cancel.
pub fn weighted(y: &Tensor) -> Result<Tensor> {
    let weights = normal("weights", y.dims()).to_dtype(y.dtype())?;
    (y * weights)?.sum_all()
}

/// Compares the gradients of the weighted sum of `f`'s output with central differences, for each
/// input in turn while the others are constant, and then for all of them at once.
pub fn check_gradients(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let vars: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(input).unwrap()).collect();
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let together = weighted(&f(&tracked).unwrap()).unwrap().backward().unwrap();
    for (index, var) in vars.iter().enumerate() {
        let mut alone = inputs.to_vec();
        alone[index] = var.as_tensor().clone();
        let grads = weighted(&f(&alone).unwrap()).unwrap().backward().unwrap();
        let gradient = values(grads.get(var).expect("the input gets a gradient"));
        assert_eq!(gradient, values(together.get(var).unwrap()), "input {index} alone");
        check_against_differences(inputs, index, &gradient, &f);
    }
}

fn check_against_differences(
    inputs: &[Tensor],
    index: usize,
    gradient: &[f64],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let base = values(&inputs[index]);
    let value = |element: usize, step: f64| {
        let mut moved = base.clone();
        moved[element] += step;
        let mut inputs = inputs.to_vec();
        inputs[index] = Tensor::from_vec(moved, inputs[index].dims(), &Device::Cpu).unwrap();
        weighted(&f(&inputs).unwrap()).unwrap().to_scalar::<f64>().unwrap()
    };
    let scale = gradient.iter().fold(1.0, |scale: f64, g| scale.max(g.abs()));
    for element in (0..base.len()).step_by((base.len() / 40).max(1)) {
        let h = 1e-5;
        let expected = (value(element, h) - value(element, -h)) / (2.0 * h);
        let error = (expected - gradient[element]).abs() / scale;
        assert!(
            error < 1e-6,
            "input {index}, element {element}: {expected} by differences, {} by hand",
            gradient[element]
        );
    }
}

/// The largest difference of two tensors, relative to the largest element of the second.
pub fn difference(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (values(a), values(b));
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1e-30, |scale: f64, x| scale.max(x.abs()));
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale
}
