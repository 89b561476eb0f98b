//! Where a model computes, and in which form its weights are: what all commands have in common.

use std::error::Error;

use clap::Args;
use clap::error::ErrorKind;
use onejump_generate::Format;
use onejump_models::ModelError;
use onejump_models::device::{self, Batch, Choice, Place};
use onejump_models::tf32;
use onejump_program::remark;
use onejump_program::restart::restart;
use tch::Device;

/// What computes.
#[derive(Args)]
pub struct Computing {
    /// Threads on the CPU; 0 is one for each processor
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Round the model's weights to f32, bf16, f16, q8, q8k (8 bits in blocks of 16) or q4; without, they are kept exactly, in as few bits as that takes
    #[arg(long, value_name = "FORMAT")]
    weights: Option<Format>,
    /// Where the model computes: cpu, cuda, cuda:N, or auto for a GPU where there is one. On a GPU speculative text is the
    /// model's own up to rounding
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: String,
    /// On a GPU: compute in f32, tf32, bf16 or f16 [default: f32]
    #[arg(long, value_name = "TYPE", value_parser = ["f32", "tf32", "bf16", "f16"])]
    dtype: Option<String>,
}

impl Computing {
    /// Starts the program anew where it lacks CUDA's libraries: before anything is read.
    pub fn restart(&self) -> Result<(), Box<dyn Error>> {
        if self.device != "cpu" {
            restart(device::missing_library(&self.device).as_deref(), tf32::variable(self.dtype()))?;
        }
        Ok(())
    }

    /// The place; says which GPU it is.
    pub fn place(&self) -> Result<Place, ModelError> {
        let choice = Choice::of(&self.device)?;
        if self.device != "cpu" {
            remark!("{choice}");
        }
        if let Some(reason) = self.misused(choice.device) {
            clap::Error::raw(ErrorKind::ArgumentConflict, format!("{reason}\n")).exit()
        }
        if choice.device == Device::Cpu {
            return Ok(Place { batch: Batch::Few(self.weights), ..Place::DECODING });
        }
        tf32::check(self.dtype(), choice.device)?;
        Ok(Place { device: choice.device, dtype: device::parse_dtype(self.dtype())?, batch: Batch::Many })
    }

    fn misused(&self, device: Device) -> Option<&'static str> {
        match device {
            Device::Cpu if self.dtype.is_some() => Some("--dtype is for a GPU; on the CPU, --weights rounds"),
            Device::Cpu => None,
            _ if self.weights.is_some() => Some("--weights is for the CPU; on a GPU, --dtype says the type"),
            _ => None,
        }
    }

    fn dtype(&self) -> &str {
        self.dtype.as_deref().unwrap_or("f32")
    }
}
