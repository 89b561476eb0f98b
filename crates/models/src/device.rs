//! Where tensors live, and in which type.

use tch::{Device, Kind};

use crate::ModelError;

/// Where a model computes, and in which type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// CPU or a GPU.
    pub device: Device,
    /// `Float`, `BFloat16` or `Half`.
    pub dtype: Kind,
    /// What the linear layers are laid out for, where they compute in f32 on the CPU.
    pub batch: Batch,
}

/// How many rows are multiplied with a linear layer's weights at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// Many: weights are in f32, in the order in which they are multiplied.
    Many,
    /// One or a few: weights are as narrow as holds them exactly.
    Few,
}

impl Place {
    /// f32 on the CPU.
    pub const CPU: Self = Self { device: Device::Cpu, dtype: Kind::Float, batch: Batch::Many };

    /// The same for a [session](crate::session::Session), which computes a few tokens at a time.
    pub const DECODING: Self = Self { batch: Batch::Few, ..Self::CPU };
}

/// The type of a name: `f32`, `bf16` or `f16`.
///
/// # Errors
/// [`ModelError::UnknownDtype`] for another name.
pub fn parse_dtype(name: &str) -> Result<Kind, ModelError> {
    match name {
        "f32" => Ok(Kind::Float),
        "bf16" => Ok(Kind::BFloat16),
        "f16" => Ok(Kind::Half),
        _ => Err(ModelError::UnknownDtype(name.to_owned())),
    }
}

/// The device of a name: `cpu`, `cuda`, `cuda:1`, or `auto` for CUDA where there is one.
///
/// # Errors
/// [`ModelError`] for another name, or a GPU that this libtorch cannot use.
pub fn parse(name: &str) -> Result<Device, ModelError> {
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" => return Ok(Device::cuda_if_available()),
        "cuda" => 0,
        _ => {
            let index = name.strip_prefix("cuda:").and_then(|index| index.parse().ok());
            index.ok_or_else(|| ModelError::UnknownDevice(name.to_owned()))?
        }
    };
    let gpus = tch::Cuda::device_count();
    if !tch::Cuda::is_available() || index as i64 >= gpus {
        return Err(ModelError::NoDevice { name: name.to_owned(), gpus });
    }
    Ok(Device::Cuda(index))
}
