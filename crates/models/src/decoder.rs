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
    /// What its rows are multiplied with, where they are.
    pub embedding_scale: Option<f64>,
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
    /// Queries and keys are rotated. Where kinds of blocks rotate differently there is one for each kind.
    Rotary(Vec<Rotary>),
}

/// Attention and feed-forward, each with its norms. What leaves the block is the residual stream, whatever the order.
pub(crate) struct Block {
    pub attention_norms: Norms,
    pub attention: Attention,
    pub mlp_norms: Norms,
    pub mlp: Mlp,
    /// Both parts read the stream that enters the block; otherwise the feed-forward part reads what attention has added.
    pub parallel: bool,
    /// Which of the model's rotary embeddings the block uses; none if it does not rotate.
    pub rotary: Option<usize>,
}

/// The norms around a part of a block: stream + after(part(before(stream))).
pub(crate) struct Norms {
    pub before: Option<Norm>,
    pub after: Option<Norm>,
}

/// The feed-forward part.
pub(crate) enum Mlp {
    /// down(silu(gate(x)) ⊙ up(x)), or with gelu in place of silu.
    Gated { gate_proj: Linear, gelu: Option<Gelu>, up_proj: Linear, down_proj: Linear },
    /// proj(gelu(fc(x))).
    Plain { fc: Linear, gelu: Gelu, proj: Linear },
}

/// x·Φ(x), with Φ the normal distribution function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gelu {
    /// As it is defined.
    Exact,
    /// GPT-2's approximation by tanh.
    Tanh,
}

impl Gelu {
    /// What Hugging Face calls an activation; none where it is another function. `gelu_fast` factors the same polynomial
    /// in another way.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "gelu" | "gelu_python" => Some(Self::Exact),
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Some(Self::Tanh),
            _ => None,
        }
    }

    fn forward(self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(x.f_gelu(match self {
            Self::Exact => "none",
            Self::Tanh => "tanh",
        })?)
    }
}

impl Norms {
    /// What enters the part is normalised.
    pub fn before(norm: Norm) -> Self {
        Self { before: Some(norm), after: None }
    }

    /// What leaves the part is normalised.
    pub fn after(norm: Norm) -> Self {
        Self { before: None, after: Some(norm) }
    }

    /// Both.
    pub fn around(before: Norm, after: Norm) -> Self {
        Self { before: Some(before), after: Some(after) }
    }

    /// What enters the part.
    pub fn entering(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        self.before.as_ref().map_or_else(|| Ok(x.shallow_clone()), |norm| norm.forward(x))
    }

    fn leaving(&self, x: Tensor) -> Result<Tensor, ModelError> {
        match &self.after {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }

    fn shallow_clone(&self) -> Self {
        let clone = |norm: &Option<Norm>| norm.as_ref().map(Norm::shallow_clone);
        Self { before: clone(&self.before), after: clone(&self.after) }
    }
}

impl Mlp {
    /// (T, H) -> (T, H).
    fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        match self {
            Self::Gated { gate_proj, gelu: None, up_proj, down_proj } => {
                Linear::gated(gate_proj, up_proj, down_proj, x)
            }
            Self::Gated { gate_proj, gelu: Some(gelu), up_proj, down_proj } => {
                let gate = gelu.forward(&gate_proj.forward(x)?)?;
                down_proj.forward(&gate.f_mul(&up_proj.forward(x)?)?)
            }
            Self::Plain { fc, gelu, proj } => proj.forward(&gelu.forward(&fc.forward(x)?)?),
        }
    }

    fn shallow_clone(&self) -> Self {
        match self {
            Self::Gated { gate_proj, gelu, up_proj, down_proj } => Self::Gated {
                gate_proj: gate_proj.shallow_clone(),
                gelu: *gelu,
                up_proj: up_proj.shallow_clone(),
                down_proj: down_proj.shallow_clone(),
            },
            Self::Plain { fc, gelu, proj } => {
                Self::Plain { fc: fc.shallow_clone(), gelu: *gelu, proj: proj.shallow_clone() }
            }
        }
    }
}

impl Block {
    /// (T, H) -> (T, H).
    pub fn forward(&self, x: &Tensor, pack: &Pack, angles: &[PackAngles]) -> Result<Tensor, ModelError> {
        let entering = self.attention_norms.entering(x)?;
        self.feed_forward(self.attention.forward(&entering, pack, self.angles(angles))?, x)
    }

    /// (T, H) -> (R, H): of the last block only the sampled rows are needed.
    pub fn forward_sampled(
        &self,
        x: &Tensor,
        pack: &Pack,
        angles: &[PackAngles],
    ) -> Result<Tensor, ModelError> {
        let entering = self.attention_norms.entering(x)?;
        let attended = self.attention.forward_sampled(&entering, pack, self.angles(angles))?;
        self.feed_forward(attended, &x.f_index_select(0, &pack.sorted_rows)?)
    }

    /// The bytes of its weights.
    pub fn bytes(&self) -> usize {
        let Attention { qkv_proj, o_proj, .. } = &self.attention;
        let mlp = match &self.mlp {
            Mlp::Gated { gate_proj, up_proj, down_proj, .. } => vec![gate_proj, up_proj, down_proj],
            Mlp::Plain { fc, proj, .. } => vec![fc, proj],
        };
        mlp.into_iter().chain([qkv_proj, o_proj]).map(Linear::bytes).sum()
    }

    fn angles<'a>(&self, angles: &'a [PackAngles]) -> Option<&'a PackAngles> {
        angles.get(self.rotary?)
    }

    /// The rest of the block, from what attention makes of the stream `x` and from `x` itself.
    pub fn feed_forward(&self, attended: Tensor, x: &Tensor) -> Result<Tensor, ModelError> {
        let attended = self.attention_norms.leaving(attended)?.f_add(x)?;
        let read = if self.parallel { x } else { &attended };
        let added = self.mlp.forward(&self.mlp_norms.entering(read)?)?;
        Ok(self.mlp_norms.leaving(added)?.f_add(&attended)?)
    }

    fn shallow_clone(&self) -> Self {
        Self {
            attention_norms: self.attention_norms.shallow_clone(),
            attention: self.attention.shallow_clone(),
            mlp_norms: self.mlp_norms.shallow_clone(),
            mlp: self.mlp.shallow_clone(),
            parallel: self.parallel,
            rotary: self.rotary,
        }
    }
}

impl Decoder {
    /// What enters the first block: tokens (T) at positions (T) -> (T, H).
    pub fn embed(&self, tokens: &Tensor, positions: &Tensor) -> Result<Tensor, ModelError> {
        let mut stream = self.embedding.f_index_select(0, tokens)?;
        if let Some(scale) = self.embedding_scale {
            // In the model's own type, as Hugging Face rounds it.
            let scale = Tensor::f_from_slice(&[scale])?.f_to_kind(stream.kind())?;
            stream = stream.f_mul(&scale.f_to_device(stream.device())?)?;
        }
        match &self.positions {
            Positions::Learned(table) => Ok(stream.f_add(&table.f_index_select(0, positions)?)?),
            Positions::Rotary(_) => Ok(stream),
        }
    }

    /// The same model; the weights are shared, not copied.
    pub fn shallow_clone(&self) -> Self {
        Self {
            dimensions: self.dimensions,
            embedding: self.embedding.shallow_clone(),
            embedding_scale: self.embedding_scale,
            positions: match &self.positions {
                Positions::Learned(table) => Positions::Learned(table.shallow_clone()),
                Positions::Rotary(rotary) => Positions::Rotary(rotary.clone()),
            },
            blocks: self.blocks.iter().map(Block::shallow_clone).collect(),
        }
    }
}
