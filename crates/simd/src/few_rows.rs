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
    /// The rows in whole chunks, [`interleaved`].
    pub x: &'a [f32],
    /// Rows of weights, one after another, each of whole chunks.
    pub weights: &'a [C],
    /// Chunks of a row.
    pub chunks: usize,
    /// For each row of weights its products with the rows.
    pub products: &'a mut [f32],
}

/// Rows of `width` values, whole planes, plane by plane: the first plane of each row, then the second. What a product reads
/// next is then always what lies next.
pub(crate) fn interleaved(x: &[f32], width: usize) -> Vec<f32> {
    let rows = x.len() / width;
    let mut all = vec![0.0; x.len()];
    for (row, x) in x.chunks_exact(width).enumerate() {
        for (plane, x) in x.chunks_exact(PLANE).enumerate() {
            all[(plane * rows + row) * PLANE..][..PLANE].copy_from_slice(x);
        }
    }
    all
}

impl<C: Chunk> WithSimd for FewRows<'_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // A sum waits for its own last addition, so there are several at a time. Wide weights wait for memory, which comes
        // sooner as one stream than as several (25 and 32 GB/s in f32, 18 and 31 in finer blocks, on two cores with vectors
        // of 512 bits or 256): up to so many rows go through them one row of weights at a time.
        let most_alone = match size_of::<C>() / C::VALUES {
            0 => 0,
            4 => MOST_ROWS,
            _ => MOST_ROWS / 2,
        };
        let rows = self.x.len() / (self.chunks * C::VALUES);
        let alone = rows <= most_alone;
        match rows {
            0 => {}
            1 if alone => self.tiles::<S, 1, 1>(simd),
            1 => self.tiles::<S, 1, 4>(simd),
            2 => self.some::<S, 2>(simd, alone),
            3 => self.some::<S, 3>(simd, alone),
            4 => self.some::<S, 4>(simd, alone),
            5 => self.some::<S, 5>(simd, alone),
            6 => self.some::<S, 6>(simd, alone),
            7 => self.some::<S, 7>(simd, alone),
            _ => self.some::<S, MOST_ROWS>(simd, alone),
        }
    }
}

impl<C: Chunk> FewRows<'_, C> {
    /// The products of R rows, with one row of weights at a time or two.
    #[inline(always)]
    fn some<S: Simd, const R: usize>(self, simd: S, alone: bool) {
        if alone { self.tiles::<S, R, 1>(simd) } else { self.tiles::<S, R, 2>(simd) }
    }

    /// The products of R rows, with W rows of weights at a time. What is left over is multiplied one by one.
    #[inline(always)]
    fn tiles<S: Simd, const R: usize, const W: usize>(self, simd: S) {
        let x = S::as_simd_f32s(self.x).0;
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
    x: &[S::f32s],
    weights: &[C],
    products: &mut [f32],
) {
    let chunks = weights.len() / W;
    let weights: [&[C]; W] = std::array::from_fn(|w| &weights[w * chunks..][..chunks]);
    let mut sums = [[simd.splat_f32s(0.0); R]; W];
    for (chunk, x) in x.chunks_exact(R * C::VALUES / S::F32_LANES).enumerate() {
        for weights in &weights {
            prefetch(&weights[chunk], AHEAD);
        }
        let here: [&C; W] = std::array::from_fn(|w| &weights[w][chunk]);
        let tile = Tile { x, weights: here };
        tile.add::<S, R, 0>(simd, &mut sums);
        tile.add::<S, R, 1>(simd, &mut sums);
        tile.add::<S, R, 2>(simd, &mut sums);
        tile.add::<S, R, 3>(simd, &mut sums);
        if C::PLANES == 8 {
            tile.add::<S, R, 4>(simd, &mut sums);
            tile.add::<S, R, 5>(simd, &mut sums);
            tile.add::<S, R, 6>(simd, &mut sums);
            tile.add::<S, R, 7>(simd, &mut sums);
        }
    }
    for (products, sums) in products.chunks_exact_mut(R).zip(sums) {
        for (product, sum) in products.iter_mut().zip(sums) {
            *product = simd.reduce_sum_f32s(sum);
        }
    }
}

/// Rows and W rows of weights, a chunk of each.
struct Tile<'a, V, C, const W: usize> {
    x: &'a [V],
    weights: [&'a C; W],
}

impl<V: Copy, C: Chunk, const W: usize> Tile<'_, V, C, W> {
    /// Adds the products of a plane. The compiler knows which one: to shift by what it does not know takes several
    /// instructions where vectors have 256 bits.
    #[inline(always)]
    fn add<S: Simd<f32s = V>, const R: usize, const P: usize>(&self, simd: S, sums: &mut [[V; R]; W]) {
        let vectors = PLANE / S::F32_LANES;
        for vector in 0..vectors {
            let values: [V; R] = std::array::from_fn(|r| self.x[(P * R + r) * vectors + vector]);
            for (sums, weights) in sums.iter_mut().zip(self.weights) {
                let widened = weights.vector(simd, P, vector);
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = simd.mul_add_e_f32s(value, widened, *sum);
                }
            }
        }
    }
}
