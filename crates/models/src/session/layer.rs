//! Layers beside a model's own, computed where it is.

use onejump_simd::Format;
use onejump_tensor::rows::tensor;
use onejump_tensor::transfer::to_device;
use tch::{Kind, Tensor};

use super::block::linear;
use super::model::{Form, Model};
use super::shared::Shared;
use super::threads::Threads;
use crate::ModelError;
use crate::linear::Few;

/// y = x·W + b, for a few rows at a time.
pub struct Layer(Parts);

enum Parts {
    Slices(SliceLayer),
    Tensors(Shared<TensorLayer>),
}

/// The same as slices.
pub(super) struct SliceLayer(Few);

/// The same as tensors, f32.
struct TensorLayer {
    /// W (in, out).
    weight: Tensor,
    /// b (out).
    bias: Option<Tensor>,
}

impl Layer {
    /// A layer of W (in, out) and b (out) beside a model. On the CPU W is rounded to a format or kept exactly; on a GPU it is
    /// in f32.
    ///
    /// # Errors
    /// [`ModelError::Torch`] if libtorch cannot give the values, [`ModelError::TooLargeFor`] if the format cannot hold one.
    pub fn new(
        weight: &Tensor,
        bias: Option<&Tensor>,
        model: &Model,
        format: Option<Format>,
    ) -> Result<Self, ModelError> {
        Ok(Self(match &model.0 {
            Form::Slices(_) => {
                let bias = bias.map(Tensor::shallow_clone);
                Parts::Slices(SliceLayer(Few::new(&weight.f_transpose(0, 1)?, bias, format)?))
            }
            Form::Tensors(model) => {
                let there = |tensor: &Tensor| {
                    tensor.f_to_kind(Kind::Float)?.f_contiguous()?.f_to_device(model.place.device)
                };
                let bias = bias.map(there).transpose()?;
                Parts::Tensors(Shared::new(TensorLayer { weight: there(weight)?, bias }))
            }
        }))
    }

    pub(super) fn slices(&self) -> &SliceLayer {
        let Parts::Slices(layer) = &self.0 else { panic!("a layer beside a model on a GPU") };
        layer
    }

    /// (n, in) -> (n, out), beside a model in tensors.
    pub(super) fn of_tensors(&self, rows: &[f32]) -> Result<Tensor, ModelError> {
        let Parts::Tensors(layer) = &self.0 else { panic!("a layer beside a model on the CPU") };
        let TensorLayer { weight, bias } = &*layer.get();
        let x = to_device(&tensor(rows, weight.size2()?.0 as usize)?, weight.device())?;
        Ok(match bias {
            Some(bias) => bias.f_addmm(&x, weight)?,
            None => x.f_mm(weight)?,
        })
    }
}

impl SliceLayer {
    /// (n, in) -> (n, out).
    pub fn forward(&self, x: &[f32], threads: &Threads) -> Vec<f32> {
        linear(&self.0, x, x.len() / self.0.weights.inputs(), threads)
    }
}
