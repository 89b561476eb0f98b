//! How fast weights are multiplied with one row and with a few, beside a plain sum over as many bytes:
//!
//! `cargo run --release -p onejump-simd --example weights -- [THREADS]`
//!
//! Product and sum take turns, so that what else runs on the machine slows both. The weights are larger than its
//! caches.

#![allow(clippy::print_stdout)]

use std::ops::Range;
use std::time::Instant;

use onejump_simd::{Format, Weights};
use pulp::{Arch, Simd, WithSimd};

const BYTES: usize = 384 << 20;
const INPUTS: usize = 576;
const TURNS: usize = 7;

fn main() {
    let threads: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2);
    let plain = vec![1.0f32; BYTES / 4];
    println!(
        "{threads} threads; GB/s of the plain sum, GB/s of one row, and the time of n rows over that of one"
    );
    for (format, bits) in [(Format::F32, 32.0), (Format::Bf16, 16.0), (Format::F16, 16.0), (Format::Q8, 8.5)]
    {
        let outputs = (BYTES as f64 * 8.0 / bits) as usize / INPUTS;
        // Rows that are stored once and repeated would stay in the cache: all are there.
        let row: Vec<f32> = (0..INPUTS).map(|i| ((i * 37) % 61) as f32 * 0.01 - 0.3).collect();
        let matrix: Vec<f32> = row.iter().copied().cycle().take(outputs * INPUTS).collect();
        let Some(weights) = Weights::rounded(format, INPUTS, &matrix) else { continue };
        drop(matrix);
        let x = vec![0.5; INPUTS * 8];
        let mut products = vec![0.0; outputs * 8];
        let mut line = format!("{format:?}:");
        let mut one = 0.0;
        for rows in [1, 2, 3, 4, 6, 8] {
            let mut sums = Vec::new();
            let mut times = Vec::new();
            for _ in 0..TURNS {
                let bytes = weights.bytes() / 4;
                sums.push(timed(|| shared(threads, bytes, |_, part| assert!(sum(&plain[part]) > 0.0))));
                times.push(timed(|| multiply(threads, &weights, &x[..rows * INPUTS], rows, &mut products)));
            }
            let (sum, time) = (least(&sums), least(&times));
            let rate = |seconds: f64| weights.bytes() as f64 / seconds / 1e9;
            if rows == 1 {
                one = time;
                line +=
                    &format!(" sum {:.1}, product {:.1} ({:.2} of it);", rate(sum), rate(time), sum / time);
            } else {
                line += &format!(" v({rows}) {:.2}", time / one);
            }
        }
        println!("{line}");
    }
}

fn multiply(threads: usize, weights: &Weights, x: &[f32], rows: usize, products: &mut [f32]) {
    let outputs = weights.outputs();
    let count = outputs.div_ceil(threads);
    std::thread::scope(|scope| {
        for (index, products) in products[..outputs * rows].chunks_mut(count * rows).enumerate() {
            let start = index * count;
            scope.spawn(move || weights.multiply(x, start..start + products.len() / rows, products));
        }
    });
}

/// Runs a part of the work in each thread.
fn shared(threads: usize, work: usize, run: impl Fn(usize, Range<usize>) + Sync) {
    let count = work.div_ceil(threads);
    std::thread::scope(|scope| {
        for index in 0..threads {
            let run = &run;
            scope.spawn(move || run(index, index * count..work.min((index + 1) * count)));
        }
    });
}

/// Reads values as fast as they come.
fn sum(values: &[f32]) -> f32 {
    Arch::new().dispatch(Sum(values))
}

struct Sum<'a>(&'a [f32]);

impl WithSimd for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let mut sums = [simd.splat_f32s(0.0); 8];
        for vectors in S::as_simd_f32s(self.0).0.as_chunks::<8>().0 {
            for (sum, vector) in sums.iter_mut().zip(vectors) {
                *sum = simd.add_f32s(*sum, *vector);
            }
        }
        sums.iter().map(|sum| simd.reduce_sum_f32s(*sum)).sum()
    }
}

fn timed(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

/// The least time is the one that others disturbed least.
fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}
