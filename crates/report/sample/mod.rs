//! An invented run, for tests and for looking at the report's design without a model.
//!
//! The numbers follow simple curves that resemble a small model's; nothing was measured.

mod analyses;
mod drafting;
mod run;
mod write;

pub use analyses::analyses;
pub use drafting::drafting;
pub use run::run;
#[cfg(test)]
pub use run::set;
pub use write::write;
