//! Sequences of several lengths as one tensor without padding.
//!
//! Everything but attention works on tokens one by one, so a batch is simply all its tokens, one
//! sequence after another. Sequences of equal length lie side by side and attend together.

use onejump_tensor::transfer::to_device;
use tch::{Device, Kind, Tensor};

use crate::ModelError;
use crate::bands::{Bands, Run};
use crate::comparison::{Comparison, MASK_VALUES};
use crate::picks::Picks;
use crate::sampled::Sampled;

/// A batch of sequences: T tokens in all, sorted by length.
pub(crate) struct Pack {
    /// Token ids, (T) int64.
    pub tokens: Tensor,
    /// Each token's position in its sequence, (T) int64.
    pub positions: Tensor,
    /// The rows of the R sampled tokens, (R) int64, in sorted order: sequence by sequence, by position in each.
    pub sorted_rows: Tensor,
    /// For each sampled token as the sequences were given, its place in sorted order, (R) int64.
    pub restore: Tensor,
    /// The row of each sampled token as the sequences were given, (R) int64.
    pub sampled_rows: Tensor,
    /// Sequences of equal length, in sorted order.
    pub runs: Vec<Run>,
    /// Sequences of similar lengths that attend together, where they do.
    pub bands: Option<Bands>,
    /// Where sampled tokens stand; none where each is the last one of its sequence.
    picks: Option<Picks>,
}

/// How many queries with a mask attend together at most: enough for efficient products, few beside the keys that
/// they see with the usual windows of some thousand tokens.
const WINDOW_QUERIES: i64 = 512;

/// Some queries of each sequence in a run, and the keys that they attend to.
struct Scope {
    /// The first of the queries.
    first_query: i64,
    /// How many.
    queries: i64,
    /// The first token of the sequence that any of them sees.
    first_key: i64,
    /// How many keys there are from it on.
    keys: i64,
    /// Each query sees the keys up to itself: queries and keys are of the same tokens.
    causal: bool,
    /// Which keys each query sees, (queries, keys); all if there is none.
    mask: Option<Tensor>,
}

impl Scope {
    /// The first `length` tokens, each of which sees all tokens up to itself: at once where libtorch's own attention takes
    /// them, else in blocks of queries, with a mask each.
    fn causal(length: i64, at_once: bool, device: Device) -> Result<Vec<Self>, ModelError> {
        if at_once {
            let (queries, keys) = (length, length);
            return Ok(vec![Self { first_query: 0, queries, first_key: 0, keys, causal: true, mask: None }]);
        }
        let most = (MASK_VALUES / length.max(1)).clamp(1, WINDOW_QUERIES);
        let block = |first_query: i64| {
            let queries = most.min(length - first_query);
            let keys = first_query + queries;
            let ones = Tensor::f_ones([queries, keys], (Kind::Bool, device))?;
            let mask = Some(ones.f_tril(first_query)?);
            Ok(Self { first_query, queries, first_key: 0, keys, causal: false, mask })
        };
        (0..length).step_by(most as usize).map(block).collect()
    }

    /// A whole sequence of which each token sees itself and the `window` − 1 tokens before it. No more keys are looked
    /// at than the window needs: the memory grows with the sequence's length, not with its square.
    fn with_window(length: i64, window: i64, at_once: bool, device: Device) -> Result<Vec<Self>, ModelError> {
        let mut scopes = Self::causal(window, at_once, device)?;
        let most = (MASK_VALUES / window.max(1)).clamp(1, WINDOW_QUERIES).min(length - window);
        // Of the keys from the first query's oldest on, query i sees those from i to i + window − 1.
        let ones = Tensor::f_ones([most, most + window - 1], (Kind::Bool, device))?;
        let band = ones.f_triu(0)?.f_tril(window - 1)?;
        let mut first_query = window;
        while first_query < length {
            let queries = most.min(length - first_query);
            let keys = queries + window - 1;
            let mask = Some(band.f_narrow(0, 0, queries)?.f_narrow(1, 0, keys)?);
            let first_key = first_query + 1 - window;
            scopes.push(Self { first_query, queries, first_key, keys, causal: false, mask });
            first_query += queries;
        }
        Ok(scopes)
    }
}

impl Pack {
    /// Packs sequences, none of them empty, of which the last token is sampled; `padded` where similar lengths attend
    /// together.
    pub fn new(sequences: &[&[i64]], device: Device, padded: bool) -> Result<Self, ModelError> {
        let last: Vec<[usize; 1]> = sequences.iter().map(|tokens| [tokens.len().saturating_sub(1)]).collect();
        let sampled = sequences.iter().zip(&last).map(|(tokens, positions)| Sampled { tokens, positions });
        Self::of(&sampled.collect::<Vec<_>>(), device, padded)
    }

    /// Packs sequences, each with sampled tokens, the last one among them.
    pub fn of(sequences: &[Sampled], device: Device, padded: bool) -> Result<Self, ModelError> {
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        order.sort_by_key(|&index| sequences[index].tokens.len());
        let mut tokens = Vec::new();
        let mut positions = Vec::new();
        let mut sorted_rows = Vec::new();
        let mut first_places = vec![0; sequences.len()];
        let mut runs: Vec<Run> = Vec::new();
        for (place, &index) in order.iter().enumerate() {
            let sequence = sequences[index];
            let (start, length) = (tokens.len() as i64, sequence.tokens.len() as i64);
            match runs.last_mut() {
                Some(run) if run.length == length => run.sequences += 1,
                _ => runs.push(Run { start, first: place as i64, sequences: 1, length }),
            }
            tokens.extend_from_slice(sequence.tokens);
            positions.extend(0..length);
            first_places[index] = sorted_rows.len() as i64;
            sorted_rows.extend(sequence.positions.iter().map(|&position| start + position as i64));
        }
        let places = sequences.iter().zip(&first_places);
        let restore: Vec<i64> =
            places.flat_map(|(sequence, &first)| first..first + sequence.positions.len() as i64).collect();
        let only_last = sequences.iter().all(|sequence| sequence.positions == [sequence.tokens.len() - 1]);
        let picks = if only_last {
            None
        } else {
            let sorted: Vec<_> = order.iter().map(|&index| sequences[index].positions).collect();
            Some(Picks::of(&runs, &sorted, device, padded)?)
        };
        let tensor = |values: &[i64]| to_device(&Tensor::f_from_slice(values)?, device);
        let (sorted_rows, restore) = (tensor(&sorted_rows)?, tensor(&restore)?);
        Ok(Self {
            tokens: tensor(&tokens)?,
            positions: tensor(&positions)?,
            sampled_rows: sorted_rows.f_index_select(0, &restore)?,
            sorted_rows,
            restore,
            bands: if padded { Some(Bands::of(&runs, device)?) } else { None },
            runs,
            picks,
        })
    }

    /// Attention of every token over the tokens of its sequence up to itself.
    ///
    /// `query` (T, A, d), `key` and `value` (T, G, d) with A heads in G groups; returns (T, A·d).
    pub fn causal_attention(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        comparison: &Comparison,
    ) -> Result<Tensor, ModelError> {
        if let Some(bands) = self.bands.as_ref().filter(|bands| bands.fit(comparison)) {
            return bands.causal_attention(query, key, value, comparison);
        }
        let (at_once, device) = (comparison.soft_cap.is_none(), query.device());
        let scopes = |run: &Run| match comparison.window {
            Some(window) if window < run.length => Scope::with_window(run.length, window, at_once, device),
            _ => Scope::causal(run.length, at_once, device),
        };
        self.attend(query, key, value, comparison, |run| (run.start, run.length), scopes)
    }

    /// Attention of the sampled tokens over their sequences up to themselves.
    ///
    /// `query` (R, A, d) in sorted order, `key` and `value` (T, G, d); returns (R, A·d).
    pub fn sampled_attention(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        comparison: &Comparison,
    ) -> Result<Tensor, ModelError> {
        if let Some(picks) = &self.picks {
            return picks.attention(query, key, value, comparison);
        }
        if let Some(bands) = self.bands.as_ref().filter(|bands| bands.fit(comparison)) {
            return bands.last_attention(query, key, value, comparison);
        }
        self.attend(
            query,
            key,
            value,
            comparison,
            |run| (run.first, 1),
            |run| {
                let first_key = comparison.window.map_or(0, |window| (run.length - window).max(0));
                let keys = run.length - first_key;
                Ok(vec![Scope { first_query: 0, queries: 1, first_key, keys, causal: false, mask: None }])
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
        comparison: &Comparison,
        query_rows: impl Fn(&Run) -> (i64, i64),
        scopes: impl Fn(&Run) -> Result<Vec<Scope>, ModelError>,
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
            let output = output.f_narrow(0, start, run.sequences * queries)?;
            let output = output.f_view([run.sequences, queries, heads, width])?;
            for Scope { first_query, queries, first_key, keys, causal, mask } in scopes(run)? {
                // Each group's keys and values serve heads / groups heads: (n, G, L, d) -> (n, A, L, d).
                let shared = |tensor: &Tensor| {
                    let tensor =
                        split(tensor, run.start, run.length, groups)?.f_narrow(2, first_key, keys)?;
                    if groups == heads {
                        return Ok(tensor);
                    }
                    tensor
                        .f_unsqueeze(2)?
                        .f_expand([run.sequences, groups, heads / groups, keys, width], false)?
                        .f_reshape([run.sequences, heads, keys, width])
                };
                let query = query.f_narrow(2, first_query, queries)?;
                let attended = comparison.attend(&query, &shared(key)?, &shared(value)?, mask, causal)?;
                // (n, A, L, d) -> (n, L, A, d)
                output.f_narrow(1, first_query, queries)?.f_copy_(&attended.f_transpose(1, 2)?)?;
            }
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
        assert_eq!(values(&pack.sorted_rows), [0, 1, 3, 5]);
        assert_eq!(values(&pack.restore), [2, 0, 3, 1]);
        assert_eq!(values(&pack.sampled_rows), [3, 0, 5, 1]);
        let run = |start, first, sequences, length| Run { start, first, sequences, length };
        assert_eq!(pack.runs, [run(0, 0, 2, 1), run(2, 2, 2, 2)]);
    }

    /// Against a mask of L×L, which decides for each pair by itself. The sums are over the same values in another order: some
    /// roundings of f32.
    #[test]
    fn attention_in_blocks_is_that_of_one_mask() {
        let lengths = [1, 7, 8, 30, 30, 1300];
        let sequences: Vec<Vec<i64>> = lengths.iter().map(|&length| vec![0; length]).collect();
        let pack =
            Pack::new(&sequences.iter().map(Vec::as_slice).collect::<Vec<_>>(), Device::Cpu, false).unwrap();
        let (tokens, heads, groups, width) = (pack.tokens.size1().unwrap(), 4, 2, 6);
        let random = |count: i64| Tensor::randn([tokens, count, width], (Kind::Float, Device::Cpu));
        let (query, key, value) = (random(heads), random(groups), random(groups));
        let capped = |window| Comparison { window, scale: Some(0.7), soft_cap: Some(0.5) };
        let plain = |window| Comparison { window: Some(window), ..Comparison::default() };
        let cases = [1, 7, 600, 1299].map(|window| [plain(window), capped(Some(window))]);
        for comparison in cases.into_iter().flatten().chain([capped(None)]) {
            let window = comparison.window.unwrap_or(i64::from(u16::MAX));
            let ours = pack.causal_attention(&query, &key, &value, &comparison).unwrap();
            for run in &pack.runs {
                for start in (0..run.sequences).map(|i| run.start + i * run.length) {
                    let part = |tensor: &Tensor| tensor.narrow(0, start, run.length).transpose(0, 1);
                    let shared =
                        |tensor: &Tensor| part(tensor).repeat_interleave_self_int(heads / groups, 0, heads);
                    let ones = Tensor::ones([run.length, run.length], (Kind::Bool, Device::Cpu));
                    let hidden = ones.tril(0).triu(1 - window).logical_not();
                    let scale = comparison.scale.unwrap_or(1.0 / (width as f64).sqrt());
                    let mut scores = part(&query).matmul(&shared(&key).transpose(1, 2)) * scale;
                    if let Some(cap) = comparison.soft_cap {
                        scores = (scores / cap).tanh() * cap;
                    }
                    let weights = scores.masked_fill(&hidden, f64::NEG_INFINITY).softmax(-1, Kind::Float);
                    let expected = weights.matmul(&shared(&value)).transpose(0, 1).reshape([run.length, -1]);
                    let error = (ours.narrow(0, start, run.length) - expected).abs().max().double_value(&[]);
                    assert!(error < 1e-5, "{comparison:?}, {} tokens: {error}", run.length);
                }
            }
        }
    }
}
