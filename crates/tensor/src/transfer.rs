//! Tensors on their way to a GPU and back, without waiting where libtorch can do without.
//!
//! A plain copy waits until everything that the GPU was asked for before is done, and the GPU then has nothing to do
//! until it is asked for more. Small copies to it, and copies into memory that is pinned (the system does not move it),
//! are put in line behind the computations instead. tch gives no second line (a stream), so the copies themselves take
//! their turn.

use tch::{Device, TchError, Tensor};

/// Up to so many bytes at a time CUDA takes from any memory at once, and copies them when it is their turn; for more, it
/// may wait. (Pinned memory would do for any size, but tch asks for it in a way that makes libtorch warn each time.)
const AT_ONCE: usize = 64 << 10;

/// A small tensor of this processor on a device, without waiting for what the device is doing.
///
/// # Errors
/// [`TchError`] if libtorch refuses.
pub fn to_device(tensor: &Tensor, device: Device) -> Result<Tensor, TchError> {
    if device.is_cuda() { in_pieces(tensor, device) } else { tensor.f_to_device(device) }
}

fn in_pieces(tensor: &Tensor, device: Device) -> Result<Tensor, TchError> {
    let kind = tensor.f_kind()?;
    let flat = tensor.f_contiguous()?.f_view([-1])?;
    let (count, most) = (flat.size1()?, (AT_ONCE / kind.elt_size_in_bytes()) as i64);
    let piece = |start: i64| {
        flat.f_narrow(0, start, most.min(count - start))?.f_to_device_(device, kind, true, false)
    };
    let pieces = (0..count).step_by(most as usize).map(piece).collect::<Result<Vec<_>, _>>()?;
    match &pieces[..] {
        [] => tensor.f_to_device(device),
        [whole] => whole.f_view(tensor.size().as_slice()),
        several => Tensor::f_cat(several, 0)?.f_view(tensor.size().as_slice()),
    }
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
    use tch::Kind;

    #[test]
    fn pieces_are_the_whole_again() {
        let most = (AT_ONCE / 8) as i64;
        for size in [&[0, 3][..], &[], &[5], &[most], &[2, most / 2 + 1], &[3, most]] {
            let count: i64 = size.iter().product();
            let tensor = Tensor::arange(count, (Kind::Int64, Device::Cpu)).view(size);
            assert_eq!(in_pieces(&tensor, Device::Cpu).unwrap(), tensor, "{size:?}");
        }
        let transposed = Tensor::arange(6, (Kind::Int64, Device::Cpu)).view([2, 3]).transpose(0, 1);
        assert_eq!(in_pieces(&transposed, Device::Cpu).unwrap(), transposed);
        let bools = Tensor::from_slice(&[true, false, true]).view([3, 1]);
        assert_eq!(in_pieces(&bools, Device::Cpu).unwrap(), bools);
    }

    #[test]
    fn a_processor_has_its_tensors_already() {
        let tensor = Tensor::from_slice(&[1f32, 2.0]);
        let there = to_device(&tensor, Device::Cpu).unwrap();
        wait(Device::Cpu);
        assert_eq!(Vec::<f32>::try_from(to_host(&there).unwrap()).unwrap(), [1.0, 2.0]);
    }
}
