//! Where tensors live, and in which type.

use std::fmt;
use std::path::{Path, PathBuf};

use onejump_simd::Format;
use onejump_tensor::cuda::{self, Gpus};
use tch::{Device, Kind};

use crate::ModelError;
use crate::tf32::TF32;

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
    /// One or a few: weights are rounded to a format, or without one as narrow as holds them exactly.
    Few(Option<Format>),
}

impl Place {
    /// f32 on the CPU.
    pub const CPU: Self = Self { device: Device::Cpu, dtype: Kind::Float, batch: Batch::Many };

    /// The same for a [session](crate::session::Session), which computes a few tokens at a time.
    pub const DECODING: Self = Self { batch: Batch::Few(None), ..Self::CPU };
}

/// The type of a name: `f32`, `bf16` or `f16`, and `tf32`, which is f32 but for the products of a GPU (see
/// [`tf32`](crate::tf32)).
///
/// # Errors
/// [`ModelError::UnknownDtype`] for another name.
pub fn parse_dtype(name: &str) -> Result<Kind, ModelError> {
    match name {
        "f32" | TF32 => Ok(Kind::Float),
        "bf16" => Ok(Kind::BFloat16),
        "f16" => Ok(Kind::Half),
        _ => Err(ModelError::UnknownDtype(name.to_owned())),
    }
}

/// A device that was chosen by name; `Display` says in a line what it is, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The device.
    pub device: Device,
    /// How many GPUs there are, or what stands in their way; none where nobody asked.
    gpus: Option<Gpus>,
}

impl Choice {
    /// The device of a name: `cpu`, `cuda`, `cuda:1`, or `auto` for the first GPU where there is one.
    ///
    /// # Errors
    /// [`ModelError`] for another name, or a GPU that cannot be used.
    pub fn of(name: &str) -> Result<Self, ModelError> {
        match Wish::of(name)? {
            Wish::Cpu => Ok(Self { device: Device::Cpu, gpus: None }),
            wish => Self::among(wish, name, cuda::gpus()),
        }
    }

    /// How many GPUs can be used; 0 where nobody asked.
    pub fn gpus(&self) -> usize {
        if let Some(Gpus::Found(count)) = self.gpus { count } else { 0 }
    }

    fn among(wish: Wish, name: &str, gpus: Gpus) -> Result<Self, ModelError> {
        let name = name.to_owned();
        let device = match (wish, &gpus) {
            (Wish::Gpu(index), Gpus::Found(count)) if index < *count => Device::Cuda(index),
            (Wish::Gpu(_), Gpus::Found(count)) => return Err(ModelError::NoSuchGpu { name, gpus: *count }),
            (Wish::Gpu(_), Gpus::NoneFound) => return Err(ModelError::NoGpu { name }),
            (Wish::Gpu(_), Gpus::NoCuda { libtorch }) => {
                return Err(ModelError::NoCuda { name, libtorch: in_words(libtorch.as_deref()) });
            }
            (Wish::Auto, Gpus::Found(_)) => Device::Cuda(0),
            (Wish::Auto | Wish::Cpu, _) => Device::Cpu,
        };
        Ok(Self { device, gpus: Some(gpus) })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.device, &self.gpus) {
            (Device::Cuda(index), Some(Gpus::Found(count))) => write!(f, "device: GPU {index} of {count}"),
            (_, Some(Gpus::NoCuda { libtorch })) => {
                write!(f, "device: the CPU; {} has no CUDA", in_words(libtorch.as_deref()))
            }
            (_, Some(Gpus::NoneFound)) => {
                write!(f, "device: the CPU; libtorch has CUDA, but there is no GPU, or no driver for it")
            }
            _ => write!(f, "device: the CPU"),
        }
    }
}

fn in_words(libtorch: Option<&Path>) -> String {
    libtorch.map_or("this libtorch".into(), |folder| format!("the libtorch in {}", folder.display()))
}

/// The library that this process has to load before the device can be used: see [`onejump_tensor::cuda`].
pub fn missing_library(name: &str) -> Option<PathBuf> {
    if matches!(Wish::of(name), Ok(Wish::Auto | Wish::Gpu(_))) { cuda::library() } else { None }
}

/// What a name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Cpu,
    Auto,
    Gpu(usize),
}

impl Wish {
    fn of(name: &str) -> Result<Self, ModelError> {
        match name {
            "cpu" => Ok(Self::Cpu),
            "auto" => Ok(Self::Auto),
            "cuda" => Ok(Self::Gpu(0)),
            _ => {
                let index = name.strip_prefix("cuda:").and_then(|index| index.parse().ok());
                Ok(Self::Gpu(index.ok_or_else(|| ModelError::UnknownDevice(name.to_owned()))?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a device where there are these GPUs.
    fn said(name: &str, gpus: Gpus) -> String {
        match Choice::among(Wish::of(name).unwrap(), name, gpus) {
            Ok(choice) => choice.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_answer_is_said_in_a_line() {
        let no_cuda = || Gpus::NoCuda { libtorch: Some("/torch/lib".into()) };
        for (name, gpus, expected) in [
            (
                "cuda",
                no_cuda(),
                "the libtorch in /torch/lib has no CUDA; bring one (cargo xtask setup --cuda)",
            ),
            ("cuda:1", Gpus::NoCuda { libtorch: None }, "device 'cuda:1': this libtorch has no CUDA"),
            ("auto", no_cuda(), "device: the CPU; the libtorch in /torch/lib has no CUDA"),
            ("cuda", Gpus::NoneFound, "there is no GPU, or no driver for it that is new enough"),
            ("auto", Gpus::NoneFound, "device: the CPU; libtorch has CUDA, but there is no GPU"),
            ("auto", Gpus::Found(2), "device: GPU 0 of 2"),
            ("cuda", Gpus::Found(1), "device: GPU 0 of 1"),
            ("cuda:1", Gpus::Found(2), "device: GPU 1 of 2"),
            ("cuda:2", Gpus::Found(2), "no such GPU among the 2 here; known: cuda:0 to cuda:1"),
        ] {
            let said = said(name, gpus);
            assert!(said.contains(expected) && !said.contains('\n'), "{name}: {said}");
        }
    }

    #[test]
    fn what_is_no_device_is_named() {
        for name in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            let error = Choice::of(name).unwrap_err().to_string();
            assert_eq!(error, format!("'{name}' is no device; known: cpu, cuda, cuda:N, auto"));
            assert_eq!(missing_library(name), None);
        }
        assert_eq!(Choice::of("cpu").unwrap().device, Device::Cpu);
        assert_eq!(missing_library("cpu"), None);
    }
}
