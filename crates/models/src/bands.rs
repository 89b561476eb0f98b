//! Sequences of similar lengths that attend together, padded to the longest of them.
//!
//! On a processor attention runs once for each length, and nothing is computed in vain. On a GPU each call costs
//! some ten launches of about 5 µs, whatever it computes: a batch with sentences of 30 lengths would launch 300
//! kernels in each block, which takes longer than all products of SmolLM2's block. There, lengths that
//! differ by little attend in one call.
//!
//! What lies behind a sequence's end is its last token again. No token sees it, since attention is causal, and
//! what it attends to is left out.

use onejump_tensor::transfer::to_device;
use tch::{Device, TchError, Tensor};

use crate::ModelError;
use crate::comparison::Comparison;

/// Lengths up to this many tokens above the shortest are in the same band.
const SPREAD: i64 = 16;

/// The same as a share of the shortest: one in so many.
const SPREAD_DIVISOR: i64 = 4;

/// Sequences of equal length that lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Row of the first token.
    pub start: i64,
    /// Place of the first sequence in sorted order.
    pub first: i64,
    /// How many sequences.
    pub sequences: i64,
    /// Tokens in each.
    pub length: i64,
}

/// The bands of a pack, in sorted order: together they have all of its tokens.
pub(crate) struct Bands {
    bands: Vec<Band>,
    /// Tokens in the longest sequence.
    longest: i64,
}

/// Sequences that lie side by side and attend together.
pub(crate) struct Band {
    /// Row of the first token.
    start: i64,
    /// How many tokens there are.
    tokens: i64,
    /// Place of the first sequence in sorted order.
    pub first: i64,
    /// n.
    pub sequences: i64,
    /// L: tokens in the longest.
    pub length: i64,
    /// None where all are of the same length.
    padding: Option<Padding>,
}

/// How n sequences become n·L places.
struct Padding {
    /// For each place the row of its token, (n·L) int64.
    rows: Tensor,
    /// For each token its place, (tokens) int64.
    places: Tensor,
    /// Which places are tokens, (n, 1, 1, L) bool.
    real: Tensor,
}

/// Runs that attend together: those of similar lengths.
pub(crate) fn similar(runs: &[Run]) -> Vec<&[Run]> {
    let mut groups = Vec::new();
    let mut rest = runs;
    while let Some(shortest) = rest.first() {
        let most = shortest.length + SPREAD.max(shortest.length / SPREAD_DIVISOR);
        let (group, others) = rest.split_at(rest.partition_point(|run| run.length <= most));
        groups.push(group);
        rest = others;
    }
    groups
}

impl Bands {
    /// Bands of the runs of a pack.
    pub fn of(runs: &[Run], device: Device) -> Result<Self, ModelError> {
        let bands = similar(runs).into_iter().map(|band| Band::of(band, device)).collect::<Result<_, _>>()?;
        Ok(Self { bands, longest: runs.last().map_or(0, |run| run.length) })
    }

    /// Whether every token may see all before it, in the window that there is, and libtorch's own attention takes them.
    pub fn fit(&self, comparison: &Comparison) -> bool {
        comparison.soft_cap.is_none() && comparison.window.is_none_or(|window| self.longest <= window)
    }

    /// As [`crate::pack::Pack::causal_attention`] without a window.
    pub fn causal_attention(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        comparison: &Comparison,
    ) -> Result<Tensor, ModelError> {
        let (heads, scale) = (query.size3()?.1, comparison.scale);
        self.attend(|band| {
            let query = band.split(query, heads)?;
            let attended =
                attention(&query, &band.split(key, heads)?, &band.split(value, heads)?, scale, None)?;
            match &band.padding {
                Some(padding) => attended.f_index_select(0, &padding.places),
                None => Ok(attended),
            }
        })
    }

    /// Attention of the last token of each sequence over the whole sequence, without a window.
    pub fn last_attention(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        comparison: &Comparison,
    ) -> Result<Tensor, ModelError> {
        let (heads, scale) = (query.size3()?.1, comparison.scale);
        self.attend(|band| {
            let query = query.f_narrow(0, band.first, band.sequences)?.f_unsqueeze(2)?; // (n, A, 1, d)
            let real = band.padding.as_ref().map(|padding| &padding.real);
            attention(&query, &band.split(key, heads)?, &band.split(value, heads)?, scale, Some(real))
        })
    }

    fn attend(&self, band: impl Fn(&Band) -> Result<Tensor, TchError>) -> Result<Tensor, ModelError> {
        let mut attended = self.bands.iter().map(band).collect::<Result<Vec<_>, _>>()?;
        match attended.pop() {
            Some(alone) if attended.is_empty() => Ok(alone),
            last => Ok(Tensor::f_cat(&attended.into_iter().chain(last).collect::<Vec<_>>(), 0)?),
        }
    }
}

impl Band {
    /// Of runs side by side, at least one.
    pub fn of(runs: &[Run], device: Device) -> Result<Self, ModelError> {
        let [shortest, .., longest] = runs else {
            let run = &runs[0];
            let (sequences, length) = (run.sequences, run.length);
            let tokens = sequences * length;
            return Ok(Self { start: run.start, tokens, first: run.first, sequences, length, padding: None });
        };
        let length = longest.length;
        let (mut rows, mut places, mut real) = (Vec::new(), Vec::new(), Vec::new());
        for run in runs {
            for sequence in 0..run.sequences {
                let start = run.start + sequence * run.length;
                let place = rows.len() as i64;
                places.extend(place..place + run.length);
                rows.extend((0..length).map(|position| start + position.min(run.length - 1)));
                real.extend((0..length).map(|position| position < run.length));
            }
        }
        let sequences = rows.len() as i64 / length;
        let upload = |tensor: Tensor| to_device(&tensor, device);
        let padding = Padding {
            rows: upload(Tensor::f_from_slice(&rows)?)?,
            places: upload(Tensor::f_from_slice(&places)?)?,
            real: upload(Tensor::f_from_slice(&real)?.f_view([sequences, 1, 1, length])?)?,
        };
        let (start, first, tokens) = (shortest.start, shortest.first, places.len() as i64);
        Ok(Self { start, tokens, first, sequences, length, padding: Some(padding) })
    }

    /// (T, G, d) -> (n, heads, L, d): each of G groups serves heads / G heads.
    pub fn split(&self, tensor: &Tensor, heads: i64) -> Result<Tensor, TchError> {
        let (_, groups, width) = tensor.size3()?;
        let (n, length) = (self.sequences, self.length);
        let padded = match &self.padding {
            Some(padding) => tensor.f_index_select(0, &padding.rows)?,
            None => tensor.f_narrow(0, self.start, self.tokens)?,
        };
        let split = padded.f_view([n, length, groups, width])?.f_transpose(1, 2)?;
        if groups == heads {
            return Ok(split);
        }
        let shared = split.f_unsqueeze(2)?.f_expand([n, groups, heads / groups, length, width], false)?;
        shared.f_reshape([n, heads, length, width])
    }
}

/// Attention of queries (n, A, Q, d): (n·Q, A·d). Each query sees the keys up to itself; where there is a scope, all
/// keys in it, and without a mask in that, all there are.
fn attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    scale: Option<f64>,
    scope: Option<Option<&Tensor>>,
) -> Result<Tensor, TchError> {
    let (n, heads, queries, width) = query.size4()?;
    let causal = scope.is_none();
    let mask = scope.flatten();
    let attended =
        Tensor::f_scaled_dot_product_attention(query, key, value, mask, 0.0, causal, scale, false)?;
    attended.f_transpose(1, 2)?.f_reshape([n * queries, heads * width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::Pack;
    use tch::Kind;

    /// Against attention length by length, with lengths on both sides of a band's end: f32 sums of up to 40 values
    /// of size 1, 1e-5.
    #[test]
    fn padded_attention_is_that_of_each_length() {
        tch::manual_seed(3);
        let lengths = [1usize, 17, 18, 5, 17, 40, 1, 23, 34, 35];
        let sequences: Vec<Vec<i64>> = lengths.iter().map(|&length| vec![0; length]).collect();
        let sequences: Vec<&[i64]> = sequences.iter().map(Vec::as_slice).collect();
        let [plain, padded] = [false, true].map(|padded| Pack::new(&sequences, Device::Cpu, padded).unwrap());
        let bands = padded.bands.as_ref().unwrap();
        let of = |band: &Band| (band.sequences, band.length);
        assert_eq!(bands.bands.iter().map(of).collect::<Vec<_>>(), [(5, 17), (3, 34), (2, 40)]);
        assert!(plain.bands.is_none());
        let tokens: usize = lengths.iter().sum();
        for (heads, groups) in [(6, 6), (6, 2)] {
            let random =
                |rows: usize, heads| Tensor::randn([rows as i64, heads, 8], (Kind::Float, Device::Cpu));
            let (query, last) = (random(tokens, heads), random(lengths.len(), heads));
            let (key, value) = (random(tokens, groups), random(tokens, groups));
            let with = |window, scale, soft_cap| Comparison { window, scale, soft_cap };
            for comparison in [
                with(None, None, None),
                with(Some(40), Some(0.7), None),
                with(Some(30), None, None),
                with(None, Some(0.7), Some(0.5)),
            ] {
                let both = [&plain, &padded].map(|pack| {
                    let all = pack.causal_attention(&query, &key, &value, &comparison).unwrap();
                    (all, pack.sampled_attention(&last, &key, &value, &comparison).unwrap())
                });
                let [(all, last), (padded_all, padded_last)] = both;
                assert_eq!((all.size(), last.size()), (padded_all.size(), padded_last.size()));
                assert!((all - padded_all).abs().max().double_value(&[]) < 1e-5);
                assert!((last - padded_last).abs().max().double_value(&[]) < 1e-5);
            }
        }
    }

    #[test]
    fn sequences_of_one_length_need_no_padding() {
        let pack = Pack::new(&[&[1, 2], &[3, 4]], Device::Cpu, true).unwrap();
        let [band] = &pack.bands.as_ref().unwrap().bands[..] else { panic!("several bands") };
        assert!(band.padding.is_none() && band.tokens == 4);
    }
}
