//! Sums over rows of f32 values, in f64: products, cosines, distances.
//!
//! Each sum runs in a fixed number of lanes, whatever the processor's vectors are: the results are the same
//! everywhere.

use pulp::Arch;

/// Lanes of a sum.
const LANES: usize = 8;

/// How close a row is to another one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Distance {
    /// The cosine between them; 0 where one of them is 0.
    pub cosine: f64,
    /// ‖x − y‖².
    pub squared_error: f64,
}

/// Σ x·y.
#[inline(always)]
pub fn dot(x: &[f32], y: &[f32]) -> f64 {
    let mut sums = [0.0; LANES];
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in x.iter().zip(y) {
        for lane in 0..LANES {
            sums[lane] += f64::from(x[lane]) * f64::from(y[lane]);
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
    sums.iter().sum::<f64>() + rest
}

/// The distance of each row of x from that of y; both are (n, width).
pub fn distances(x: &[f32], y: &[f32], width: usize) -> Vec<Distance> {
    let rows = x.chunks_exact(width).zip(y.chunks_exact(width));
    Arch::new().dispatch(|| rows.map(|(x, y)| distance(x, y)).collect())
}

#[inline(always)]
fn distance(x: &[f32], y: &[f32]) -> Distance {
    let mut sums = [[0.0; LANES]; 4];
    let mut add = |lane: usize, x: f32, y: f32| {
        let (x, y) = (f64::from(x), f64::from(y));
        for (sum, value) in sums.iter_mut().zip([x * y, x * x, y * y, (x - y) * (x - y)]) {
            sum[lane] += value;
        }
    };
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in x.iter().zip(y) {
        for lane in 0..LANES {
            add(lane, x[lane], y[lane]);
        }
    }
    for (&x, &y) in x_rest.iter().zip(y_rest) {
        add(0, x, y);
    }
    let [product, x_squared, y_squared, squared_error] = sums.map(|lanes| lanes.iter().sum::<f64>());
    let lengths = (x_squared * y_squared).sqrt();
    Distance { cosine: if lengths > 0.0 { product / lengths } else { 0.0 }, squared_error }
}

/// The cosines of several vectors that lie side by side in a row with those of other rows, (n, vectors).
///
/// `x` and `y` are (n, vectors · width): row by row, vectors of `width` values. A cosine is x·y over the length of x and
/// `norms`, (n), which stands for the length of y.
pub fn cosines(x: &[f32], y: &[f32], norms: &[f64], width: usize) -> Vec<f64> {
    Arch::new().dispatch(|| {
        let row = x.len() / norms.len().max(1);
        let rows = x.chunks_exact(row.max(1)).zip(y.chunks_exact(row.max(1))).zip(norms);
        rows.flat_map(|((x, y), norm)| {
            let pairs = x.chunks_exact(width).zip(y.chunks_exact(width));
            pairs.map(move |(x, y)| dot(x, y) / (dot(x, x).sqrt() * norm))
        })
        .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole lanes, some lanes, and less than one, against sums in order; of values this size f64 is exact to 1e-12.
    #[test]
    fn sums_are_those_of_the_definitions() {
        for width in [1, 5, 8, 19, 64] {
            let value = |i: usize| ((i * 37 + 11) % 23) as f32 * 0.25 - 2.5;
            let x: Vec<f32> = (0..3 * width).map(value).collect();
            let y: Vec<f32> = (0..3 * width).map(|i| value(i + 5)).collect();
            let sum = |f: fn(f64, f64) -> f64, row: usize| -> f64 {
                let range = row * width..(row + 1) * width;
                x[range.clone()].iter().zip(&y[range]).map(|(&x, &y)| f(x.into(), y.into())).sum()
            };
            let norms: Vec<f64> = (0..3).map(|row| sum(|_, y| y * y, row).sqrt()).collect();
            let found = cosines(&x, &y, &norms, width);
            assert_eq!(found.len(), 3);
            for (row, distance) in distances(&x, &y, width).into_iter().enumerate() {
                let cosine = sum(|x, y| x * y, row) / (sum(|x, _| x * x, row).sqrt() * norms[row]);
                assert!((distance.cosine - cosine).abs() < 1e-12, "{width}");
                assert!((distance.squared_error - sum(|x, y| (x - y) * (x - y), row)).abs() < 1e-12);
                assert!((found[row] - cosine).abs() < 1e-12);
            }
            // The same values as one row of three vectors.
            let wide = cosines(&x, &y, &norms[..1], width);
            assert!(
                wide.iter()
                    .zip(&found)
                    .zip(&norms)
                    .all(|((wide, found), norm)| { (wide * norms[0] / norm - found).abs() < 1e-12 })
            );
        }
        assert_eq!(distances(&[0.0, 0.0], &[3.0, 4.0], 2), [Distance { cosine: 0.0, squared_error: 25.0 }]);
    }
}
