//! What an early level would say next.

use onejump_exit::ExitHead;
use onejump_tensor::rows::tensor;

use crate::GenerateError;

/// A head behind a map that drafts tokens at a level.
pub struct Drafter {
    head: ExitHead,
    level: usize,
}

impl Drafter {
    /// Reads states at this level.
    pub fn new(head: ExitHead, level: usize) -> Self {
        Self { head, level }
    }

    /// Where it reads.
    pub fn level(&self) -> usize {
        self.level
    }

    /// The most likely token from a state at its level, (H).
    ///
    /// # Errors
    /// [`GenerateError::Exit`] if the state has another width.
    pub fn draft(&self, state: &[f32]) -> Result<i64, GenerateError> {
        Ok(self.head.look(&tensor(state, state.len())?)?[0].token)
    }
}
