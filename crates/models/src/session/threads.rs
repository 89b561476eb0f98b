//! What threads share: the outputs of a product, the heads of attention.

use std::ops::Range;

use onejump_tensor::threads;
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::ModelError;

/// Into how many pieces a thread's share is cut, so that one that is held up leaves some to the others.
const PIECES: usize = 4;

/// No piece has fewer outputs: handing one to a thread costs as much as some products.
const LEAST_OUTPUTS: usize = 16;

/// Threads that compute a step together.
pub(super) struct Threads(ThreadPool);

impl Threads {
    pub fn new(count: usize) -> Result<Self, ModelError> {
        Ok(Self(threads::pool_of(count)?))
    }

    /// Runs something in one of the threads, where the others help it.
    pub fn run<T: Send>(&self, work: impl FnOnce(&Self) -> T + Send) -> T {
        self.0.install(|| work(self))
    }

    /// Computes `outputs` outputs for some rows, (outputs, n): `part` gets some outputs, and the room for them. Returns
    /// them row by row, (n, outputs).
    pub fn outputs(
        &self,
        outputs: usize,
        rows: usize,
        part: impl Fn(Range<usize>, &mut [f32]) + Send + Sync,
    ) -> Vec<f32> {
        let mut products = vec![0.0; outputs * rows];
        let count = outputs.div_ceil(PIECES * self.0.current_num_threads()).max(LEAST_OUTPUTS);
        let pieces = products.par_chunks_mut(count * rows).enumerate();
        pieces.for_each(|(index, products)| {
            let start = index * count;
            part(start..start + products.len() / rows, products);
        });
        if rows == 1 { products } else { transposed(&products, rows) }
    }

    /// Computes pieces of a result one by one: `piece` gets its number, its room and room for `scores`. Small work is
    /// not worth sharing: `steps` says how much there is.
    pub fn pieces(
        &self,
        result: &mut [f32],
        width: usize,
        steps: usize,
        piece: impl Fn(usize, &mut [f32], &mut Vec<f32>) + Send + Sync,
    ) {
        /// A thread does about as many in the time that it takes to hand it something.
        const WORTH_SHARING: usize = 1 << 16;
        if steps < WORTH_SHARING {
            let mut scores = Vec::new();
            return result
                .chunks_exact_mut(width)
                .enumerate()
                .for_each(|(index, room)| piece(index, room, &mut scores));
        }
        let pieces = result.par_chunks_exact_mut(width).enumerate();
        pieces.for_each_init(Vec::new, |scores, (index, room)| piece(index, room, scores));
    }
}

/// (outputs, n) -> (n, outputs).
fn transposed(products: &[f32], rows: usize) -> Vec<f32> {
    let outputs = products.len() / rows;
    let mut by_row = vec![0.0; products.len()];
    for (output, products) in products.chunks_exact(rows).enumerate() {
        for (row, product) in products.iter().enumerate() {
            by_row[row * outputs + output] = *product;
        }
    }
    by_row
}
