//! Sums in memory.

use std::collections::BTreeMap;
use std::ops::Range;

/// Columns of a panel. The order of the sums does not depend on it.
const COLUMNS: usize = 128;

/// Sums over samples, for the exit levels that are asked for and the targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// H.
    pub hidden_size: usize,
    /// N.
    pub samples: u64,
    /// Those of each exit level.
    pub levels: BTreeMap<usize, LevelSums>,
    /// Those of the targets.
    pub targets: TargetSums,
}

/// The sums of one level.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelSums {
    /// Σ h, (H).
    pub sum: Vec<f64>,
    /// Σ hᵀh, (H, H); only the values on and above the diagonal count.
    pub gram: Matrix,
    /// Σ hᵀt, (H, H).
    pub cross: Matrix,
}

/// The sums of the targets.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetSums {
    /// Σ t, (H).
    pub sum: Vec<f64>,
    /// Σ tᵀt, (H, H); only the values on and above the diagonal count.
    pub gram: Matrix,
}

/// A matrix (H, H) in panels of columns, so that threads can add to one each.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    hidden_size: usize,
    panels: Vec<Panel>,
}

/// Some columns of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Which.
    pub columns: Range<usize>,
    /// (H, columns), row by row.
    pub values: Vec<f64>,
}

impl Sums {
    /// Of no samples yet.
    pub fn none(hidden_size: usize, levels: impl IntoIterator<Item = usize>) -> Self {
        let (sum, matrix) = (|| vec![0.0; hidden_size], || Matrix::zeros(hidden_size));
        let level = |level| (level, LevelSums { sum: sum(), gram: matrix(), cross: matrix() });
        Self {
            hidden_size,
            samples: 0,
            levels: levels.into_iter().map(level).collect(),
            targets: TargetSums { sum: sum(), gram: matrix() },
        }
    }

    /// Copies what is above each diagonal to below it, which is done before sums are written.
    pub fn mirror(&mut self) {
        self.targets.gram.mirror();
        self.levels.values_mut().for_each(|level| level.gram.mirror());
    }

    /// How many bytes the sums of so many exit levels take.
    pub fn bytes(hidden_size: usize, levels: usize) -> u64 {
        let matrix = (hidden_size * hidden_size * size_of::<f64>()) as u64;
        (2 * levels as u64 + 1) * matrix
    }
}

impl Matrix {
    /// Zeros.
    pub fn zeros(hidden_size: usize) -> Self {
        let panel = |start: usize| {
            let columns = start..hidden_size.min(start + COLUMNS);
            Panel { values: vec![0.0; hidden_size * columns.len()], columns }
        };
        Self { hidden_size, panels: (0..hidden_size).step_by(COLUMNS).map(panel).collect() }
    }

    /// The panels, from the first columns to the last.
    pub fn panels_mut(&mut self) -> &mut [Panel] {
        &mut self.panels
    }

    /// Copies the values on and above the diagonal to below it.
    fn mirror(&mut self) {
        for row in 0..self.hidden_size {
            for column in 0..row {
                let above = self.get(column, row);
                let panel = &mut self.panels[column / COLUMNS];
                panel.values[row * panel.columns.len() + column % COLUMNS] = above;
            }
        }
    }

    fn get(&self, row: usize, column: usize) -> f64 {
        let panel = &self.panels[column / COLUMNS];
        panel.values[row * panel.columns.len() + column % COLUMNS]
    }

    /// Gives the values to `take`, row by row in pieces.
    ///
    /// # Errors
    /// What `take` returns.
    pub(super) fn rows<E>(&self, mut take: impl FnMut(&[f64]) -> Result<(), E>) -> Result<(), E> {
        for row in 0..self.hidden_size {
            for Panel { columns, values } in &self.panels {
                take(&values[row * columns.len()..][..columns.len()])?;
            }
        }
        Ok(())
    }

    /// Takes values from `give`, row by row in pieces.
    ///
    /// # Errors
    /// What `give` returns.
    pub(super) fn fill<E>(&mut self, mut give: impl FnMut(&mut [f64]) -> Result<(), E>) -> Result<(), E> {
        for row in 0..self.hidden_size {
            for Panel { columns, values } in &mut self.panels {
                give(&mut values[row * columns.len()..][..columns.len()])?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_the_same_in_panels_and_in_rows() {
        for hidden in [1, 127, 128, 131, 300] {
            let mut matrix = Matrix::zeros(hidden);
            let mut next = 0.0;
            let fill = |values: &mut [f64]| {
                for value in values {
                    *value = next;
                    next += 1.0;
                }
                Ok::<(), ()>(())
            };
            matrix.fill(fill).unwrap();
            let mut rows = Vec::new();
            let take = |values: &[f64]| {
                rows.extend_from_slice(values);
                Ok::<(), ()>(())
            };
            matrix.rows(take).unwrap();
            assert!(rows.iter().enumerate().all(|(place, &value)| value == place as f64));
            matrix.mirror();
            for (row, column) in [(0, 0), (hidden / 2, hidden - 1), (hidden - 1, hidden / 3), (hidden - 1, 0)]
            {
                let (low, high) = (row.min(column), row.max(column));
                assert_eq!(matrix.get(row, column), (low * hidden + high) as f64);
            }
        }
    }
}
