//! A matrix laid out for products that are looked at once and thrown away: logits.
//!
//! A general product writes its result to memory for somebody else to read. Here six rows of logits are
//! made at a time, a few hundred columns of each, in registers and the nearest cache, and given away.

use pulp::{Arch, Simd, WithSimd};
use tch::{Kind, Tensor};

use crate::EvaluateError;

/// Columns of a panel: a whole number of vectors of every processor.
const PANEL: usize = 32;

/// Rows that share what is read of a panel. Six by two vectors of sums fit the registers.
pub(crate) const ROWS: usize = 6;

/// Vectors of a row that are summed up at a time.
const VECTORS: usize = 2;

/// Most columns of a block: its six rows stay in the nearest cache.
pub(crate) const BLOCK: usize = 512;

/// Most values of a block of panels: they stay in the second cache.
const BLOCK_VALUES: usize = 1 << 17;

/// Columns that are computed at a time while panels are filled.
const FILLED: i64 = 2048;

/// A matrix (D, V) in panels of 32 columns, each with its D rows one after another; the last panel ends
/// with zeros.
pub(crate) struct Panels {
    depth: usize,
    columns: usize,
    values: Vec<[f32; PANEL]>,
}

impl Panels {
    /// A matrix (D, V) of which `columns` gives some, by first column and count: (D, count).
    pub fn fill(
        depth: usize,
        columns: usize,
        part: impl Fn(i64, i64) -> Result<Tensor, EvaluateError>,
    ) -> Result<Self, EvaluateError> {
        let mut values = vec![[0.0; PANEL]; columns.div_ceil(PANEL) * depth];
        let filled = values.chunks_mut(FILLED as usize / PANEL * depth);
        for (panels, start) in filled.zip((0..columns as i64).step_by(FILLED as usize)) {
            let count = FILLED.min(columns as i64 - start);
            let part = part(start, count)?.f_to_kind(Kind::Float)?.f_contiguous()?;
            let part = Vec::<f32>::try_from(part.f_view([-1])?)?;
            for (k, row) in part.chunks_exact(count as usize).enumerate() {
                for (panel, row) in panels.chunks_mut(depth).zip(row.chunks(PANEL)) {
                    panel[k][..row.len()].copy_from_slice(row);
                }
            }
        }
        Ok(Self { depth, columns, values })
    }

    /// The product of a factor (n, D), row by row, with this matrix: `take` gets the number of a row, the
    /// first column, and some columns of the product, for every row and column once. Columns of the same
    /// row come in order; after the last one come values of −∞ up to a whole number of vectors.
    pub fn products(&self, arch: Arch, factor: &[f32], mut take: impl FnMut(usize, usize, &[f32])) {
        let groups = Group::all(factor, self.depth);
        let mut block = [[0f32; BLOCK]; ROWS];
        let panels_per_block = (BLOCK_VALUES / (self.depth * PANEL)).clamp(1, BLOCK / PANEL);
        for (place, panels) in self.values.chunks(panels_per_block * self.depth).enumerate() {
            let first = place * panels_per_block * PANEL;
            let width = panels.len() / self.depth * PANEL;
            for (index, group) in groups.iter().enumerate() {
                arch.dispatch(Tiles { factor: &group.columns, panels, block: &mut block });
                for (row, values) in block[..group.rows].iter_mut().enumerate() {
                    if first + width > self.columns {
                        values[self.columns - first..width].fill(f32::NEG_INFINITY);
                    }
                    take(index * ROWS + row, first, &values[..width]);
                }
            }
        }
    }
}

/// Six rows of a factor, column by column; rows that there are not are 0.
struct Group {
    rows: usize,
    columns: Vec<[f32; ROWS]>,
}

impl Group {
    fn all(factor: &[f32], depth: usize) -> Vec<Self> {
        let group = |rows: &[f32]| {
            let mut columns = vec![[0.0; ROWS]; depth];
            for (row, values) in rows.chunks_exact(depth).enumerate() {
                for (column, &value) in columns.iter_mut().zip(values) {
                    column[row] = value;
                }
            }
            Self { rows: rows.len() / depth, columns }
        };
        factor.chunks(ROWS * depth).map(group).collect()
    }
}

/// The product of six rows with some panels.
struct Tiles<'a> {
    factor: &'a [[f32; ROWS]],
    panels: &'a [[f32; PANEL]],
    block: &'a mut [[f32; BLOCK]; ROWS],
}

impl WithSimd for Tiles<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (index, panel) in self.panels.chunks_exact(self.factor.len()).enumerate() {
            for part in 0..PANEL / (VECTORS * S::F32_LANES) {
                let tile = tile(simd, self.factor, panel, part);
                for (row, sums) in self.block.iter_mut().zip(tile) {
                    let (vectors, _) = S::as_mut_simd_f32s(&mut row[index * PANEL..][..PANEL]);
                    vectors[part * VECTORS..][..VECTORS].copy_from_slice(&sums);
                }
            }
        }
    }
}

/// Two vectors of each of six rows, in registers.
#[inline(always)]
fn tile<S: Simd>(
    simd: S,
    factor: &[[f32; ROWS]],
    panel: &[[f32; PANEL]],
    part: usize,
) -> [[S::f32s; VECTORS]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    for (factors, columns) in factor.iter().zip(panel) {
        let (vectors, _) = S::as_simd_f32s(columns);
        let vectors: [S::f32s; VECTORS] = std::array::from_fn(|place| vectors[part * VECTORS + place]);
        for row in 0..ROWS {
            let value = simd.splat_f32s(factors[row]);
            for place in 0..VECTORS {
                sums[row][place] = simd.mul_add_e_f32s(value, vectors[place], sums[row][place]);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Against libtorch's product, for sizes that blocks, panels and groups do and do not divide.
    /// f32 sums of up to 600 values of size 1: 1e-3.
    #[test]
    fn products_are_those_of_libtorch() {
        tch::manual_seed(7);
        for (rows, depth, columns) in [(1, 1, 1), (7, 5, 33), (6, 58, 2500), (13, 600, 1000), (2, 3, 512)] {
            let random = |size: [i64; 2]| Tensor::randn(size, (Kind::Float, Device::Cpu));
            let (factor, matrix) = (random([rows, depth]), random([depth, columns]));
            let panels = Panels::fill(depth as usize, columns as usize, |start, count| {
                Ok(matrix.f_narrow(1, start, count)?)
            })
            .unwrap();
            let expected = Vec::<f32>::try_from(factor.mm(&matrix).view([-1])).unwrap();
            let factor = Vec::<f32>::try_from(factor.view([-1])).unwrap();
            let mut seen = vec![0; expected.len()];
            panels.products(Arch::new(), &factor, |row, first, values| {
                for (place, &value) in values.iter().enumerate() {
                    if first + place >= columns as usize {
                        assert_eq!(value, f32::NEG_INFINITY);
                        continue;
                    }
                    let place = row * columns as usize + first + place;
                    seen[place] += 1;
                    assert!((value - expected[place]).abs() < 1e-3, "{rows} {depth} {columns}: {place}");
                }
            });
            assert!(seen.iter().all(|&times| times == 1));
        }
    }
}
