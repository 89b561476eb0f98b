//! Sequences of several lengths as one tensor without padding.
//!
//! Everything but attention works on tokens one by one, so a batch is simply all its tokens, one
//! sequence after another. Sequences of equal length lie side by side and attend together.

use onejump_tensor::transfer::to_device;
use tch::{Device, Kind, Tensor};

use crate::ModelError;
use crate::bands::{Bands, Run};

/// A batch of sequences: T tokens in all, sorted by length.
pub(crate) struct Pack {
    /// Token ids, (T) int64.
    pub tokens: Tensor,
    /// Each token's position in its sequence, (T) int64.
    pub positions: Tensor,
    /// The row of each sequence's last token, (N) int64, in sorted order.
    pub last_rows: Tensor,
    /// For each sequence as it was given, its place in sorted order, (N) int64.
    pub restore: Tensor,
    /// The row of the last token of each sequence as it was given, (N) int64.
    pub sampled_rows: Tensor,
    /// Sequences of equal length, in sorted order.
    pub runs: Vec<Run>,
    /// Sequences of similar lengths that attend together, where they do.
    pub bands: Option<Bands>,
}

/// What the queries of a run attend to.
struct Scope {
    /// The first token of the sequence that is seen at all.
    first_key: i64,
    /// Each query sees the keys up to itself.
    causal: bool,
    /// Which keys each query sees, (L, L); all if there is none.
    mask: Option<Tensor>,
}

impl Pack {
    /// Packs sequences, none of them empty; `padded` where similar lengths attend together.
    pub fn new(sequences: &[&[i64]], device: Device, padded: bool) -> Result<Self, ModelError> {
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        order.sort_by_key(|&index| sequences[index].len());
        let mut tokens = Vec::new();
        let mut positions = Vec::new();
        let mut last_rows = Vec::new();
        let mut restore = vec![0; sequences.len()];
        let mut runs: Vec<Run> = Vec::new();
        for (place, &index) in order.iter().enumerate() {
            let sequence = sequences[index];
            let length = sequence.len() as i64;
            match runs.last_mut() {
                Some(run) if run.length == length => run.sequences += 1,
                _ => runs.push(Run { start: tokens.len() as i64, first: place as i64, sequences: 1, length }),
            }
            tokens.extend_from_slice(sequence);
            positions.extend(0..length);
            last_rows.push(tokens.len() as i64 - 1);
            restore[index] = place as i64;
        }
        let tensor = |values: &[i64]| to_device(&Tensor::f_from_slice(values)?, device);
        let (last_rows, restore) = (tensor(&last_rows)?, tensor(&restore)?);
        Ok(Self {
            tokens: tensor(&tokens)?,
            positions: tensor(&positions)?,
            sampled_rows: last_rows.f_index_select(0, &restore)?,
            last_rows,
            restore,
            bands: if padded { Some(Bands::of(&runs, device)?) } else { None },
            runs,
        })
    }

    /// Attention of every token over the tokens of its sequence up to itself.
    ///
    /// `query` (T, A, d), `key` and `value` (T, G, d) with A heads in G groups; returns (T, A·d).
    /// With a window, of each token over itself and the `window` − 1 tokens before it.
    pub fn causal_attention(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        window: Option<i64>,
    ) -> Result<Tensor, ModelError> {
        if let Some(bands) = self.bands.as_ref().filter(|bands| bands.fit(window)) {
            return bands.causal_attention(query, key, value);
        }
        let scope = |run: &Run| {
            let Some(window) = window.filter(|&window| window < run.length) else {
                return Ok(Scope { first_key: 0, causal: true, mask: None });
            };
            // Key j is seen by query i if i − window < j ≤ i.
            let ones = Tensor::f_ones([run.length, run.length], (Kind::Bool, query.device()))?;
            let mask = ones.f_tril(0)?.f_triu(1 - window)?;
            Ok(Scope { first_key: 0, causal: false, mask: Some(mask) })
        };
        self.attend(query, key, value, |run| (run.start, run.length), scope)
    }

    /// Attention of the last token of each sequence over the whole sequence.
    ///
    /// `query` (N, A, d) in sorted order, `key` and `value` (T, G, d); returns (N, A·d).
    /// With a window, over its last `window` tokens.
    pub fn last_attention(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        window: Option<i64>,
    ) -> Result<Tensor, ModelError> {
        if let Some(bands) = self.bands.as_ref().filter(|bands| bands.fit(window)) {
            return bands.last_attention(query, key, value);
        }
        self.attend(
            query,
            key,
            value,
            |run| (run.first, 1),
            |run| {
                let first_key = window.map_or(0, |window| (run.length - window).max(0));
                Ok(Scope { first_key, causal: false, mask: None })
            },
        )
    }

    /// The length of each token's sequence, (T) int64.
    pub fn lengths(&self) -> Result<Tensor, ModelError> {
        let lengths: Vec<i64> = self
            .runs
            .iter()
            .flat_map(|run| std::iter::repeat_n(run.length, (run.sequences * run.length) as usize))
            .collect();
        Ok(to_device(&Tensor::f_from_slice(&lengths)?, self.tokens.device())?)
    }

    fn attend(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        query_rows: impl Fn(&Run) -> (i64, i64),
        scope: impl Fn(&Run) -> Result<Scope, ModelError>,
    ) -> Result<Tensor, ModelError> {
        let (_, heads, width) = query.size3()?;
        let (_, groups, _) = key.size3()?;
        let output = Tensor::f_empty([query.size()[0], heads * width], (query.kind(), query.device()))?;
        for run in &self.runs {
            let (start, queries) = query_rows(run);
            // (n·L, heads, d) -> (n, heads, L, d)
            let split = |tensor: &Tensor, start, length, heads| {
                tensor
                    .f_narrow(0, start, run.sequences * length)?
                    .f_view([run.sequences, length, heads, width])?
                    .f_transpose(1, 2)
            };
            let query = split(query, start, queries, heads)?;
            let Scope { first_key, causal, mask } = scope(run)?;
            let keys = run.length - first_key;
            // Each group's keys and values serve heads / groups heads: (n, G, L, d) -> (n, A, L, d).
            let shared = |tensor: &Tensor| {
                let tensor = split(tensor, run.start, run.length, groups)?.f_narrow(2, first_key, keys)?;
                if groups == heads {
                    return Ok(tensor);
                }
                tensor
                    .f_unsqueeze(2)?
                    .f_expand([run.sequences, groups, heads / groups, keys, width], false)?
                    .f_reshape([run.sequences, heads, keys, width])
            };
            let attended = Tensor::f_scaled_dot_product_attention::<Tensor>(
                &query,
                &shared(key)?,
                &shared(value)?,
                mask,
                0.0,
                causal,
                None,
                false,
            )?;
            // (n, A, L, d) -> (n·L, A·d)
            let rows = attended.f_transpose(1, 2)?.f_reshape([run.sequences * queries, heads * width])?;
            output.f_narrow(0, start, run.sequences * queries)?.f_copy_(&rows)?;
        }
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lengths_lie_side_by_side() {
        let pack = Pack::new(&[&[1, 2], &[3], &[4, 5], &[6]], Device::Cpu, false).unwrap();
        let values = |tensor: &Tensor| Vec::<i64>::try_from(tensor).unwrap();
        assert_eq!(values(&pack.tokens), [3, 6, 1, 2, 4, 5]);
        assert_eq!(values(&pack.positions), [0, 0, 0, 1, 0, 1]);
        assert_eq!(values(&pack.last_rows), [0, 1, 3, 5]);
        assert_eq!(values(&pack.restore), [2, 0, 3, 1]);
        assert_eq!(values(&pack.sampled_rows), [3, 0, 5, 1]);
        let run = |start, first, sequences, length| Run { start, first, sequences, length };
        assert_eq!(pack.runs, [run(0, 0, 2, 1), run(2, 2, 2, 2)]);
    }
}
