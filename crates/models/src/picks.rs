//! Attention of sampled tokens that are not all the last ones of their sequences.
//!
//! Each sequence has as many queries as the one with the most of those that attend together; what it lacks are copies
//! of its last one, and what those attend to is left out. A mask says which keys each query sees: those up to
//! its position. Where sequences are padded, the places behind their ends are hidden by the same rule.

use onejump_tensor::transfer::to_device;
use tch::{Device, Kind, Tensor};

use crate::ModelError;
use crate::bands::{Band, Run, similar};
use crate::comparison::{Comparison, MASK_VALUES};

/// Where the sampled tokens of a pack stand, by sequences that attend together.
pub(crate) struct Picks(Vec<Group>);

/// n sequences that attend together, with q queries each.
struct Group {
    band: Band,
    /// q.
    queries: i64,
    /// The query of each of n·q places among all that are sampled, (n·q) int64.
    rows: Tensor,
    /// The position of each of them, (n, 1, q, 1) int64.
    positions: Tensor,
    /// Which of the n·q places are no copies, int64; none where all are.
    places: Option<Tensor>,
}

impl Picks {
    /// Of the runs of a pack, and the positions of each sequence in sorted order.
    pub fn of(
        runs: &[Run],
        positions: &[&[usize]],
        device: Device,
        padded: bool,
    ) -> Result<Self, ModelError> {
        let groups = if padded { similar(runs) } else { runs.chunks(1).collect() };
        let mut first_row = 0;
        let groups = groups.into_iter().map(|runs| {
            let band = Band::of(runs, device)?;
            let first = band.first as usize;
            let positions = &positions[first..first + band.sequences as usize];
            let group = Group::of(band, positions, first_row, device)?;
            first_row += positions.iter().map(|positions| positions.len()).sum::<usize>();
            Ok(group)
        });
        Ok(Self(groups.collect::<Result<_, ModelError>>()?))
    }

    /// As [`crate::pack::Pack::sampled_attention`].
    pub fn attention(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        comparison: &Comparison,
    ) -> Result<Tensor, ModelError> {
        let attended = self.0.iter().map(|group| group.attention(query, key, value, comparison));
        Ok(Tensor::f_cat(&attended.collect::<Result<Vec<_>, _>>()?, 0)?)
    }
}

impl Group {
    fn of(band: Band, positions: &[&[usize]], first_row: usize, device: Device) -> Result<Self, ModelError> {
        let queries = positions.iter().map(|positions| positions.len()).max().unwrap_or(0);
        let (mut rows, mut at, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let mut row = first_row;
        for positions in positions {
            let last = positions.len() - 1;
            places.extend((rows.len()..rows.len() + positions.len()).map(|place| place as i64));
            rows.extend((0..queries).map(|query| (row + query.min(last)) as i64));
            at.extend((0..queries).map(|query| positions[query.min(last)] as i64));
            row += positions.len();
        }
        let upload = |values: &[i64]| to_device(&Tensor::f_from_slice(values)?, device);
        let queries = queries as i64;
        Ok(Self {
            queries,
            rows: upload(&rows)?,
            positions: upload(&at)?.f_view([band.sequences, 1, queries, 1])?,
            places: if places.len() < rows.len() { Some(upload(&places)?) } else { None },
            band,
        })
    }

    /// `query` (R, A, d), `key` and `value` (T, G, d): those of this group, (its R, A·d).
    fn attention(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        comparison: &Comparison,
    ) -> Result<Tensor, ModelError> {
        let (_, heads, width) = query.size3()?;
        let (n, length, queries) = (self.band.sequences, self.band.length, self.queries);
        let query = query.f_index_select(0, &self.rows)?.f_view([n, queries, heads, width])?;
        let query = query.f_transpose(1, 2)?; // (n, A, q, d)
        let (key, value) = (self.band.split(key, heads)?, self.band.split(value, heads)?); // (n, A, L, d)
        let keys = Tensor::f_arange(length, (Kind::Int64, key.device()))?;
        let block = (MASK_VALUES / (n * length)).clamp(1, queries);
        let mut attended = Vec::new();
        for first in (0..queries).step_by(block as usize) {
            let count = block.min(queries - first);
            let at = self.positions.f_narrow(2, first, count)?; // (n, 1, count, 1)
            let mut mask = keys.f_le_tensor(&at)?; // (n, 1, count, L)
            if let Some(window) = comparison.window {
                mask = mask.f_logical_and(&keys.f_gt_tensor(&at.f_sub_scalar(window)?)?)?;
            }
            let query = query.f_narrow(2, first, count)?;
            attended.push(comparison.attend(&query, &key, &value, Some(mask), false)?);
        }
        // (n, A, q, d) -> (n·q, A·d)
        let attended =
            Tensor::f_cat(&attended, 2)?.f_transpose(1, 2)?.f_reshape([n * queries, heads * width])?;
        match &self.places {
            Some(places) => Ok(attended.f_index_select(0, places)?),
            None => Ok(attended),
        }
    }
}
