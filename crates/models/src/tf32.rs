//! TF32: products of f32 on a GPU with 10 bits of mantissa in place of 23, several times as fast. Off unless asked for.
//!
//! libtorch reads it from a variable when it starts; tch has no other way to it. So a program that wants it starts
//! itself anew with the variable ([`variable`] says whether), and what computes on a GPU looks whether the variable fits
//! what it was asked for ([`check`]).

use std::env;

use tch::Device;

use crate::ModelError;

/// The variable that libtorch reads: 1 for TF32.
pub const VARIABLE: &str = "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE";

/// What a type to compute in is called that is f32 with products in TF32.
pub const TF32: &str = "tf32";

/// The variable and its value, where this process has another one than a type asks for.
pub fn variable(dtype: &str) -> Option<(&'static str, &'static str)> {
    let there = env::var_os(VARIABLE).is_some_and(|value| value == "1");
    let wanted = dtype == TF32;
    (wanted != there).then_some((VARIABLE, if wanted { "1" } else { "0" }))
}

/// Refuses TF32 where there is none, and a variable that makes a GPU compute in another type than the one asked for.
///
/// # Errors
/// [`ModelError::Tf32OnCpu`] and [`ModelError::Tf32Variable`].
pub fn check(dtype: &str, device: Device) -> Result<(), ModelError> {
    match (device, variable(dtype)) {
        (Device::Cpu, _) if dtype == TF32 => Err(ModelError::Tf32OnCpu),
        (Device::Cpu, _) | (_, None) => Ok(()),
        (_, Some((variable, value))) => {
            Err(ModelError::Tf32Variable { dtype: dtype.to_owned(), variable, value })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tf32_is_refused_where_it_would_not_be_used() {
        assert!(matches!(check(TF32, Device::Cpu), Err(ModelError::Tf32OnCpu)));
        assert!(check("f32", Device::Cpu).is_ok() && check("f32", Device::Cuda(0)).is_ok());
        // This process has not the variable.
        let error = check(TF32, Device::Cuda(0)).unwrap_err().to_string();
        assert!(error.contains("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1"), "{error}");
    }
}
