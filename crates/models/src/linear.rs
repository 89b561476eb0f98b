//! Linear layers.

use tch::Tensor;

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::device::Place;

/// y = x·W + b.
pub(crate) struct Linear {
    /// (in, out).
    pub weight: Tensor,
    /// (out).
    pub bias: Option<Tensor>,
}

impl Linear {
    /// Loads a layer that Hugging Face stores as (out, in), or several that read the same input as one.
    pub fn load(
        checkpoint: &mut Checkpoint,
        names: &[(String, i64)],
        inputs: i64,
        bias: bool,
        place: Place,
    ) -> Result<Self, ModelError> {
        let mut weights = Vec::with_capacity(names.len());
        let mut biases = Vec::new();
        for (name, outputs) in names {
            weights.push(checkpoint.tensor(&format!("{name}.weight"), &[*outputs, inputs], place)?);
            if bias {
                biases.push(checkpoint.tensor(&format!("{name}.bias"), &[*outputs], place)?);
            }
        }
        let weight = Tensor::f_cat(&weights, 0)?.f_transpose(0, 1)?;
        let bias = if bias { Some(Tensor::f_cat(&biases, 0)?) } else { None };
        Ok(Self { weight, bias })
    }

    /// Loads a layer that is stored as (in, out), as GPT-2's `Conv1D` is.
    pub fn load_conv1d(
        checkpoint: &mut Checkpoint,
        name: &str,
        inputs: i64,
        outputs: i64,
        place: Place,
    ) -> Result<Self, ModelError> {
        let weight = checkpoint.tensor(&format!("{name}.weight"), &[inputs, outputs], place)?;
        let bias = checkpoint.tensor(&format!("{name}.bias"), &[outputs], place)?;
        Ok(Self { weight, bias: Some(bias) })
    }

    /// (T, in) -> (T, out).
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(match &self.bias {
            Some(bias) => bias.f_addmm(x, &self.weight)?,
            None => x.f_mm(&self.weight)?,
        })
    }

    /// (T, in) -> (T, count): the outputs from `start` alone.
    pub fn forward_part(&self, x: &Tensor, start: i64, count: i64) -> Result<Tensor, ModelError> {
        let weight = self.weight.f_narrow(1, start, count)?;
        Ok(match &self.bias {
            Some(bias) => bias.f_narrow(0, start, count)?.f_addmm(x, &weight)?,
            None => x.f_mm(&weight)?,
        })
    }

    pub fn shallow_clone(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.as_ref().map(Tensor::shallow_clone) }
    }
}
