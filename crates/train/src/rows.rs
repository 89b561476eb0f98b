//! Rows of states as tensors, and back.

use tch::{Kind, Tensor};

use crate::TrainError;

/// Rows (N, H) as a tensor.
pub(crate) fn tensor(rows: &[f32], hidden_size: usize) -> Result<Tensor, TrainError> {
    Ok(Tensor::f_from_slice(rows)?.f_view([-1, hidden_size as i64])?)
}

/// The values of a tensor, row by row, in f32.
pub(crate) fn values(tensor: &Tensor) -> Result<Vec<f32>, TrainError> {
    let flat = tensor.f_to_kind(Kind::Float)?.f_contiguous()?.f_view(-1)?;
    Ok(Vec::<f32>::try_from(&flat)?)
}
