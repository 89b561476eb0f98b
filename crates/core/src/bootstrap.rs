//! What all bootstraps over texts share: how many times they draw, which texts a draw has, and the ends of an interval.

use crate::seed::{Purpose, below, stream};

/// Resamples.
pub const RESAMPLES: usize = 1000;

/// The percentiles that an interval reaches from and to: it covers 95 %.
pub const PERCENTILES: [f64; 2] = [0.025, 0.975];

/// The texts that a resample draws, with replacement: as many as there are. It depends on the seed, the resample's number
/// and how many texts there are.
pub fn drawn(seed: u64, resample: usize, texts: usize) -> impl Iterator<Item = usize> {
    let mut rng = stream(seed, Purpose::Bootstrap, resample as u64);
    (0..texts).map(move |_| below(&mut rng, texts as u64) as usize)
}

/// The ends of the interval that [`PERCENTILES`] name, between neighbours in proportion; none without values.
pub fn ends(mut values: Vec<f64>) -> Option<[f64; 2]> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(PERCENTILES.map(|share| {
        let place = share * last as f64;
        let (low, high) = (values[place as usize], values[(place as usize + 1).min(last)]);
        low + (high - low) * place.fract()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resample_draws_as_many_texts_as_there_are() {
        let draw = |seed, resample| drawn(seed, resample, 50).collect::<Vec<_>>();
        assert_eq!(draw(0, 3), draw(0, 3));
        assert!(draw(0, 3) != draw(0, 4) && draw(0, 3) != draw(1, 3));
        assert!(draw(0, 3).len() == 50 && draw(0, 3).iter().all(|&text| text < 50));
        assert_eq!(drawn(0, 0, 0).count(), 0);
    }

    /// NumPy: `np.quantile(np.arange(9, -1, -1) ** 2, [0.025, 0.975])`.
    #[test]
    fn ends_are_numpys_quantiles() {
        let squares = (0..10).rev().map(|i| f64::from(i * i)).collect();
        let [low, high] = ends(squares).unwrap();
        assert!((low - 0.225).abs() < 1e-12 && (high - 77.175).abs() < 1e-12, "{low} {high}");
        assert_eq!(ends(vec![3.0]), Some([3.0, 3.0]));
        assert_eq!(ends(Vec::new()), None);
    }
}
