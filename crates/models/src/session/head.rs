//! The head of a session's model.

use std::sync::{Arc, MutexGuard};

use onejump_simd::{Format, Weights, soft_cap};
use onejump_tensor::rows::values;
use tch::Tensor;

use super::model::{Form, Model};
use super::norm::Norm;
use super::shared::Shared;
use super::threads::Threads;
use crate::ModelError;
use crate::head::Head as Loaded;
use crate::linear::kept;

/// Final norm and unembedding, where the model computes.
pub struct Head(Parts);

enum Parts {
    Slices(SliceHead),
    Tensors(Shared<Loaded>),
}

/// The same as slices.
pub(super) struct SliceHead {
    norm: Norm,
    /// (V, H).
    unembedding: Arc<Weights>,
    soft_cap: Option<f32>,
}

impl Head {
    /// The head of a model: for the CPU one that was loaded in f32, otherwise in the model's own place. A matrix that is the
    /// embedding too is kept once.
    ///
    /// # Errors
    /// [`ModelError::Torch`] if libtorch cannot give the values, or the head is somewhere else.
    pub fn new(head: &Loaded, model: &Model) -> Result<Self, ModelError> {
        Ok(Self(match &model.0 {
            Form::Slices(model) => Parts::Slices(SliceHead {
                norm: Norm::new(&head.norm)?,
                unembedding: beside(&model.embedding, &head.unembedding, model.format)?,
                soft_cap: head.soft_cap.map(|cap| cap as f32),
            }),
            Form::Tensors(model) => {
                let embedding = model.embedding();
                let own = head.shallow_clone();
                let tied =
                    own.unembedding.size() == embedding.size() && own.unembedding.f_equal(&embedding)?;
                let unembedding = if tied { embedding } else { own.unembedding };
                Parts::Tensors(Shared::new(Loaded { unembedding, ..own }))
            }
        }))
    }

    /// V.
    pub fn vocab_size(&self) -> usize {
        match &self.0 {
            Parts::Slices(head) => head.unembedding.outputs(),
            Parts::Tensors(head) => head.get().vocab_size(),
        }
    }

    /// The bytes of weights that logits read.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Parts::Slices(head) => head.unembedding.bytes(),
            Parts::Tensors(head) => {
                let unembedding = &head.get().unembedding;
                unembedding.numel() * unembedding.kind().elt_size_in_bytes()
            }
        }
    }

    pub(super) fn slices(&self) -> &SliceHead {
        let Parts::Slices(head) = &self.0 else { panic!("a head of a model on a GPU") };
        head
    }

    pub(super) fn tensors(&self) -> MutexGuard<'_, Loaded> {
        let Parts::Tensors(head) = &self.0 else { panic!("a head of a model on the CPU") };
        head.get()
    }
}

/// The unembedding, in the embedding's memory if they are one.
fn beside(
    embedding: &Arc<Weights>,
    unembedding: &Tensor,
    format: Option<Format>,
) -> Result<Arc<Weights>, ModelError> {
    // Where weights are kept exactly, to compare is quicker than to find their form again.
    if format.is_none() && embedding.holds(&values(unembedding)?) {
        return Ok(Arc::clone(embedding));
    }
    let own = kept(unembedding, format)?;
    Ok(if *own == **embedding { Arc::clone(embedding) } else { own })
}

impl SliceHead {
    /// (n, H) -> (n, V).
    pub fn logits(&self, states: &[f32], threads: &Threads) -> Vec<f32> {
        let mut normed = states.to_vec();
        self.norm.apply(&mut normed);
        let rows = states.len() / self.unembedding.inputs();
        threads.outputs(self.unembedding.outputs(), rows, |outputs, products| {
            self.unembedding.multiply(&normed, outputs, products);
            if let Some(cap) = self.soft_cap {
                soft_cap(products, cap);
            }
        })
    }
}
