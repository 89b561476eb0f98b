//! Tensors that sessions in several threads use.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something made of tensors, which threads share and use one at a time.
pub(super) struct Shared<T>(Mutex<T>);

impl<T> Shared<T> {
    pub fn new(content: T) -> Self {
        Self(Mutex::new(content))
    }

    pub fn get(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
