//! Burn's autodiff on its ndarray backend, and the comparison of gradients with it.

use burn_autodiff::Autodiff;
use burn_backend::ops::FloatTensorOps;
use burn_backend::tensor::FloatTensor;
use burn_backend::{Shape, TensorData, read_sync};
use burn_ndarray::{NdArray, NdArrayDevice};
use macula::encoder::NamedTensor;

pub type Burn = Autodiff<NdArray>;
pub type Tensor = FloatTensor<Burn>;

/// Relative error allowed: of the length of a tensor, and of each number relative to the largest in its tensor.
const TOLERANCE: f64 = 1e-3;

/// Error allowed in any tensor, relative to the largest number in all gradients. A shift before a batch norm has the
/// gradient zero, which f32 reaches only up to rounding.
const FLOOR: f64 = 1e-5;

pub fn tensor(data: &[f32], shape: &[usize]) -> Tensor {
    Burn::float_from_data(TensorData::new(data.to_vec(), Shape::from(shape.to_vec())), &NdArrayDevice::Cpu)
}

pub fn reshape(x: Tensor, shape: &[usize]) -> Tensor {
    Burn::float_reshape(x, Shape::from(shape.to_vec()))
}

pub fn numbers(x: FloatTensor<NdArray>) -> Vec<f32> {
    read_sync(NdArray::float_into_data(x)).unwrap().try_into_vec().unwrap()
}

fn largest(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(0.0, |max, x| max.max(x.abs()))
}

fn length(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.map(|x| x * x).sum::<f64>().sqrt()
}

/// Compares every tensor by its length and number by number.
pub fn compare(case: &str, found: &[NamedTensor], expected: &[Vec<f32>]) {
    let floor = FLOOR * largest(expected.iter().flatten().map(|&x| f64::from(x)));
    let (mut worst_length, mut worst_number) = (0.0f64, 0.0f64);
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.data.len(), expected.len(), "{case}: {}", found.name);
        let wide = || expected.iter().map(|&x| f64::from(x));
        let errors = || found.data.iter().zip(wide()).map(|(&a, b)| f64::from(a) - b);
        let floor_length = floor * (expected.len() as f64).sqrt();
        let by_length = length(errors()) / length(wide()).max(floor_length / TOLERANCE);
        let by_number = largest(errors()) / largest(wide()).max(floor / TOLERANCE);
        assert!(
            by_length <= TOLERANCE && by_number <= TOLERANCE,
            "{case}: gradient of {} is off by {by_length:.1e} of its length, by {by_number:.1e} of its largest number",
            found.name
        );
        worst_length = worst_length.max(by_length);
        worst_number = worst_number.max(by_number);
    }
    println!("{case}: {} tensors, worst {worst_length:.1e} of the length, {worst_number:.1e} by number", found.len());
}
