//! Linear layers.

use std::ops::Range;
use std::sync::Arc;

use onejump_simd::{Format, Panels, Weights};
use onejump_tensor::rows::{tensor, values};
use tch::Tensor;

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::device::{Batch, Place};

/// y = x·W + b.
pub(crate) enum Linear {
    /// f32 on a processor, for many rows: the weights are laid out once, not in every product.
    Panels(Arc<Panels>),
    /// f32 on a processor, for a few rows.
    Few(Few),
    /// Everywhere else: W (in, out) and b (out).
    Tensors { weight: Tensor, bias: Option<Tensor> },
}

/// A layer for a few rows at a time.
#[derive(Clone)]
pub(crate) struct Few {
    /// W (out, in).
    pub weights: Arc<Weights>,
    /// b (out).
    pub bias: Option<Arc<[f32]>>,
}

impl Few {
    /// A layer of W (out, in), rounded to a format or kept exactly.
    pub fn new(weight: &Tensor, bias: Option<Tensor>, format: Option<Format>) -> Result<Self, ModelError> {
        let bias = bias.map(|bias| values(&bias)).transpose()?;
        Ok(Self { weights: kept(weight, format)?, bias: bias.map(Arc::from) })
    }

    /// Some outputs for the rows of x (n, in): (outputs, n).
    pub fn multiply(&self, x: &[f32], outputs: Range<usize>, products: &mut [f32]) {
        self.weights.multiply(x, outputs.clone(), products);
        let Some(bias) = &self.bias else { return };
        let rows = x.len() / self.weights.inputs();
        for (products, bias) in products.chunks_exact_mut(rows).zip(&bias[outputs]) {
            for product in products {
                *product += bias;
            }
        }
    }

    /// (T, in) -> (T, count): the outputs from `start` on.
    fn forward(&self, x: &Tensor, start: i64, count: i64) -> Result<Tensor, ModelError> {
        let (x, rows) = (values(x)?, x.size2()?.0);
        let mut products = vec![0.0; (rows * count) as usize];
        self.multiply(&x, start as usize..(start + count) as usize, &mut products);
        Ok(Tensor::f_from_slice(&products)?.f_view([count, rows])?.f_transpose(0, 1)?.f_contiguous()?)
    }
}

/// A matrix (out, in), rounded to a format or kept exactly.
pub(crate) fn kept(matrix: &Tensor, format: Option<Format>) -> Result<Arc<Weights>, ModelError> {
    let weights = Weights::kept(format, matrix.size2()?.1 as usize, &values(matrix)?);
    let too_large = || ModelError::TooLargeFor { format: format.unwrap_or(Format::F32) };
    weights.map(Arc::new).ok_or_else(too_large)
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
        let weight = joined(weights)?;
        let bias = if bias { Some(joined(biases)?) } else { None };
        Self::from_rows(&weight, bias, place)
    }

    /// Loads two layers of equal size that Hugging Face stores as one of (2·out, in).
    pub fn load_pair(
        checkpoint: &mut Checkpoint,
        name: &str,
        inputs: i64,
        outputs: i64,
        bias: bool,
        place: Place,
    ) -> Result<[Self; 2], ModelError> {
        let weight = checkpoint.tensor(&format!("{name}.weight"), &[2 * outputs, inputs], place)?;
        let bias =
            bias.then(|| checkpoint.tensor(&format!("{name}.bias"), &[2 * outputs], place)).transpose()?;
        let half = |start: i64| {
            let bias = bias.as_ref().map(|bias| bias.f_narrow(0, start, outputs)).transpose()?;
            Self::from_rows(&weight.f_narrow(0, start, outputs)?, bias, place)
        };
        Ok([half(0)?, half(outputs)?])
    }

    /// Loads a layer that is stored as (in, out), as GPT-2's `Conv1D` is.
    pub fn load_conv1d(
        checkpoint: &mut Checkpoint,
        name: &str,
        inputs: i64,
        outputs: i64,
        place: Place,
    ) -> Result<Self, ModelError> {
        Self::load_conv1d_scaled(checkpoint, name, inputs, outputs, (0, 1.0), place)
    }

    /// The same, with the first outputs, as many as `scaled` says, multiplied by its factor.
    pub fn load_conv1d_scaled(
        checkpoint: &mut Checkpoint,
        name: &str,
        inputs: i64,
        outputs: i64,
        scaled: (i64, f64),
        place: Place,
    ) -> Result<Self, ModelError> {
        let mut weight = checkpoint.tensor(&format!("{name}.weight"), &[inputs, outputs], place)?;
        let mut bias = checkpoint.tensor(&format!("{name}.bias"), &[outputs], place)?;
        let (count, factor) = scaled;
        if factor != 1.0 {
            for tensor in [&mut weight, &mut bias] {
                let _ = tensor.f_narrow(-1, 0, count)?.f_mul_scalar_(factor)?;
            }
        }
        Self::from_conv1d(weight, Some(bias), place)
    }

    /// Loads the projection to queries, keys and values of GPT-NeoX, whose rows lie head by head. Here all queries come
    /// first, then all keys, then all values.
    pub fn load_interleaved(
        checkpoint: &mut Checkpoint,
        name: &str,
        heads: i64,
        width: i64,
        bias: bool,
        place: Place,
    ) -> Result<Self, ModelError> {
        let (inputs, outputs) = (heads * width, 3 * heads * width);
        // (A, 3, d, ...) -> (3, A, d, ...)
        let ordered = |stored: Tensor, shape: &[i64]| -> Result<Tensor, ModelError> {
            let parts = stored.f_view([heads, 3, width, -1])?.f_transpose(0, 1)?;
            Ok(parts.f_reshape(shape)?)
        };
        let shape = [outputs, inputs];
        let weight = ordered(checkpoint.tensor(&format!("{name}.weight"), &shape, place)?, &shape)?;
        let bias = bias.then(|| checkpoint.tensor(&format!("{name}.bias"), &[outputs], place)).transpose()?;
        let bias = bias.map(|bias| ordered(bias, &[outputs])).transpose()?;
        Self::from_rows(&weight, bias, place)
    }

    /// A layer of W (out, in).
    fn from_rows(weight: &Tensor, bias: Option<Tensor>, place: Place) -> Result<Self, ModelError> {
        if let Batch::Few(format) = place.batch {
            return Ok(Self::Few(Few::new(weight, bias, format)?));
        }
        if place != Place::CPU {
            return Ok(Self::Tensors { weight: weight.f_transpose(0, 1)?, bias });
        }
        let (outputs, inputs) = weight.size2()?;
        let bias = bias.map(|bias| values(&bias)).transpose()?;
        let panels = Panels::transposed(inputs as usize, outputs as usize, bias.as_deref(), &values(weight)?);
        Ok(Self::Panels(Arc::new(panels)))
    }

    /// A layer of W (in, out).
    fn from_conv1d(weight: Tensor, bias: Option<Tensor>, place: Place) -> Result<Self, ModelError> {
        if let Batch::Few(format) = place.batch {
            return Ok(Self::Few(Few::new(&weight.f_transpose(0, 1)?, bias, format)?));
        }
        if place != Place::CPU {
            return Ok(Self::Tensors { weight, bias });
        }
        let (inputs, outputs) = weight.size2()?;
        let bias = bias.map(|bias| values(&bias)).transpose()?;
        let panels = Panels::fill(inputs as usize, outputs as usize, bias.as_deref(), |start, count| {
            values(&weight.f_narrow(1, start as i64, count as i64)?)
        })?;
        Ok(Self::Panels(Arc::new(panels)))
    }

    /// (T, in) -> (T, out).
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        match self {
            Self::Panels(panels) => {
                Ok(tensor(&panels.multiply(&values(x)?, 0..panels.columns()), panels.columns())?)
            }
            Self::Few(few) => few.forward(x, 0, few.weights.outputs() as i64),
            Self::Tensors { weight, bias } => affine(x, weight, bias.as_ref()),
        }
    }

    /// (T, in) -> (T, count): the outputs from `start` alone.
    pub fn forward_part(&self, x: &Tensor, start: i64, count: i64) -> Result<Tensor, ModelError> {
        match self {
            Self::Panels(panels) => {
                let columns = start as usize..(start + count) as usize;
                Ok(tensor(&panels.multiply(&values(x)?, columns.clone()), columns.len())?)
            }
            Self::Few(few) => few.forward(x, start, count),
            Self::Tensors { weight, bias } => {
                let bias = bias.as_ref().map(|bias| bias.f_narrow(0, start, count)).transpose()?;
                affine(x, &weight.f_narrow(1, start, count)?, bias.as_ref())
            }
        }
    }

    /// down(silu(gate(x)) ⊙ up(x)): (T, in) -> (T, in).
    pub fn gated(gate: &Self, up: &Self, down: &Self, x: &Tensor) -> Result<Tensor, ModelError> {
        match (gate, up, down) {
            (Self::Panels(gate), Self::Panels(up), Self::Panels(down)) => {
                let gated = Panels::gated(gate, up, &values(x)?);
                Ok(tensor(&down.multiply(&gated, 0..down.columns()), down.columns())?)
            }
            _ => down.forward(&gate.forward(x)?.f_silu()?.f_mul_(&up.forward(x)?)?),
        }
    }

    /// The bytes of its weights.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Panels(panels) => panels.depth() * panels.columns() * size_of::<f32>(),
            Self::Few(few) => few.weights.bytes(),
            Self::Tensors { weight, .. } => weight.numel() * weight.kind().elt_size_in_bytes(),
        }
    }

    /// The same layer; the weights are shared, not copied.
    pub fn shallow_clone(&self) -> Self {
        match self {
            Self::Panels(panels) => Self::Panels(Arc::clone(panels)),
            Self::Few(few) => Self::Few(few.clone()),
            Self::Tensors { weight, bias } => Self::Tensors {
                weight: weight.shallow_clone(),
                bias: bias.as_ref().map(Tensor::shallow_clone),
            },
        }
    }
}

/// Tensors one below the other; a single one is not copied.
fn joined(tensors: Vec<Tensor>) -> Result<Tensor, ModelError> {
    match <[Tensor; 1]>::try_from(tensors) {
        Ok([single]) => Ok(single),
        Err(several) => Ok(Tensor::f_cat(&several, 0)?),
    }
}

fn affine(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, ModelError> {
    Ok(match bias {
        Some(bias) => bias.f_addmm(x, weight)?,
        None => x.f_mm(weight)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    /// Layers in panels and for few rows against the same ones as tensors: f32 sums of up to 70 values with mixed signs, in
    /// other orders, a few roundings (6e-8) of the largest.
    #[test]
    fn panels_are_the_plain_layers() {
        tch::manual_seed(11);
        let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu));
        let (tokens, hidden, width) = (9, 20, 70);
        let x = random(&[tokens, hidden]);
        let forms = |inputs: i64, outputs: i64, bias: bool| {
            let (weight, bias) = (random(&[inputs, outputs]), bias.then(|| random(&[outputs])));
            let copy = |bias: &Option<Tensor>| bias.as_ref().map(Tensor::shallow_clone);
            let stored = weight.transpose(0, 1).contiguous();
            let panels = [
                Linear::from_conv1d(weight.shallow_clone(), copy(&bias), Place::CPU).unwrap(),
                Linear::from_rows(&stored, copy(&bias), Place::CPU).unwrap(),
            ];
            assert!(panels.iter().all(|form| matches!(form, Linear::Panels(_))));
            let few = [
                Linear::from_conv1d(weight.shallow_clone(), copy(&bias), Place::DECODING).unwrap(),
                Linear::from_rows(&stored, copy(&bias), Place::DECODING).unwrap(),
            ];
            assert!(few.iter().all(|form| matches!(form, Linear::Few(_))));
            let ([conv1d, rows], [few_conv1d, few_rows]) = (panels, few);
            [conv1d, rows, few_conv1d, few_rows, Linear::Tensors { weight, bias }]
        };
        let same = |[plain, ours @ ..]: [Tensor; 5]| {
            for ours in ours {
                assert_eq!(ours.size(), plain.size());
                let (error, largest) = (ours - &plain, plain.abs().max().double_value(&[]));
                assert!(error.abs().max().double_value(&[]) < 1e-6 * largest);
            }
        };
        for bias in [false, true] {
            let [gate, up, down] = [(hidden, width), (hidden, width), (width, hidden)]
                .map(|(inputs, outputs)| forms(inputs, outputs, bias));
            same([4, 0, 1, 2, 3].map(|form| gate[form].forward(&x).unwrap()));
            same([4, 0, 1, 2, 3].map(|form| gate[form].forward_part(&x, 5, 60).unwrap()));
            same([4, 0, 1, 2, 3].map(|form| Linear::gated(&gate[form], &up[form], &down[form], &x).unwrap()));
        }
    }
}
