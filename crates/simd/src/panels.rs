//! A matrix that is laid out once for many products.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::exp::exp;
use crate::tiles::{BLOCK, Block, Group, PANEL, Tiles};

/// The most values of the panels that are multiplied at a time: they stay in the second cache.
const BLOCK_VALUES: usize = 1 << 17;

/// Columns that are asked for at a time when panels are filled.
const FILLED: usize = 2048;

/// A matrix W (D, V) and a constant b (V), for x·W + b.
///
/// It is stored in panels of 32 columns, each with its D rows one after another. In the last panel, columns beyond V
/// are 0.
pub struct Panels {
    depth: usize,
    columns: usize,
    values: Vec<[f32; PANEL]>,
    /// b, with one row for each panel.
    constants: Vec<[f32; PANEL]>,
}

impl Panels {
    /// Lays out a matrix (D, V) that `part` gives in pieces: for a first column and a count, the columns from there on,
    /// (D, count), row by row. Without `constant`, b is 0.
    ///
    /// # Errors
    /// Those of `part`.
    ///
    /// # Panics
    /// If D is 0, or a part or the constant has another size.
    pub fn fill<E>(
        depth: usize,
        columns: usize,
        constant: Option<&[f32]>,
        part: impl Fn(usize, usize) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let mut laid_out = Self::zeros(depth, columns, constant);
        let filled = laid_out.values.chunks_mut(FILLED / PANEL * depth);
        for (panels, start) in filled.zip((0..columns).step_by(FILLED)) {
            let count = FILLED.min(columns - start);
            let part = part(start, count)?;
            assert_eq!(part.len(), depth * count, "a part of {count} columns");
            for (k, row) in part.chunks_exact(count).enumerate() {
                for (panel, row) in panels.chunks_mut(depth).zip(row.chunks(PANEL)) {
                    panel[k][..row.len()].copy_from_slice(row);
                }
            }
        }
        Ok(laid_out)
    }

    /// Lays out the transpose of a matrix (V, D), given row by row: weights are stored as (out, in).
    ///
    /// # Panics
    /// If D is 0, or the matrix or the constant has another size.
    pub fn transposed(depth: usize, columns: usize, constant: Option<&[f32]>, matrix: &[f32]) -> Self {
        assert_eq!(matrix.len(), depth * columns, "a matrix of {columns} rows");
        let mut laid_out = Self::zeros(depth, columns, constant);
        let panels = laid_out.values.chunks_mut(depth);
        for (panel, rows) in panels.zip(matrix.chunks(PANEL * depth)) {
            for (k, values) in panel.iter_mut().enumerate() {
                for (value, row) in values.iter_mut().zip(rows.chunks_exact(depth)) {
                    *value = row[k];
                }
            }
        }
        laid_out
    }

    /// Lays out x·W + b, for the rows of x (n, D), as a matrix for further products, with a `constant` of its own.
    ///
    /// # Panics
    /// If x is no whole number of rows or empty, or the constant has another size.
    pub fn projected(&self, x: &[f32], constant: Option<&[f32]>) -> Self {
        let depth = x.len() / self.depth;
        let mut laid_out = Self::zeros(depth, self.columns, constant);
        self.products(x, |row, first, values| {
            let panels = laid_out.values[first / PANEL * depth..].chunks_mut(depth);
            for (panel, values) in panels.zip(values.chunks(PANEL)) {
                panel[row][..values.len()].copy_from_slice(values);
            }
        });
        laid_out
    }

    fn zeros(depth: usize, columns: usize, constant: Option<&[f32]>) -> Self {
        assert!(depth > 0, "a product over nothing");
        let panels = columns.div_ceil(PANEL);
        let mut constants = vec![[0.0; PANEL]; panels];
        if let Some(constant) = constant {
            assert_eq!(constant.len(), columns, "a constant for every column");
            for (panel, constant) in constants.iter_mut().zip(constant.chunks(PANEL)) {
                panel[..constant.len()].copy_from_slice(constant);
            }
        }
        Self { depth, columns, values: vec![[0.0; PANEL]; panels * depth], constants }
    }

    /// D.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// V.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Computes x·W + b for the rows of x (n, D) without storing it: `take` gets the number of a row, the number of a
    /// first column, and the values from there on, until it has got every value once. The columns of a row come in order.
    ///
    /// # Panics
    /// If x is no whole number of rows.
    pub fn products(&self, x: &[f32], mut take: impl FnMut(usize, usize, &[f32])) {
        let arch = Arch::new();
        let groups = Group::all(x, self.depth);
        let mut block = Block::ZEROS;
        for span in self.spans(0..self.constants.len(), BLOCK_VALUES) {
            for group in groups.clone() {
                arch.dispatch(self.tiles(&group, &span, &mut block));
                let columns = span.start * PANEL..self.columns.min(span.end * PANEL);
                for (row, values) in group.rows.clone().zip(&block.0) {
                    take(row, columns.start, &values[..columns.len()]);
                }
            }
        }
    }

    /// Some columns of x·W + b for the rows of x (n, D): (n, columns), row by row.
    ///
    /// # Panics
    /// If x is no whole number of rows, or there are no such columns.
    pub fn multiply(&self, x: &[f32], columns: Range<usize>) -> Vec<f32> {
        assert!(columns.end <= self.columns, "columns {columns:?} of {}", self.columns);
        let arch = Arch::new();
        let groups = Group::all(x, self.depth);
        let mut product = vec![0.0; x.len() / self.depth * columns.len()];
        let mut block = Block::ZEROS;
        for span in self.spans(columns.start / PANEL..columns.end.div_ceil(PANEL), BLOCK_VALUES) {
            let first = span.start * PANEL;
            let wanted = first.max(columns.start)..columns.end.min(span.end * PANEL);
            for group in groups.clone() {
                arch.dispatch(self.tiles(&group, &span, &mut block));
                for (row, values) in group.rows.clone().zip(&block.0) {
                    let row = &mut product[row * columns.len()..][..columns.len()];
                    row[wanted.start - columns.start..wanted.end - columns.start]
                        .copy_from_slice(&values[wanted.start - first..wanted.end - first]);
                }
            }
        }
        product
    }

    /// silu(x·gate) ⊙ (x·up) for the rows of x (n, D), with silu(z) = z/(1 + e⁻ᶻ): (n, V), row by row.
    ///
    /// # Panics
    /// If the two matrices are not of one size, or x is no whole number of rows.
    pub fn gated(gate: &Self, up: &Self, x: &[f32]) -> Vec<f32> {
        assert_eq!((gate.depth, gate.columns), (up.depth, up.columns), "a gate for every column");
        let arch = Arch::new();
        let groups = Group::all(x, gate.depth);
        let mut product = vec![0.0; x.len() / gate.depth * gate.columns];
        let (mut gates, mut ups) = (Block::ZEROS, Block::ZEROS);
        for span in gate.spans(0..gate.constants.len(), BLOCK_VALUES / 2) {
            let columns = span.start * PANEL..gate.columns.min(span.end * PANEL);
            for group in groups.clone() {
                arch.dispatch(gate.tiles(&group, &span, &mut gates));
                arch.dispatch(up.tiles(&group, &span, &mut ups));
                for ((row, gates), ups) in group.rows.clone().zip(&gates.0).zip(&mut ups.0) {
                    arch.dispatch(Silu { gates: &gates[..span.len() * PANEL], ups });
                    product[row * gate.columns..][columns.clone()].copy_from_slice(&ups[..columns.len()]);
                }
            }
        }
        product
    }

    /// Cuts panels into runs, in order, whose values fit into the second cache and whose columns fit into a block.
    fn spans(&self, panels: Range<usize>, most_values: usize) -> impl Iterator<Item = Range<usize>> {
        let count = (most_values / (self.depth * PANEL)).clamp(1, BLOCK / PANEL);
        panels.clone().step_by(count).map(move |start| start..panels.end.min(start + count))
    }

    /// The product of a group of rows with some panels, which goes into a block.
    fn tiles<'a>(&'a self, group: &Group<'a>, span: &Range<usize>, block: &'a mut Block) -> Tiles<'a> {
        Tiles {
            factor: group.values,
            panels: &self.values[span.start * self.depth..span.end * self.depth],
            constants: &self.constants[span.clone()],
            block,
        }
    }
}

/// ups ← silu(gates) ⊙ ups, for a whole number of vectors.
struct Silu<'a> {
    gates: &'a [f32],
    ups: &'a mut [f32],
}

impl WithSimd for Silu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // The power is at most e⁸⁸, which is still finite; silu is then so close to 0 that the limit changes nothing.
        let (one, largest) = (simd.splat_f32s(1.0), simd.splat_f32s(88.0));
        let (gates, _) = S::as_simd_f32s(self.gates);
        let (ups, _) = S::as_mut_simd_f32s(self.ups);
        for (&gate, up) in gates.iter().zip(ups) {
            let power = exp(simd, simd.min_f32s(largest, simd.neg_f32s(gate)));
            let silu = simd.div_f32s(gate, simd.add_f32s(one, power));
            *up = simd.mul_f32s(silu, *up);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// Values between −1 and 1 that look random.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0).collect()
    }

    /// W (D, V) from all its values, row by row.
    fn panels(matrix: &[f32], columns: usize, constant: Option<&[f32]>) -> Panels {
        let part = |start: usize, count: usize| {
            let rows = matrix.chunks_exact(columns);
            Ok::<_, Infallible>(rows.flat_map(|row| row[start..start + count].to_vec()).collect())
        };
        Panels::fill(matrix.len() / columns, columns, constant, part).unwrap()
    }

    /// x·W + b, computed plainly in f64.
    fn plain(x: &[f32], matrix: &[f32], columns: usize, constant: Option<&[f32]>) -> Vec<f64> {
        let depth = matrix.len() / columns;
        let value = |row: &[f32], column: usize| {
            let products = row.iter().zip(matrix.iter().skip(column).step_by(columns));
            let sum: f64 = products.map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
            sum + constant.map_or(0.0, |constant| f64::from(constant[column]))
        };
        x.chunks_exact(depth).flat_map(|row| (0..columns).map(move |column| value(row, column))).collect()
    }

    /// An f32 sum of 700 products of size 1 errs by 700·2⁻²⁴·700 = 0.03 in the worst case, and by far less than 1e-3
    /// here, where the signs are mixed.
    const TOLERANCE: f64 = 1e-3;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Some of the sizes are multiples of blocks, panels and groups, others are not.
        #[test]
        fn products_are_those_in_f64(
            rows in 0..14usize,
            depth in prop_oneof![1..9usize, 500..700usize],
            columns in prop_oneof![1..70usize, 500..600usize, 2040..2060usize],
            with_constant: bool,
            cut in 0.0..1.0f64,
        ) {
            let (x, matrix, constant) =
                (values(rows * depth, 1), values(depth * columns, 2), values(columns, 3));
            let constant = with_constant.then_some(&constant[..]);
            let expected = plain(&x, &matrix, columns, constant);
            let panels = panels(&matrix, columns, constant);

            let mut seen = vec![0; expected.len()];
            panels.products(&x, |row, first, values| {
                for (place, &value) in (row * columns + first..).zip(values) {
                    seen[place] += 1;
                    assert!((f64::from(value) - expected[place]).abs() < TOLERANCE);
                }
            });
            prop_assert!(seen.iter().all(|&times| times == 1));

            let rows_of_columns: Vec<f32> =
                (0..columns).flat_map(|column| matrix.iter().skip(column).step_by(columns).copied()).collect();
            let transposed = Panels::transposed(depth, columns, constant, &rows_of_columns);
            prop_assert_eq!(&transposed.values, &panels.values);
            prop_assert_eq!(&transposed.constants, &panels.constants);

            if rows > 0 {
                let constant = values(columns, 4);
                let product = panels.multiply(&x, 0..columns);
                let expected = self::panels(&product, columns, Some(&constant));
                let projected = panels.projected(&x, Some(&constant));
                prop_assert_eq!(&projected.values, &expected.values);
                prop_assert_eq!(&projected.constants, &expected.constants);
            }

            let start = (cut * columns as f64) as usize;
            for wanted in [0..columns, start..columns, 0..start] {
                let product = panels.multiply(&x, wanted.clone());
                prop_assert_eq!(product.len(), rows * wanted.len());
                let rows = expected.chunks_exact(columns).flat_map(|row| &row[wanted.clone()]);
                for (value, expected) in product.iter().zip(rows) {
                    prop_assert!((f64::from(*value) - expected).abs() < TOLERANCE);
                }
            }
        }

        #[test]
        fn a_gate_is_that_in_f64(rows in 0..14usize, depth in 1..99usize, columns in 1..700usize, scale in 1..99u8) {
            let x: Vec<f32> = values(rows * depth, 1).iter().map(|x| x * f32::from(scale)).collect();
            let matrices = [values(depth * columns, 2), values(depth * columns, 3)];
            let constants = [values(columns, 4), values(columns, 5)];
            let [gate, up] = [0, 1].map(|place| panels(&matrices[place], columns, Some(&constants[place])));
            let [gates, ups] = [0, 1].map(|place| plain(&x, &matrices[place], columns, Some(&constants[place])));
            let product = Panels::gated(&gate, &up, &x);
            prop_assert_eq!(product.len(), rows * columns);
            for ((value, gate), up) in product.iter().zip(gates).zip(ups) {
                let expected = gate / (1.0 + (-gate).exp()) * up;
                prop_assert!((f64::from(*value) - expected).abs() < 1e-5 * f64::from(scale).powi(2) * depth as f64);
            }
        }
    }

    /// A row's products do not depend on the other rows, so batches can be cut anywhere.
    #[test]
    fn rows_do_not_depend_on_each_other() {
        let (depth, columns) = (77, 130);
        let (x, matrix) = (values(20 * depth, 1), values(depth * columns, 2));
        let panels = panels(&matrix, columns, None);
        let together = panels.multiply(&x, 0..columns);
        for (row, expected) in x.chunks_exact(depth).zip(together.chunks_exact(columns)) {
            assert_eq!(panels.multiply(row, 0..columns), expected);
        }
    }
}
