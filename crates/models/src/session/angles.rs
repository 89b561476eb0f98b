//! Rotary angles of the positions of a text.

/// The cosine and the sine of each angle, (capacity, d/2).
pub(super) struct Angles {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Angles {
    /// Angles position · frequency in f32, as Hugging Face computes them; cosines and sines are multiplied by `scale`.
    pub fn new(frequencies: &[f32], scale: f64, positions: usize) -> Self {
        let angles =
            || (0..positions).flat_map(|position| frequencies.iter().map(move |f| position as f32 * f));
        Self {
            half: frequencies.len(),
            cos: angles().map(|angle| angle.cos() * scale as f32).collect(),
            sin: angles().map(|angle| angle.sin() * scale as f32).collect(),
        }
    }

    /// Rotates the first values of a head; the others pass.
    pub fn rotate(&self, position: usize, head: &mut [f32]) {
        let range = position * self.half..(position + 1) * self.half;
        let (first, rest) = head.split_at_mut(self.half);
        for ((first, second), (cos, sin)) in
            first.iter_mut().zip(rest).zip(self.cos[range.clone()].iter().zip(&self.sin[range]))
        {
            let (x, y) = (*first, *second);
            *first = x * cos - y * sin;
            *second = y * cos + x * sin;
        }
    }
}
