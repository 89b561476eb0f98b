//! Tensors on their way to a GPU and back, without waiting where libtorch can do without.
//!
//! A plain copy waits until everything that the GPU was asked for before is done, and the GPU then has nothing to do
//! until it is asked for more. Copies between a GPU and memory that is pinned (the system does not move it) are put in
//! line behind the computations instead. tch gives no second line (a stream), so the copies themselves take their turn.

use tch::{Device, TchError, Tensor};

/// A tensor of this processor on a device, without waiting for what the device is doing.
///
/// # Errors
/// [`TchError`] if libtorch refuses.
pub fn to_device(tensor: &Tensor, device: Device) -> Result<Tensor, TchError> {
    if !device.is_cuda() {
        return tensor.f_to_device(device);
    }
    // The pinned memory is libtorch's: it is used again only once the copy is done.
    tensor.f_pin_memory(device)?.f_to_device_(device, tensor.f_kind()?, true, false)
}

/// A tensor of a device in this processor's memory. The copy is in line behind what the device was asked for; the
/// values are there after [`wait`].
///
/// # Errors
/// [`TchError`] if libtorch refuses.
pub fn to_host(tensor: &Tensor) -> Result<Tensor, TchError> {
    // libtorch takes pinned memory for a copy that nobody waits for.
    let waits_not = tensor.device().is_cuda();
    tensor.f_contiguous()?.f_to_device_(Device::Cpu, tensor.f_kind()?, waits_not, false)
}

/// Waits until a device has done all that it was asked for. A processor computes at once.
pub fn wait(device: Device) {
    if let Device::Cuda(index) = device {
        tch::Cuda::synchronize(index as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_has_its_tensors_already() {
        let tensor = Tensor::from_slice(&[1f32, 2.0]);
        let there = to_device(&tensor, Device::Cpu).unwrap();
        wait(Device::Cpu);
        assert_eq!(Vec::<f32>::try_from(to_host(&there).unwrap()).unwrap(), [1.0, 2.0]);
    }
}
