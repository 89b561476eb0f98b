//! Where tensors live.

use tch::Device;

use crate::ModelError;

/// The device of a name: `cpu`, `cuda`, `cuda:1`, or `auto` for CUDA where there is one.
///
/// # Errors
/// [`ModelError::Usage`] for another name, or a GPU that this libtorch cannot use.
pub fn parse(name: &str) -> Result<Device, ModelError> {
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" => return Ok(Device::cuda_if_available()),
        "cuda" => 0,
        _ => name.strip_prefix("cuda:").and_then(|index| index.parse().ok()).ok_or_else(|| {
            ModelError::Usage(format!("'{name}' is no device; known: cpu, cuda, cuda:N, auto"))
        })?,
    };
    let count = tch::Cuda::device_count();
    if !tch::Cuda::is_available() || index as i64 >= count {
        return Err(ModelError::Usage(format!(
            "device '{name}' is not there: this libtorch sees {count} GPUs; use --device cpu, or point LIBTORCH \
             at a libtorch with CUDA and build again"
        )));
    }
    Ok(Device::Cuda(index))
}
