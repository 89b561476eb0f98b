//! How the queries of a block compare with its keys: scaled dot products, softly capped in some families.

use tch::{Kind, Tensor};

use crate::ModelError;

/// How many values a mask has, about, at most. libtorch makes an f32 of each.
pub(crate) const MASK_VALUES: i64 = 1 << 22;

/// How the queries of a block compare with its keys.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Comparison {
    /// A token attends to itself and the `window` − 1 tokens before it; to all without.
    pub window: Option<i64>,
    /// What products of queries and keys are multiplied with, where it is not 1/√d.
    pub scale: Option<f64>,
    /// c of a soft-cap: the scaled products s become c·tanh(s/c).
    pub soft_cap: Option<f64>,
}

impl Comparison {
    /// The means of the values (n, A, L, d) under the softmax of what queries and keys make together.
    pub fn attend(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        mask: Option<Tensor>,
        causal: bool,
    ) -> Result<Tensor, ModelError> {
        let Some(cap) = self.soft_cap else {
            return Ok(Tensor::f_scaled_dot_product_attention::<Tensor>(
                query, key, value, mask, 0.0, causal, self.scale, false,
            )?);
        };
        let scale = self.scale.unwrap_or(1.0 / (query.size()[3] as f64).sqrt());
        let products = query.f_matmul(&key.f_transpose(2, 3)?)?.f_mul_scalar_(scale / cap)?;
        let mut capped = products.f_tanh()?.f_mul_scalar_(cap)?;
        if let Some(mask) = mask {
            capped = capped.f_masked_fill(&mask.f_logical_not()?, f64::NEG_INFINITY)?;
        }
        let weights = capped.f_softmax(-1, Kind::Float)?.f_to_kind(value.kind())?;
        Ok(weights.f_matmul(value)?)
    }
}
