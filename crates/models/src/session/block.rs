//! What a block computes for a few rows.

use std::ops::Range;

use onejump_simd::{Activation, Attend};

use super::angles::Angles;
use super::norm::Norm;
use super::rows::Rows;
use super::threads::Threads;
use crate::linear::Few;

/// The parts of a block, as `decoder.rs` has them.
pub(super) struct Block {
    pub attention_norms: Norms,
    pub attention: Attention,
    pub mlp_norms: Norms,
    pub mlp: Mlp,
    pub parallel: bool,
    pub rotary: Option<usize>,
}

/// The norms around a part: stream + after(part(before(stream))).
pub(super) struct Norms {
    pub before: Option<Norm>,
    pub after: Option<Norm>,
}

/// Self-attention with A heads of d values in G groups.
pub(super) struct Attention {
    /// (H, (A + 2·G)·d).
    pub qkv_proj: Few,
    /// (A·d, H).
    pub o_proj: Few,
    pub query_key_norms: Option<(Norm, Norm)>,
    pub heads: usize,
    pub groups: usize,
    pub width: usize,
    pub window: Option<usize>,
    /// What multiplies the products of queries and keys.
    pub scale: f32,
    /// c of their soft-cap.
    pub soft_cap: Option<f32>,
}

/// The feed-forward part.
pub(super) enum Mlp {
    /// down(activation(gate(x)) ⊙ up(x)).
    Gated { gate_proj: Few, activation: Activation, up_proj: Few, down_proj: Few },
    /// proj(activation(fc(x))).
    Plain { fc: Few, activation: Activation, proj: Few },
}

/// Tokens that stand before a block, and what it keeps of all tokens.
pub(super) struct Stream<'a> {
    pub rows: &'a Rows,
    /// Their residual stream, (n, H).
    pub states: &'a mut [f32],
    /// The block's keys, (positions, G·d).
    pub keys: &'a mut [f32],
    /// And values.
    pub values: &'a mut [f32],
}

impl Block {
    /// How many values a token's keys have together.
    pub fn key_width(&self) -> usize {
        self.attention.groups * self.attention.width
    }

    /// Keeps the keys and values of tokens, whose states stay as they are.
    pub fn keep(&self, stream: Stream<'_>, angles: Option<&Angles>, threads: &Threads) {
        let Stream { rows, states, keys, values } = stream;
        let entering = self.attention_norms.entering(states);
        self.attention.remember(&entering, rows, keys, values, angles, threads);
    }

    /// Brings tokens through the block.
    pub fn run(&self, stream: Stream<'_>, angles: Option<&Angles>, threads: &Threads) {
        let Stream { rows, states, keys, values } = stream;
        let parallel = self.parallel.then(|| states.to_vec());
        let entering = self.attention_norms.entering(states);
        let query = self.attention.remember(&entering, rows, keys, values, angles, threads);
        let attended = self.attention.attend(&query, rows, keys, values, threads);
        let count = rows.places.len();
        let added = linear(&self.attention.o_proj, &attended, count, threads);
        self.attention_norms.add(added, states);
        let entering = self.mlp_norms.entering(parallel.as_deref().unwrap_or(states));
        self.mlp_norms.add(self.mlp.forward(&entering, count, threads), states);
    }
}

impl Norms {
    fn entering(&self, states: &[f32]) -> Vec<f32> {
        let mut entering = states.to_vec();
        if let Some(norm) = &self.before {
            norm.apply(&mut entering);
        }
        entering
    }

    /// Adds what leaves a part to the stream.
    fn add(&self, mut leaving: Vec<f32>, states: &mut [f32]) {
        if let Some(norm) = &self.after {
            norm.apply(&mut leaving);
        }
        states.iter_mut().zip(leaving).for_each(|(state, added)| *state += added);
    }
}

impl Attention {
    /// Keeps the keys and values of tokens (n, H); returns their queries, (n, A·d).
    fn remember(
        &self,
        x: &[f32],
        rows: &Rows,
        keys: &mut [f32],
        values: &mut [f32],
        angles: Option<&Angles>,
        threads: &Threads,
    ) -> Vec<f32> {
        let (query_width, key_width) = (self.heads * self.width, self.groups * self.width);
        let count = rows.places.len();
        let mut qkv = linear(&self.qkv_proj, x, count, threads);
        let mut queries = Vec::with_capacity(count * query_width);
        for (place, row) in rows.places.clone().zip(qkv.chunks_exact_mut(query_width + 2 * key_width)) {
            let (query, key_value) = row.split_at_mut(query_width);
            let (key, value) = key_value.split_at_mut(key_width);
            if let Some((query_norm, key_norm)) = &self.query_key_norms {
                query_norm.apply(query);
                key_norm.apply(key);
            }
            if let Some(angles) = angles {
                let heads = query.chunks_exact_mut(self.width).chain(key.chunks_exact_mut(self.width));
                heads.for_each(|head| angles.rotate(rows.position(place), head));
            }
            queries.extend_from_slice(query);
            keys[place * key_width..][..key_width].copy_from_slice(key);
            values[place * key_width..][..key_width].copy_from_slice(value);
        }
        queries
    }

    /// Attention of tokens over those up to themselves: queries (n, A·d) -> (n, A·d).
    fn attend(
        &self,
        queries: &[f32],
        rows: &Rows,
        keys: &mut [f32],
        values: &mut [f32],
        threads: &Threads,
    ) -> Vec<f32> {
        let (width, key_width) = (self.heads * self.width, self.groups * self.width);
        let (start, in_order, mut attended) = (rows.places.start, rows.in_order(), vec![0.0; queries.len()]);
        let (ahead, beside) = attended.split_at_mut(in_order * width);
        self.attend_in_order(&queries[..ahead.len()], start, keys, values, ahead, threads);
        let queries = queries[in_order * width..].chunks_exact(width);
        for (place, (query, attended)) in
            (start + in_order..).zip(queries.zip(beside.chunks_exact_mut(width)))
        {
            // A sibling takes the first one's place while it attends: then what it sees lies side by side.
            let first = rows.position(place);
            for kept in [&mut *keys, &mut *values] {
                swap(kept, first, place, key_width);
            }
            self.attend_in_order(query, first, keys, values, attended, threads);
            for kept in [&mut *keys, &mut *values] {
                swap(kept, first, place, key_width);
            }
        }
        attended
    }

    /// The same where each token stands where it is kept.
    fn attend_in_order(
        &self,
        queries: &[f32],
        start: usize,
        keys: &[f32],
        values: &[f32],
        attended: &mut [f32],
        threads: &Threads,
    ) {
        let rows = queries.len() / (self.heads * self.width);
        if rows == 0 {
            return;
        }
        let stride = self.groups * self.width;
        let (scale, soft_cap) = (self.scale, self.soft_cap);
        let longest = self.seen(start + rows - 1).len();
        threads.pieces(attended, self.width, queries.len() * longest, |index, output, scores| {
            let (row, head) = (index / self.heads, index % self.heads);
            // Tokens that are seen, from this group's part of the first to that of the last.
            let seen = self.seen(start + row);
            let group = head / (self.heads / self.groups) * self.width;
            let part = seen.start * stride + group..(seen.end - 1) * stride + group + self.width;
            let query = &queries[index * self.width..][..self.width];
            let (keys, values) = (&keys[part.clone()], &values[part]);
            let attend = Attend { query, keys, values, stride, scale, soft_cap };
            attend.into(scores, output);
        });
    }

    /// The tokens that the one at a position sees.
    fn seen(&self, position: usize) -> Range<usize> {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))..position + 1
    }
}

/// Swaps two rows of some width.
fn swap(rows: &mut [f32], first: usize, second: usize, width: usize) {
    let (before, behind) = rows.split_at_mut(second * width);
    before[first * width..][..width].swap_with_slice(&mut behind[..width]);
}

impl Mlp {
    /// (n, H) -> (n, H).
    fn forward(&self, x: &[f32], rows: usize, threads: &Threads) -> Vec<f32> {
        match self {
            Self::Gated { gate_proj, activation, up_proj, down_proj } => {
                let gated = threads.outputs(gate_proj.weights.outputs(), rows, |outputs, gates| {
                    gate_proj.multiply(x, outputs.clone(), gates);
                    activation.apply(gates);
                    let mut ups = vec![0.0; gates.len()];
                    up_proj.multiply(x, outputs, &mut ups);
                    gates.iter_mut().zip(ups).for_each(|(gate, up)| *gate *= up);
                });
                linear(down_proj, &gated, rows, threads)
            }
            Self::Plain { fc, activation, proj } => {
                let inner = threads.outputs(fc.weights.outputs(), rows, |outputs, values| {
                    fc.multiply(x, outputs, values);
                    activation.apply(values);
                });
                linear(proj, &inner, rows, threads)
            }
        }
    }
}

/// (n, in) -> (n, out).
pub(super) fn linear(layer: &Few, x: &[f32], rows: usize, threads: &Threads) -> Vec<f32> {
    threads.outputs(layer.weights.outputs(), rows, |outputs, products| layer.multiply(x, outputs, products))
}
