//! Σ‖h − mean h‖² of the final hidden states, put together part by part (Chan, Golub and LeVeque 1979).

use crate::metrics::Variation;

/// Over all samples, and over those whose position is not 0.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Variations([Spread; 2]);

/// Of some states.
#[derive(Debug, Clone, PartialEq)]
struct Spread {
    count: f64,
    /// Σ‖h − mean h‖².
    squares: f64,
    /// mean h, (H).
    mean: Vec<f64>,
}

impl Variations {
    /// Of no states yet.
    pub fn new(hidden_size: usize) -> Self {
        let spread = || Spread { count: 0.0, squares: 0.0, mean: vec![0.0; hidden_size] };
        Self([spread(), spread()])
    }

    /// Of states (N, H) at these positions.
    pub fn of(states: &[f32], positions: &[u32], hidden_size: usize) -> Self {
        let rows = || states.chunks_exact(hidden_size.max(1)).zip(positions);
        let all = Spread::of(rows().map(|(row, _)| row), hidden_size);
        let others = rows().filter(|&(_, &position)| position > 0);
        Self([all, Spread::of(others.map(|(row, _)| row), hidden_size)])
    }

    /// Adds those of other states.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(ours, theirs)| ours.add(theirs));
    }

    pub fn variation(&self) -> Variation {
        let [all, without_0] = &self.0;
        Variation { all: all.squares, without_0: without_0.squares }
    }

    /// As one list of numbers.
    pub fn values(&self) -> Vec<f64> {
        let values = |spread: &Spread| [&[spread.count, spread.squares][..], &spread.mean].concat();
        self.0.iter().flat_map(values).collect()
    }

    /// Those of such a list.
    pub fn of_values(values: &[f64]) -> Self {
        let (all, without_0) = values.split_at(values.len() / 2);
        let spread =
            |values: &[f64]| Spread { count: values[0], squares: values[1], mean: values[2..].to_vec() };
        Self([spread(all), spread(without_0)])
    }
}

impl Spread {
    fn of<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone, hidden_size: usize) -> Self {
        let (mut count, mut mean) = (0.0, vec![0.0; hidden_size]);
        for row in rows.clone() {
            count += 1.0;
            mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        if count > 0.0 {
            mean.iter_mut().for_each(|sum| *sum /= count);
        }
        let square = |row: &[f32]| -> f64 {
            row.iter().zip(&mean).map(|(&value, mean)| (f64::from(value) - mean).powi(2)).sum()
        };
        let squares = rows.map(square).sum();
        Self { count, squares, mean }
    }

    fn add(&mut self, other: &Self) {
        let count = self.count + other.count;
        if count == 0.0 {
            return;
        }
        let mut apart = 0.0;
        for (mean, theirs) in self.mean.iter_mut().zip(&other.mean) {
            let difference = theirs - *mean;
            apart += difference * difference;
            *mean += difference * other.count / count;
        }
        self.squares += other.squares + apart * self.count * other.count / count;
        self.count = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts of any size, one of them empty, come to what all states together do; f64 sums of 300 values of order 1 to 100.
    #[test]
    fn parts_come_to_the_whole() {
        let states: Vec<f32> =
            (0..300).map(|i| (i * 37 % 101) as f32 + if i % 3 == 0 { 50.0 } else { 0.0 }).collect();
        let positions: Vec<u32> = (0..100).map(|i| i % 4).collect();
        let whole = Variations::of(&states, &positions, 3);
        let mut joined = Variations::new(3);
        for (start, end) in [(0, 1), (1, 1), (1, 40), (40, 100)] {
            let part = Variations::of(&states[start * 3..end * 3], &positions[start..end], 3);
            joined.add(&Variations::of_values(&part.values()));
        }
        for (ours, expected) in joined.values().iter().zip(whole.values()) {
            assert!((ours - expected).abs() < 1e-12 * expected.abs().max(1.0), "{ours} {expected}");
        }
        // By the definition, of the rows that are not at position 0.
        let rows: Vec<&[f32]> =
            states.chunks(3).zip(&positions).filter(|row| *row.1 > 0).map(|row| row.0).collect();
        let mean =
            |place: usize| rows.iter().map(|row| f64::from(row[place])).sum::<f64>() / rows.len() as f64;
        let squares: f64 = (0..3)
            .map(|place| rows.iter().map(|row| (f64::from(row[place]) - mean(place)).powi(2)).sum::<f64>())
            .sum();
        assert!((joined.variation().without_0 - squares).abs() < 1e-9 * squares);
    }
}
