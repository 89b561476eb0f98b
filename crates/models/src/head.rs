//! The head: final norm, then unembedding. `softmax(head(h))` is a next-token distribution.

use tch::Tensor;

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::norm::Norm;

/// The names that families have for the embedding.
pub(crate) const EMBEDDINGS: [&str; 3] =
    ["model.embed_tokens.weight", "transformer.wte.weight", "gpt_neox.embed_in.weight"];

/// The name under which a checkpoint has its embedding. A tied matrix may be saved under the head's name alone
/// (`safetensors.torch.save_model` keeps one name of the two).
pub(crate) fn embedding_name<'a>(checkpoint: &Checkpoint, embedding: &'a str, tied: bool) -> &'a str {
    let only_head = tied && !checkpoint.has_tensor(embedding);
    checkpoint.unembedding().filter(|_| only_head).unwrap_or(embedding)
}

/// The name under which a checkpoint has its unembedding. Where there is a matrix of the head it is used, even if the
/// configuration says that it is tied: transformers then does not tie.
pub(crate) fn unembedding_name<'a>(
    checkpoint: &Checkpoint,
    embedding: &'a str,
    tied: bool,
) -> Result<&'a str, ModelError> {
    if let Some(own) = checkpoint.unembedding() {
        return Ok(own);
    }
    if tied {
        return Ok(embedding);
    }
    let names = checkpoint.config()["architectures"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = names.iter().filter_map(|name| name.as_str()).collect();
    let architectures = (!names.is_empty()).then(|| names.join(", "));
    Err(ModelError::NoHead { path: checkpoint.path().to_owned(), architectures })
}

/// A model's head, loaded without its blocks.
pub struct Head {
    /// The final norm.
    pub norm: Norm,
    /// E: logits = norm(h)·Eᵀ, (V, H).
    pub unembedding: Tensor,
    /// c of a soft-cap: logits l become c·tanh(l/c). The most likely token stays the same.
    pub soft_cap: Option<f64>,
}

impl Head {
    /// The same head; the tensors are shared, not copied. A clone can be sent to another thread.
    pub fn shallow_clone(&self) -> Self {
        let (norm, unembedding) = (self.norm.shallow_clone(), self.unembedding.shallow_clone());
        Self { norm, unembedding, soft_cap: self.soft_cap }
    }

    /// H.
    pub fn hidden_size(&self) -> usize {
        self.unembedding.size()[1] as usize
    }

    /// V.
    pub fn vocab_size(&self) -> usize {
        self.unembedding.size()[0] as usize
    }

    /// The logits of final hidden states: (N, H) -> (N, V).
    ///
    /// # Errors
    /// [`ModelError::Torch`] if `hidden` has another width.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, ModelError> {
        self.logits_of_normed(&self.norm.forward(hidden)?)
    }

    /// The logits of final hidden states that went through the norm: (N, H) -> (N, V).
    ///
    /// # Errors
    /// As [`Head::logits`].
    pub fn logits_of_normed(&self, normed: &Tensor) -> Result<Tensor, ModelError> {
        self.capped(normed.f_mm(&self.unembedding.f_transpose(0, 1)?)?)
    }

    /// Products with the unembedding, as logits.
    ///
    /// # Errors
    /// [`ModelError::Torch`] if libtorch refuses.
    pub fn capped(&self, products: Tensor) -> Result<Tensor, ModelError> {
        match self.soft_cap {
            Some(cap) => Ok(products.f_div_scalar(cap)?.f_tanh()?.f_mul_scalar(cap)?),
            None => Ok(products),
        }
    }
}
