//! Rows of numbers, one after another, and tensors of them.

use tch::{Kind, TchError, Tensor};

/// Rows of `columns` values each as a tensor, (N, columns) f32, on the CPU.
///
/// # Errors
/// [`TchError`] if the values are no whole rows.
pub fn tensor(values: &[f32], columns: usize) -> Result<Tensor, TchError> {
    Tensor::f_from_slice(values)?.f_view([-1, columns as i64])
}

/// All values of a tensor in f32, row by row, wherever it lies and whatever its type.
///
/// # Errors
/// [`TchError`] if libtorch cannot give them.
pub fn values(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let mut values = vec![0.0; tensor.numel()];
    let count = values.len();
    tensor.f_to_kind(Kind::Float)?.f_contiguous()?.f_copy_data(&mut values, count)?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_in_their_order_whatever_the_layout_and_type() {
        let rows = tensor(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3).unwrap();
        let transposed = rows.f_transpose(0, 1).unwrap();
        assert_eq!(values(&transposed).unwrap(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let half = rows.f_to_kind(Kind::BFloat16).unwrap().f_narrow(1, 1, 2).unwrap();
        assert_eq!(values(&half).unwrap(), [2.0, 3.0, 5.0, 6.0]);
    }

    #[test]
    fn a_row_that_is_not_whole_is_an_error() {
        assert!(tensor(&[1.0, 2.0, 3.0], 2).is_err());
    }
}
