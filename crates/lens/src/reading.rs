//! What a lens says when all of it is read: from where an answer stays, and where a threshold would let it go.

use crate::cells::Cell;
use crate::lens::{Lens, Method};

/// What becomes of one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The first of the levels that were looked at from which on, up to the last, the answer is the model's.
    pub stays_from: usize,
    /// The first exit level whose answer is more probable than the threshold; K where there is none.
    pub exit: usize,
    /// Whether the answer there is the model's.
    pub agrees: bool,
}

/// Means over the positions that are shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overview {
    /// The share of exit levels and positions whose answer is the model's; none without an exit level.
    pub precision: Option<f64>,
    /// The mean surprisal over exit levels and positions, in nats; none without an exit level.
    pub surprisal: Option<f64>,
    /// The mean level from which the answer stays.
    pub stays_from: f64,
    /// The mean level at which the threshold lets a token go.
    pub exit: f64,
    /// The share of positions whose answer there is the model's.
    pub agreement: f64,
}

impl Lens {
    /// The way of every position through a method.
    pub fn ways(&self, method: &Method) -> Vec<Way> {
        (0..self.columns.len()).map(|place| self.way(method, place)).collect()
    }

    fn way(&self, method: &Method, place: usize) -> Way {
        let truth = self.columns[place].answer;
        let agrees = |cells: &Vec<Cell>| cells[place].answer().token == truth;
        let last = self.levels.len() - 1;
        let stays = (0..=last).rev().take_while(|&level| agrees(&method.cells[level])).last().unwrap_or(last);
        let sure =
            |cells: &Vec<Cell>| self.threshold < 1.0 && cells[place].answer().probability > self.threshold;
        let exit = method.cells[..last].iter().position(sure).unwrap_or(last);
        let agrees = agrees(&method.cells[exit]);
        Way { stays_from: self.levels[stays], exit: self.levels[exit], agrees }
    }

    /// What a method comes to.
    pub fn overview(&self, method: &Method) -> Overview {
        let ways = self.ways(method);
        let over = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        let exits = &method.cells[..self.levels.len() - 1];
        let cells = || exits.iter().flat_map(|cells| cells.iter().zip(&self.columns));
        let right = cells().filter(|(cell, column)| cell.answer().token == column.answer).count();
        let count = cells().count();
        let mean = |get: fn(&Way) -> f64| ways.iter().map(get).sum::<f64>() / ways.len() as f64;
        Overview {
            precision: over(right as f64, count),
            surprisal: over(cells().map(|(cell, _)| cell.surprisal).sum(), count),
            stays_from: mean(|way| way.stays_from as f64),
            exit: mean(|way| way.exit as f64),
            agreement: mean(|way| f64::from(u8::from(way.agrees))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::lens;

    #[test]
    fn an_answer_stays_from_where_nothing_else_is_said_any_more() {
        // Levels 0, 2, 4 and K = 5, by position: what each says (1 is the model's), and how surely.
        let lens = lens(&[
            [(1, 0.95), (2, 0.3), (3, 0.2)],
            [(2, 0.4), (1, 0.5), (3, 0.9)],
            [(1, 0.5), (1, 0.6), (2, 0.91)],
            [(1, 0.8), (1, 0.9), (1, 0.7)],
        ]);
        let method = &lens.methods[0];
        let way = |stays_from, exit, agrees| Way { stays_from, exit, agrees };
        // The first leaves at once, and right; the second nowhere before K; 0.9 is not more than 0.9.
        assert_eq!(lens.ways(method), [way(4, 0, true), way(2, 5, true), way(5, 4, false)]);
        let overview = lens.overview(method);
        assert_eq!(overview.precision, Some(4.0 / 9.0));
        assert_eq!((overview.stays_from, overview.exit), (11.0 / 3.0, 3.0));
        assert_eq!(overview.agreement, 2.0 / 3.0);
        let never = Lens { threshold: 1.0, ..lens };
        assert!(never.ways(&never.methods[0]).iter().all(|way| way.exit == 5 && way.agrees));
    }
}
