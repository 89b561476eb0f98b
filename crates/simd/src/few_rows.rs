//! The innermost product of a few rows with rows of weights: one sum of products for each pair, in registers.

use pulp::{Simd, WithSimd};

use crate::format::{Chunk, PLANE};
use crate::prefetch::prefetch;

/// The most rows that are multiplied with weights while those are in registers.
pub const MOST_ROWS: usize = 8;

/// How far ahead weights are asked for, in bytes.
const AHEAD: usize = 4096;

/// The products of up to eight rows with some rows of weights.
pub(crate) struct FewRows<'a, C> {
    /// The rows, one after another, each of whole chunks.
    pub x: &'a [f32],
    /// Rows of weights, likewise.
    pub weights: &'a [C],
    /// Chunks of a row.
    pub chunks: usize,
    /// For each row of weights its products with the rows.
    pub products: &'a mut [f32],
}

impl<C: Chunk> WithSimd for FewRows<'_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // A sum waits for its own last addition, so there are several at a time. Wide weights wait for memory, which comes
        // sooner as one stream than as several (25 and 32 GB/s in f32, 18 and 31 in finer blocks, on two cores with vectors
        // of 512 bits or 256): up to four rows go through them one row of weights at a time.
        let wide = size_of::<C>() > C::VALUES;
        match self.x.len() / (self.chunks * C::VALUES) {
            0 => {}
            1 if wide => self.tiles::<S, 1, 1>(simd),
            2 if wide => self.tiles::<S, 2, 1>(simd),
            3 if wide => self.tiles::<S, 3, 1>(simd),
            4 if wide => self.tiles::<S, 4, 1>(simd),
            1 => self.tiles::<S, 1, 4>(simd),
            2 => self.tiles::<S, 2, 2>(simd),
            3 => self.tiles::<S, 3, 2>(simd),
            4 => self.tiles::<S, 4, 2>(simd),
            5 => self.tiles::<S, 5, 2>(simd),
            6 => self.tiles::<S, 6, 2>(simd),
            7 => self.tiles::<S, 7, 2>(simd),
            _ => self.tiles::<S, MOST_ROWS, 2>(simd),
        }
    }
}

impl<C: Chunk> FewRows<'_, C> {
    /// The products of R rows, with W rows of weights at a time. What is left over is multiplied one by one.
    #[inline(always)]
    fn tiles<S: Simd, const R: usize, const W: usize>(self, simd: S) {
        let row = self.chunks * C::VALUES;
        let x: [&[f32]; R] = std::array::from_fn(|r| &self.x[r * row..][..row]);
        let (weights, products) = (self.weights.chunks_exact(W * self.chunks), self.products);
        let (together, rest) = products.split_at_mut(weights.len() * W * R);
        let single = weights.remainder().chunks_exact(self.chunks);
        for (weights, products) in weights.zip(together.chunks_exact_mut(W * R)) {
            tile::<S, C, R, W>(simd, x, weights, products);
        }
        for (weights, products) in single.zip(rest.chunks_exact_mut(R)) {
            tile::<S, C, R, 1>(simd, x, weights, products);
        }
    }
}

/// The products of R rows with W rows of weights. The order of a sum depends neither on R nor on W.
#[inline(always)]
fn tile<S: Simd, C: Chunk, const R: usize, const W: usize>(
    simd: S,
    x: [&[f32]; R],
    weights: &[C],
    products: &mut [f32],
) {
    let chunks = weights.len() / W;
    let weights: [&[C]; W] = std::array::from_fn(|w| &weights[w * chunks..][..chunks]);
    let mut sums = [[simd.splat_f32s(0.0); R]; W];
    for chunk in 0..chunks {
        for weights in &weights {
            prefetch(&weights[chunk], AHEAD);
        }
        let x: [&[f32]; R] = std::array::from_fn(|r| &x[r][chunk * C::VALUES..][..C::VALUES]);
        let here: [&C; W] = std::array::from_fn(|w| &weights[w][chunk]);
        let tile = Tile { x, weights: here };
        tile.add::<S, 0>(simd, &mut sums);
        tile.add::<S, 1>(simd, &mut sums);
        tile.add::<S, 2>(simd, &mut sums);
        tile.add::<S, 3>(simd, &mut sums);
        if C::PLANES == 8 {
            tile.add::<S, 4>(simd, &mut sums);
            tile.add::<S, 5>(simd, &mut sums);
            tile.add::<S, 6>(simd, &mut sums);
            tile.add::<S, 7>(simd, &mut sums);
        }
    }
    for (products, sums) in products.chunks_exact_mut(R).zip(sums) {
        for (product, sum) in products.iter_mut().zip(sums) {
            *product = simd.reduce_sum_f32s(sum);
        }
    }
}

/// R rows and W rows of weights, a chunk of each.
struct Tile<'a, C, const R: usize, const W: usize> {
    x: [&'a [f32]; R],
    weights: [&'a C; W],
}

impl<C: Chunk, const R: usize, const W: usize> Tile<'_, C, R, W> {
    /// Adds the products of a plane. The compiler knows which one: to shift by what it does not know takes several
    /// instructions where vectors have 256 bits.
    #[inline(always)]
    fn add<S: Simd, const P: usize>(&self, simd: S, sums: &mut [[S::f32s; R]; W]) {
        for vector in 0..PLANE / S::F32_LANES {
            let place = P * (PLANE / S::F32_LANES) + vector;
            let values: [S::f32s; R] = std::array::from_fn(|r| S::as_simd_f32s(self.x[r]).0[place]);
            for (sums, weights) in sums.iter_mut().zip(self.weights) {
                let widened = weights.vector(simd, P, vector);
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = simd.mul_add_e_f32s(value, widened, *sum);
                }
            }
        }
    }
}
