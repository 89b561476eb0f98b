//! Causal self-attention over a pack, with grouped keys and values.

use tch::Tensor;

use crate::ModelError;
use crate::comparison::Comparison;
use crate::linear::Linear;
use crate::norm::Norm;
use crate::pack::Pack;
use crate::rotary::{Angles, rotate};

/// Self-attention with A heads of d values in G groups.
pub(crate) struct Attention {
    /// Queries, keys and values side by side: (H, (A + 2·G)·d).
    pub qkv_proj: Linear,
    /// (A·d, H).
    pub o_proj: Linear,
    /// Norms of queries and keys, where the model has them: over each head, or over all heads together. Their widths say
    /// which.
    pub query_key_norm: Option<(Norm, Norm)>,
    pub heads: i64,
    pub groups: i64,
    pub width: i64,
    /// How queries and keys are compared.
    pub comparison: Comparison,
}

/// (cos, sin) of the rotary angles for all tokens, and for the sampled tokens.
pub(crate) struct PackAngles {
    pub all: Angles,
    pub sampled: Angles,
}

impl Attention {
    /// (T, H) -> (T, H).
    pub fn forward(
        &self,
        x: &Tensor,
        pack: &Pack,
        angles: Option<&PackAngles>,
    ) -> Result<Tensor, ModelError> {
        let [query, key, value] = self.split(x, angles.map(|angles| &angles.all))?;
        self.o_proj.forward(&pack.causal_attention(&query, &key, &value, &self.comparison)?)
    }

    /// Queries (T, A, d), keys and values (T, G, d) of what enters, (T, H).
    pub fn split(&self, x: &Tensor, angles: Option<&Angles>) -> Result<[Tensor; 3], ModelError> {
        let (heads, groups, width) = (self.heads, self.groups, self.width);
        let tokens = x.size2()?.0;
        let qkv = self.qkv_proj.forward(x)?.f_view([tokens, heads + 2 * groups, width])?;
        let (query, key) = match (&self.query_key_norm, angles) {
            // Queries and keys are rotated together.
            (None, Some(angles)) => {
                let rotated = rotate(&qkv.f_narrow(1, 0, heads + groups)?, angles)?; // (T, A + G, d)
                (rotated.f_narrow(1, 0, heads)?, rotated.f_narrow(1, heads, groups)?)
            }
            _ => (
                self.query(&qkv.f_narrow(1, 0, heads)?, angles)?,
                self.key(&qkv.f_narrow(1, heads, groups)?, angles)?,
            ),
        };
        Ok([query, key, qkv.f_narrow(1, heads + groups, groups)?])
    }

    /// (T, H) -> (R, H): the same for the sampled tokens alone.
    pub fn forward_sampled(
        &self,
        x: &Tensor,
        pack: &Pack,
        angles: Option<&PackAngles>,
    ) -> Result<Tensor, ModelError> {
        let (heads, groups, width) = (self.heads, self.groups, self.width);
        let tokens = x.size2()?.0;
        let sampled = x.f_index_select(0, &pack.sorted_rows)?;
        let query = self.qkv_proj.forward_part(&sampled, 0, heads * width)?.f_view([-1, heads, width])?;
        let query = self.query(&query, angles.map(|angles| &angles.sampled))?;
        let key_value = self.qkv_proj.forward_part(x, heads * width, 2 * groups * width)?;
        let key_value = key_value.f_view([tokens, 2 * groups, width])?;
        let key = self.key(&key_value.f_narrow(1, 0, groups)?, angles.map(|angles| &angles.all))?;
        let value = key_value.f_narrow(1, groups, groups)?;
        self.o_proj.forward(&pack.sampled_attention(&query, &key, &value, &self.comparison)?)
    }

    fn query(&self, query: &Tensor, angles: Option<&Angles>) -> Result<Tensor, ModelError> {
        let normed = match &self.query_key_norm {
            Some((norm, _)) => normed(norm, query)?,
            None => query.shallow_clone(),
        };
        match angles {
            Some(angles) => rotate(&normed, angles),
            None => Ok(normed),
        }
    }

    fn key(&self, key: &Tensor, angles: Option<&Angles>) -> Result<Tensor, ModelError> {
        let normed = match &self.query_key_norm {
            Some((_, norm)) => normed(norm, key)?,
            None => key.shallow_clone(),
        };
        match angles {
            Some(angles) => rotate(&normed, angles),
            None => Ok(normed),
        }
    }

    pub fn shallow_clone(&self) -> Self {
        let norms = self.query_key_norm.as_ref();
        Self {
            qkv_proj: self.qkv_proj.shallow_clone(),
            o_proj: self.o_proj.shallow_clone(),
            query_key_norm: norms.map(|(query, key)| (query.shallow_clone(), key.shallow_clone())),
            heads: self.heads,
            groups: self.groups,
            width: self.width,
            comparison: self.comparison,
        }
    }
}

/// The heads `x` (T, A, d) through a norm of width d, or of width A·d.
fn normed(norm: &Norm, x: &Tensor) -> Result<Tensor, ModelError> {
    let ((tokens, heads, width), all) = (x.size3()?, norm.weight().size1()?);
    if all == width {
        return norm.forward(x);
    }
    Ok(norm.forward(&x.f_reshape([tokens, all])?)?.f_view([tokens, heads, width])?)
}
