//! The head of a session's model.

use std::sync::Arc;

use onejump_simd::{Weights, soft_cap};

use super::model::Model;
use super::norm::Norm;
use super::threads::Threads;
use crate::ModelError;
use crate::head::Head as Loaded;
use crate::linear::kept;

/// Final norm and unembedding, as slices.
pub struct Head {
    norm: Norm,
    /// (V, H).
    unembedding: Arc<Weights>,
    soft_cap: Option<f32>,
}

impl Head {
    /// The head of a model. A matrix that is the embedding too is kept once.
    ///
    /// # Errors
    /// [`ModelError::Torch`] if libtorch cannot give the values.
    pub fn new(head: &Loaded, model: &Model) -> Result<Self, ModelError> {
        let own = kept(&head.unembedding, model.format)?;
        let tied = *own == *model.embedding;
        Ok(Self {
            norm: Norm::new(&head.norm)?,
            unembedding: if tied { Arc::clone(&model.embedding) } else { own },
            soft_cap: head.soft_cap.map(|cap| cap as f32),
        })
    }

    /// V.
    pub fn vocab_size(&self) -> usize {
        self.unembedding.outputs()
    }

    /// The bytes of weights that logits read.
    pub fn bytes(&self) -> usize {
        self.unembedding.bytes()
    }

    /// (n, H) -> (n, V).
    pub(super) fn logits(&self, states: &[f32], threads: &Threads) -> Vec<f32> {
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
