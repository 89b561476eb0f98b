//! A model's head, prepared for many maps.

use std::sync::{Arc, Mutex, PoisonError};

use onejump_models::head::Head;
use onejump_simd::Panels;
use onejump_tensor::rows::values;
use tch::Tensor;

use crate::ExitError;

/// A model's head, whose unembedding is laid out for products once, when something needs all of it.
pub struct SharedHead {
    head: Head,
    unembedding: Arc<Mutex<Option<Arc<Panels>>>>,
}

impl SharedHead {
    /// Nothing is laid out yet.
    pub fn new(head: &Head) -> Self {
        Self { head: head.shallow_clone(), unembedding: Arc::default() }
    }

    /// The same; everything is shared. A clone can be sent to another thread.
    pub fn shallow_clone(&self) -> Self {
        Self { head: self.head.shallow_clone(), unembedding: Arc::clone(&self.unembedding) }
    }

    /// The head itself.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Eᵀ (H, V).
    pub(crate) fn unembedding(&self) -> Result<Arc<Panels>, ExitError> {
        let mut unembedding = self.unembedding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(panels) = &*unembedding {
            return Ok(Arc::clone(panels));
        }
        let (hidden_size, vocab_size) = (self.head.hidden_size(), self.head.vocab_size());
        let panels = Panels::fill(hidden_size, vocab_size, None, |start, count| {
            values(&self.head.unembedding.f_narrow(0, start as i64, count as i64)?.f_transpose(0, 1)?)
        })?;
        Ok(Arc::clone(unembedding.insert(Arc::new(panels))))
    }

    /// P (r, V), with the constant of the norm's bias, for the B (r, H) of a map.
    pub(crate) fn projected(&self, b: &Tensor) -> Result<Panels, ExitError> {
        let norm = &self.head.norm;
        let gained = values(&norm.centred(b)?.f_mul(norm.weight())?)?;
        let constant = match norm.bias() {
            Some(bias) => Some(values(&self.head.unembedding.f_mv(bias)?)?),
            None => None,
        };
        Ok(self.unembedding()?.projected(&gained, constant.as_deref()))
    }
}
