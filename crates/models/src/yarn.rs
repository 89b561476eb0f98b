//! YaRN (Peng et al. 2023, arXiv:2309.00071): the frequencies of a rotary embedding stretched for a longer context, as
//! Hugging Face computes them, in f32.

use std::f64::consts::PI;

/// The numbers of a stretched embedding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Yarn {
    /// θ.
    pub theta: f64,
    /// How many values of a head are rotated.
    pub rotated: i64,
    /// How many times longer the context is.
    pub factor: f64,
    /// The context before.
    pub original: f64,
    /// A pair of values that turns more often than this within the original context keeps its frequency.
    pub beta_fast: f64,
    /// One that turns less often than this is stretched by the whole factor.
    pub beta_slow: f64,
}

impl Yarn {
    /// The turns up to which pairs keep their frequency, where config.json does not say it.
    pub const BETA_FAST: f64 = 32.0;
    /// The turns from which on they are stretched, likewise.
    pub const BETA_SLOW: f64 = 1.0;

    /// The frequency of each pair of values.
    pub fn frequencies(&self) -> Vec<f64> {
        let low = self.pair(self.beta_fast).floor().max(0.0);
        let high = self.pair(self.beta_slow).ceil().min((self.rotated - 1) as f64);
        // Between the two lies a ramp; it has no width of 0.
        let high = if low == high { high + 0.001 } else { high };
        (0..self.rotated / 2)
            .map(|i| {
                let wave = (self.theta as f32).powf((2 * i) as f32 / self.rotated as f32);
                let (plain, stretched) = (1.0 / wave, 1.0 / (self.factor as f32 * wave));
                let ramp = ((i as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0);
                let keep = 1.0 - ramp;
                f64::from(stretched * (1.0 - keep) + plain * keep)
            })
            .collect()
    }

    /// What multiplies cosines and sines where config.json does not say it.
    pub fn scale(factor: f64) -> f64 {
        if factor > 1.0 { 0.1 * factor.ln() + 1.0 } else { 1.0 }
    }

    /// Which pair turns this often within the original context.
    fn pair(&self, turns: f64) -> f64 {
        self.rotated as f64 * (self.original / (turns * 2.0 * PI)).ln() / (2.0 * self.theta.ln())
    }
}
