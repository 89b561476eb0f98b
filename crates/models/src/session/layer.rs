//! Layers beside a model's own, computed by a session's threads.

use onejump_simd::Format;
use tch::Tensor;

use super::threads::Threads;
use crate::ModelError;
use crate::linear::Few;

/// y = x·W + b, for a few rows at a time.
pub struct Layer(Few);

impl Layer {
    /// A layer of W (in, out), rounded to a format or kept exactly, and b (out).
    ///
    /// # Errors
    /// [`ModelError::Torch`] if libtorch cannot give the values, [`ModelError::TooLargeFor`] if the format cannot hold one.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, format: Option<Format>) -> Result<Self, ModelError> {
        Ok(Self(Few::new(&weight.f_transpose(0, 1)?, bias.map(Tensor::shallow_clone), format)?))
    }

    /// (n, in) -> (n, out).
    pub(super) fn forward(&self, x: &[f32], threads: &Threads) -> Vec<f32> {
        linear(&self.0, x, x.len() / self.0.weights.inputs(), threads)
    }
}

/// (n, in) -> (n, out).
pub(super) fn linear(layer: &Few, x: &[f32], rows: usize, threads: &Threads) -> Vec<f32> {
    threads.outputs(layer.weights.outputs(), rows, |outputs, products| layer.multiply(x, outputs, products))
}
