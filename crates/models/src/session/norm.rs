//! Normalisation of rows of f32.

use onejump_simd::dot;
use onejump_tensor::rows::values;

use crate::ModelError;
use crate::norm::Norm as Loaded;

/// A normalisation over rows of as many values as it has weights.
pub(super) struct Norm {
    weight: Vec<f32>,
    /// Of a LayerNorm, which takes the mean away first. An RMSNorm has none.
    bias: Option<Vec<f32>>,
    eps: f64,
}

impl Norm {
    pub fn new(norm: &Loaded) -> Result<Self, ModelError> {
        let (Loaded::Rms { eps, .. } | Loaded::Layer { eps, .. }) = *norm;
        Ok(Self { weight: values(norm.weight())?, bias: norm.bias().map(values).transpose()?, eps })
    }

    /// Normalises each row in place.
    pub fn apply(&self, rows: &mut [f32]) {
        let width = self.weight.len();
        for row in rows.chunks_exact_mut(width) {
            if self.bias.is_some() {
                let mean = (sum(row) / width as f64) as f32;
                row.iter_mut().for_each(|value| *value -= mean);
            }
            let inverse = (1.0 / (dot(row, row) / width as f64 + self.eps).sqrt()) as f32;
            for (value, weight) in row.iter_mut().zip(&self.weight) {
                *value *= inverse * weight;
            }
            if let Some(bias) = &self.bias {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
        }
    }
}

/// The sum of some values, in f64 and in a fixed number of lanes.
fn sum(values: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    sums.iter().sum::<f64>() + rest.iter().copied().map(f64::from).sum::<f64>()
}
