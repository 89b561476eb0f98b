//! Sums of outer products over rows, in f64: Σ xᵀx and Σ xᵀy.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

/// Columns of y in a tile: a whole number of vectors on every processor.
const PANEL: usize = 16;

/// Columns of x in a tile. The sums, six rows of two vectors, fit into the registers.
const GROUP: usize = 6;

/// Vectors of a tile's row that are in registers at a time.
const VECTORS: usize = 2;

/// Rows that are laid out at a time: a panel of so many rows stays in the nearest cache, and 1,024 columns in groups
/// stay in the second.
const ROWS: usize = 128;

/// Some columns of Σ xᵀx over the rows of x (n, D): (D, columns), row by row. The matrix is symmetric: only the values
/// on and above the diagonal are summed up, and those below may be 0.
///
/// # Panics
/// If x is no whole number of rows, or there are no such columns.
pub fn gram(x: &[f32], width: usize, columns: Range<usize>) -> Vec<f64> {
    // In a panel, the diagonal ends at the row of the last column.
    sums(x, x, width, columns, |last_column| last_column + 1)
}

/// Some columns of Σ xᵀy over the rows of x and y, (n, D) both: (D, columns), row by row.
///
/// # Panics
/// If x is no whole number of rows, y has another size, or there are no such columns.
pub fn cross(x: &[f32], y: &[f32], width: usize, columns: Range<usize>) -> Vec<f64> {
    sums(x, y, width, columns, |_| width)
}

/// Some columns of Σ xᵀy. Of a panel that ends with column c, the first `needed(c)` rows are computed.
fn sums(
    x: &[f32],
    y: &[f32],
    width: usize,
    columns: Range<usize>,
    needed: impl Fn(usize) -> usize,
) -> Vec<f64> {
    assert_eq!(x.len(), y.len(), "as many rows of x and y");
    assert!(width > 0 && x.len().is_multiple_of(width), "{} values are no rows of {width}", x.len());
    assert!(columns.end <= width, "columns {columns:?} of {width}");
    let arch = Arch::new();
    let panels: Vec<Range<usize>> =
        columns.clone().step_by(PANEL).map(|start| start..columns.end.min(start + PANEL)).collect();
    let mut tiles: Vec<Vec<Tile>> = panels
        .iter()
        .map(|panel| vec![[[0.0; PANEL]; GROUP]; needed(panel.end - 1).div_ceil(GROUP)])
        .collect();
    let mut groups: Vec<Vec<[f64; GROUP]>> = vec![Vec::new(); width.div_ceil(GROUP)];
    let mut laid_out: Vec<[f64; PANEL]> = Vec::new();
    for (x, y) in x.chunks(ROWS * width).zip(y.chunks(ROWS * width)) {
        for (group, start) in groups.iter_mut().zip((0..width).step_by(GROUP)) {
            arch.dispatch(LayOut {
                rows: x,
                width,
                columns: start..width.min(start + GROUP),
                laid_out: group,
            });
        }
        for (panel, tiles) in panels.iter().zip(&mut tiles) {
            arch.dispatch(LayOut { rows: y, width, columns: panel.clone(), laid_out: &mut laid_out });
            arch.dispatch(Tiles { groups: &groups, panel: &laid_out, tiles });
        }
    }
    let mut sums = vec![0.0; width * columns.len()];
    for (panel, tiles) in panels.iter().zip(&tiles) {
        // `zip` leaves out the rows of the last tile that are beyond the matrix.
        let rows = tiles.iter().flatten().zip(sums.chunks_exact_mut(columns.len()));
        for (from, to) in rows {
            let place = panel.start - columns.start;
            to[place..place + panel.len()].copy_from_slice(&from[..panel.len()]);
        }
    }
    sums
}

/// The sums for a group of columns of x and a panel of columns of y.
type Tile = [[f64; PANEL]; GROUP];

/// Copies some columns of the rows (n, D) and turns them into f64. Where they are fewer than N, nobody reads the sums of
/// the other places.
struct LayOut<'a, const N: usize> {
    rows: &'a [f32],
    width: usize,
    columns: Range<usize>,
    laid_out: &'a mut Vec<[f64; N]>,
}

impl<const N: usize> WithSimd for LayOut<'_, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.laid_out.resize(self.rows.len() / self.width, [0.0; N]);
        for (values, row) in self.laid_out.iter_mut().zip(self.rows.chunks_exact(self.width)) {
            let from = &row[self.columns.clone()];
            // The compiler converts in vectors where it knows the number of values.
            if let Ok(from) = <&[f32; N]>::try_from(from) {
                *values = from.map(f64::from);
            } else {
                for (value, &from) in values.iter_mut().zip(from) {
                    *value = f64::from(from);
                }
            }
        }
    }
}

/// Adds the products of a panel with all groups to their tiles.
struct Tiles<'a> {
    groups: &'a [Vec<[f64; GROUP]>],
    panel: &'a [[f64; PANEL]],
    tiles: &'a mut [Tile],
}

impl WithSimd for Tiles<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (group, tile) in self.groups.iter().zip(self.tiles) {
            for part in 0..PANEL / (VECTORS * S::F64_LANES) {
                let vectors = |values: &[f64; PANEL]| -> [S::f64s; VECTORS] {
                    let (vectors, _) = S::as_simd_f64s(values);
                    std::array::from_fn(|place| vectors[part * VECTORS + place])
                };
                let mut sums = [[simd.splat_f64s(0.0); VECTORS]; GROUP];
                for (factors, columns) in group.iter().zip(self.panel) {
                    let columns = vectors(columns);
                    for row in 0..GROUP {
                        let factor = simd.splat_f64s(factors[row]);
                        for place in 0..VECTORS {
                            sums[row][place] = simd.mul_add_e_f64s(factor, columns[place], sums[row][place]);
                        }
                    }
                }
                for (row, sums) in tile.iter_mut().zip(sums) {
                    let (totals, _) = S::as_mut_simd_f64s(row);
                    for (total, sum) in totals[part * VECTORS..].iter_mut().zip(sums) {
                        *total = simd.add_f64s(*total, sum);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// Some of the sizes are multiples of tiles and chunks, others are not. The values are small whole numbers, whose
        /// sums are exact.
        #[test]
        fn sums_are_those_of_whole_numbers(
            rows in prop_oneof![0..9usize, 120..300usize],
            width in 1..50usize,
            cut in (0.0..1.0f64, 0.0..1.0f64),
        ) {
            let number = |i: usize, seed: usize| ((i * 7919 + seed * 104_729) % 2003) as i64 - 1001;
            let matrix = |seed: usize| -> Vec<i64> { (0..rows * width).map(|i| number(i, seed)).collect() };
            let (x, y) = (matrix(1), matrix(2));
            let plain = |y: &[i64], row: usize, column: usize| -> i64 {
                (0..rows).map(|n| x[n * width + row] * y[n * width + column]).sum()
            };
            let single = |values: &[i64]| -> Vec<f32> { values.iter().map(|&value| value as f32).collect() };
            let end = (cut.1 * (width + 1) as f64) as usize;
            for columns in [0..width, (cut.0 * end as f64) as usize..end] {
                let ours = (
                    gram(&single(&x), width, columns.clone()),
                    cross(&single(&x), &single(&y), width, columns.clone()),
                );
                prop_assert_eq!((ours.0.len(), ours.1.len()), (width * columns.len(), width * columns.len()));
                for (place, column) in columns.clone().enumerate() {
                    for row in 0..width {
                        let at = row * columns.len() + place;
                        prop_assert_eq!(ours.1[at], plain(&y, row, column) as f64);
                        if row <= column {
                            prop_assert_eq!(ours.0[at], plain(&x, row, column) as f64);
                        }
                    }
                }
            }
        }
    }
}
