//! Whether looks for drafts pay while a text is written: a moving mean decides. What stood in the text before costs nothing
//! to look up, and is drafted all the same.

use onejump_core::drafting::Reading;

/// Over how many steps with drafts the mean goes.
const WINDOW: f64 = 32.0;

/// For how many steps drafts are left out where they do not pay, before they are tried again.
const PAUSE: usize = 64;

/// Lets a drafter draft while that pays.
#[derive(Debug, Clone)]
pub struct Pace {
    /// What a step with drafts costs over one without.
    cost: f64,
    /// The moving mean of tokens in a step.
    mean: f64,
    /// How many steps go without drafts.
    pause: usize,
}

impl Pace {
    /// Begins with what a card says.
    pub fn new(reading: &Reading) -> Self {
        let tokens = reading.tokens();
        Self { cost: tokens / reading.speedup, mean: tokens, pause: 0 }
    }

    /// Whether the next step drafts.
    pub fn drafts(&mut self) -> bool {
        if self.pause > 0 {
            self.pause -= 1;
        }
        self.pause == 0
    }

    /// How many tokens a step with drafts added. Where the mean is less than a step costs, drafts pause.
    pub fn take(&mut self, tokens: usize) {
        self.mean += (tokens as f64 - self.mean) / WINDOW;
        if self.mean < self.cost {
            (self.pause, self.mean) = (PAUSE, self.cost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onejump_core::drafting::Shape;

    #[test]
    fn drafts_pause_where_they_do_not_pay() {
        let reading = Reading {
            jump_sha256: None,
            jump: None,
            level: 1,
            acceptance: vec![0.5],
            look_share: 0.1,
            shape: Shape::Chain(1),
            speedup: 1.2, // so a step with drafts costs 1.25
        };
        let mut pace = Pace::new(&reading);
        for step in 0..200 {
            assert!(pace.drafts());
            pace.take(1 + step % 2);
        }
        let wrong = (1..).find(|_| {
            pace.take(1);
            !pace.drafts()
        });
        assert!(wrong.is_some_and(|steps| (10..40).contains(&steps)), "{wrong:?}");
        let waited = (1..).find(|_| pace.drafts());
        assert_eq!(waited, Some(PAUSE - 1));
        // Right from now on: it goes on. Wrong again: it pauses again at once.
        pace.take(2);
        assert!(pace.drafts());
    }
}
