//! The innermost product, of a few rows with some panels, which is summed up in registers.

use std::ops::Range;

use pulp::{Simd, WithSimd};

/// Columns of a panel: a whole number of vectors on every processor.
pub(crate) const PANEL: usize = 32;

/// Rows that are computed together, so that each value of a panel is read once for all of them. The sums, six rows of
/// two vectors, fit into the registers.
pub const ROWS: usize = 6;

/// Vectors of a row's sums that are in registers at a time.
const VECTORS: usize = 2;

/// How many products are summed up one after another. A longer sum adds up such sums, which loses less to rounding.
const SUMMED: usize = 128;

/// The most columns of a block: its six rows stay in the nearest cache.
pub(crate) const BLOCK: usize = 512;

/// Room for six rows of a product.
#[repr(align(64))]
pub(crate) struct Block(pub [[f32; BLOCK]; ROWS]);

impl Block {
    pub const ZEROS: Self = Self([[0.0; BLOCK]; ROWS]);
}

/// Up to six rows of a factor.
pub(crate) struct Group<'a> {
    /// The numbers of the rows.
    pub rows: Range<usize>,
    /// The values of the rows. Missing rows repeat the first; nobody reads their products.
    pub values: [&'a [f32]; ROWS],
}

impl<'a> Group<'a> {
    /// All rows of x (n, D), in groups.
    pub fn all(x: &'a [f32], depth: usize) -> impl Iterator<Item = Self> + Clone {
        assert_eq!(x.len() % depth, 0, "{} values are no rows of {depth}", x.len());
        x.chunks(ROWS * depth).enumerate().map(move |(index, values)| {
            let count = values.len() / depth;
            let row = |row: usize| &values[if row < count { row } else { 0 } * depth..][..depth];
            Self { rows: index * ROWS..index * ROWS + count, values: std::array::from_fn(row) }
        })
    }
}

/// The product of six rows with some panels.
pub(crate) struct Tiles<'a> {
    pub factor: [&'a [f32]; ROWS],
    pub panels: &'a [[f32; PANEL]],
    pub constants: &'a [[f32; PANEL]],
    pub block: &'a mut Block,
}

impl WithSimd for Tiles<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let panels = self.panels.chunks_exact(self.factor[0].len()).zip(self.constants);
        for (index, (panel, constant)) in panels.enumerate() {
            for part in 0..PANEL / (VECTORS * S::F32_LANES) {
                let tile = tile(simd, self.factor, panel, constant, part);
                for (row, sums) in self.block.0.iter_mut().zip(tile) {
                    let (vectors, _) = S::as_mut_simd_f32s(&mut row[index * PANEL..][..PANEL]);
                    vectors[part * VECTORS..][..VECTORS].copy_from_slice(&sums);
                }
            }
        }
    }
}

/// Computes two vectors of each of six rows of a product, in registers.
#[inline(always)]
fn tile<S: Simd>(
    simd: S,
    factor: [&[f32]; ROWS],
    panel: &[[f32; PANEL]],
    constant: &[f32; PANEL],
    part: usize,
) -> [[S::f32s; VECTORS]; ROWS] {
    let vectors = |columns: &[f32; PANEL]| -> [S::f32s; VECTORS] {
        let (vectors, _) = S::as_simd_f32s(columns);
        std::array::from_fn(|place| vectors[part * VECTORS + place])
    };
    let mut totals = [vectors(constant); ROWS];
    for (panel, start) in panel.chunks(SUMMED).zip((0..).step_by(SUMMED)) {
        let factor = factor.map(|row| &row[start..start + panel.len()]);
        let mut sums = if start == 0 { totals } else { [[simd.splat_f32s(0.0); VECTORS]; ROWS] };
        for (k, columns) in panel.iter().enumerate() {
            let columns = vectors(columns);
            for row in 0..ROWS {
                let value = simd.splat_f32s(factor[row][k]);
                for place in 0..VECTORS {
                    sums[row][place] = simd.mul_add_e_f32s(value, columns[place], sums[row][place]);
                }
            }
        }
        for (totals, sums) in totals.iter_mut().zip(sums) {
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = if start == 0 { sum } else { simd.add_f32s(*total, sum) };
            }
        }
    }
    totals
}
