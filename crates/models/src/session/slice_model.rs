//! A model as slices of f32 and narrow weights.

use std::sync::Arc;

use onejump_simd::{Activation, Format, Weights};
use onejump_tensor::rows::values;

use super::block::{Attention, Block, Mlp, Norms};
use super::norm::Norm;
use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::decoder::{self, Decoder, Dimensions, Gelu};
use crate::device::{Batch, Place};
use crate::linear::{Few, Linear, kept};
use crate::rotary::Rotary;

/// A model without its head.
pub(super) struct SliceModel {
    pub dimensions: Dimensions,
    pub blocks: Vec<Block>,
    /// Of the weights that a token reads in the blocks.
    pub bytes: usize,
    /// (V, H).
    pub embedding: Arc<Weights>,
    embedding_scale: Option<f32>,
    positions: Positions,
    /// What weights were rounded to.
    pub format: Option<Format>,
}

enum Positions {
    /// (positions, H).
    Learned(Vec<f32>),
    Rotary(Vec<Rotary>),
}

impl SliceModel {
    /// Loads the blocks and the embedding of a checkpoint, with every matrix rounded to a format, or without one in the
    /// narrowest form that holds it exactly.
    pub fn load(checkpoint: &mut Checkpoint, format: Option<Format>) -> Result<Self, ModelError> {
        let place = Place { batch: Batch::Few(format), ..Place::DECODING };
        let Decoder { dimensions, embedding, embedding_scale, positions, blocks } =
            Decoder::load(checkpoint, place)?;
        let positions = match positions {
            decoder::Positions::Learned(table) => Positions::Learned(values(&table)?),
            decoder::Positions::Rotary(kinds) => Positions::Rotary(kinds),
        };
        let bytes = blocks.iter().map(decoder::Block::bytes).sum();
        let blocks = blocks.into_iter().map(block).collect::<Result<_, _>>()?;
        let embedding_scale = embedding_scale.map(|scale| scale as f32);
        let embedding = kept(&embedding, format)?;
        Ok(Self { dimensions, embedding, embedding_scale, positions, blocks, bytes, format })
    }

    /// H.
    pub fn hidden_size(&self) -> usize {
        self.dimensions.hidden_size as usize
    }

    /// Writes what enters the first block, (H).
    pub fn embed(&self, token: usize, position: usize, state: &mut [f32]) {
        self.embedding.copy_row(token, state);
        if let Some(scale) = self.embedding_scale {
            state.iter_mut().for_each(|value| *value *= scale);
        }
        if let Positions::Learned(table) = &self.positions {
            let vector = &table[position * state.len()..][..state.len()];
            state.iter_mut().zip(vector).for_each(|(value, added)| *value += added);
        }
    }

    /// The frequencies of each kind of rotary embedding in a text of some length, and what multiplies cosines and
    /// sines.
    pub fn waves(&self, length: usize) -> impl Iterator<Item = (&[f32], f64)> {
        let kinds = match &self.positions {
            Positions::Learned(_) => &[][..],
            Positions::Rotary(kinds) => kinds,
        };
        kinds.iter().map(move |rotary| rotary.waves(length as i64))
    }
}

fn block(block: decoder::Block) -> Result<Block, ModelError> {
    let attention = block.attention;
    let query_key_norms = match &attention.query_key_norm {
        Some((query, key)) => Some((Norm::new(query)?, Norm::new(key)?)),
        None => None,
    };
    let attention = Attention {
        qkv_proj: few(attention.qkv_proj)?,
        o_proj: few(attention.o_proj)?,
        query_key_norms,
        heads: attention.heads as usize,
        groups: attention.groups as usize,
        width: attention.width as usize,
        window: attention.comparison.window.map(|window| window as usize),
        scale: attention.comparison.scale.unwrap_or(1.0 / (attention.width as f64).sqrt()) as f32,
        soft_cap: attention.comparison.soft_cap.map(|cap| cap as f32),
    };
    let mlp = match block.mlp {
        decoder::Mlp::Gated { gate_proj, gelu, up_proj, down_proj } => Mlp::Gated {
            gate_proj: few(gate_proj)?,
            activation: gelu.map_or(Activation::Silu, activation),
            up_proj: few(up_proj)?,
            down_proj: few(down_proj)?,
        },
        decoder::Mlp::Plain { fc, gelu, proj } => {
            Mlp::Plain { fc: few(fc)?, activation: activation(gelu), proj: few(proj)? }
        }
    };
    Ok(Block {
        attention_norms: norms(&block.attention_norms)?,
        attention,
        mlp_norms: norms(&block.mlp_norms)?,
        mlp,
        parallel: block.parallel,
        rotary: block.rotary,
    })
}

fn activation(gelu: Gelu) -> Activation {
    match gelu {
        Gelu::Exact => Activation::Gelu,
        Gelu::Tanh => Activation::GeluTanh,
    }
}

fn norms(norms: &decoder::Norms) -> Result<Norms, ModelError> {
    let norm = |norm: &Option<crate::norm::Norm>| norm.as_ref().map(Norm::new).transpose();
    Ok(Norms { before: norm(&norms.before)?, after: norm(&norms.after)? })
}

/// The layer as it was loaded for a few rows.
fn few(linear: Linear) -> Result<Few, ModelError> {
    match linear {
        Linear::Few(few) => Ok(few),
        Linear::Tensors { .. } => unreachable!("a place for decoding has no tensors"),
        Linear::Panels(_) => unreachable!("a place for decoding has no panels"),
    }
}
