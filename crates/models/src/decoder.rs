//! What the known architectures have in common: blocks of attention and feed-forward around a residual
//! stream. A family's file loads the parts; here is what a block computes.

use tch::Tensor;

use crate::ModelError;
use crate::attention::{Attention, PackAngles};
use crate::linear::Linear;
use crate::norm::Norm;
use crate::pack::Pack;
use crate::rotary::Rotary;

/// A model without its head.
pub(crate) struct Decoder {
    pub dimensions: Dimensions,
    /// (V, H).
    pub embedding: Tensor,
    pub positions: Positions,
    pub blocks: Vec<Block>,
}

/// The sizes of a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dimensions {
    /// V.
    pub vocab_size: i64,
    /// H.
    pub hidden_size: i64,
    /// K.
    pub blocks: usize,
    /// The longest sequence.
    pub context: i64,
}

/// How the model knows where a token stands.
pub(crate) enum Positions {
    /// A learned vector per position is added to the embedding, (positions, H).
    Learned(Tensor),
    /// Queries and keys are rotated.
    Rotary(Rotary),
}

pub(crate) struct Block {
    pub attention_norm: Norm,
    pub attention: Attention,
    pub mlp_norm: Norm,
    pub mlp: Mlp,
}

/// The feed-forward part.
pub(crate) enum Mlp {
    /// down(silu(gate(x)) ⊙ up(x)).
    Gated { gate_proj: Linear, up_proj: Linear, down_proj: Linear },
    /// proj(gelu(fc(x))), with GPT-2's approximation of gelu by tanh.
    Plain { fc: Linear, proj: Linear },
}

impl Mlp {
    /// (T, H) -> (T, H).
    fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        match self {
            Self::Gated { gate_proj, up_proj, down_proj } => Linear::gated(gate_proj, up_proj, down_proj, x),
            Self::Plain { fc, proj } => proj.forward(&fc.forward(x)?.f_gelu("tanh")?),
        }
    }

    fn shallow_clone(&self) -> Self {
        match self {
            Self::Gated { gate_proj, up_proj, down_proj } => Self::Gated {
                gate_proj: gate_proj.shallow_clone(),
                up_proj: up_proj.shallow_clone(),
                down_proj: down_proj.shallow_clone(),
            },
            Self::Plain { fc, proj } => Self::Plain { fc: fc.shallow_clone(), proj: proj.shallow_clone() },
        }
    }
}

impl Block {
    /// (T, H) -> (T, H).
    pub fn forward(
        &self,
        x: &Tensor,
        pack: &Pack,
        angles: Option<&PackAngles>,
    ) -> Result<Tensor, ModelError> {
        let attended = self.attention.forward(&self.attention_norm.forward(x)?, pack, angles)?;
        self.feed_forward(attended.f_add(x)?)
    }

    /// (T, H) -> (N, H): of the last block only the sampled rows are needed.
    pub fn forward_last(
        &self,
        x: &Tensor,
        pack: &Pack,
        angles: Option<&PackAngles>,
    ) -> Result<Tensor, ModelError> {
        let attended = self.attention.forward_last(&self.attention_norm.forward(x)?, pack, angles)?;
        self.feed_forward(attended.f_add(&x.f_index_select(0, &pack.last_rows)?)?)
    }

    fn feed_forward(&self, x: Tensor) -> Result<Tensor, ModelError> {
        let added = self.mlp.forward(&self.mlp_norm.forward(&x)?)?;
        Ok(added.f_add(&x)?)
    }

    fn shallow_clone(&self) -> Self {
        Self {
            attention_norm: self.attention_norm.shallow_clone(),
            attention: self.attention.shallow_clone(),
            mlp_norm: self.mlp_norm.shallow_clone(),
            mlp: self.mlp.shallow_clone(),
        }
    }
}

impl Decoder {
    /// The same model; the weights are shared, not copied.
    pub fn shallow_clone(&self) -> Self {
        Self {
            dimensions: self.dimensions,
            embedding: self.embedding.shallow_clone(),
            positions: match &self.positions {
                Positions::Learned(table) => Positions::Learned(table.shallow_clone()),
                Positions::Rotary(rotary) => Positions::Rotary(rotary.clone()),
            },
            blocks: self.blocks.iter().map(Block::shallow_clone).collect(),
        }
    }
}
