//! What a library tells its caller while it works, and how the caller stops it.
//!
//! Libraries draw nothing, print nothing and listen for no signal. They tell an [`Observer`] when a task begins and how
//! far it is, and ask it between two units of work whether to go on.
//!
//! ```
//! use onejump_core::observe::{Meter, Observer, Silent, Stopped, Task};
//!
//! fn work(observer: &dyn Observer) -> Result<(), Stopped> {
//!     let meter = observer.begin(Task { name: "work", unit: "parts", total: 3 });
//!     for _ in 0..3 {
//!         observer.check()?; // Here, between two parts, everything written is whole.
//!         meter.advance(1);
//!     }
//!     Ok(())
//! }
//! work(&Silent).unwrap();
//! ```

/// The unit of a [`Task`] whose numbers are shown as kB, MB and GB.
pub const BYTES: &str = "bytes";

/// Work that takes a while, in equal steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// What is done, in a word or two.
    pub name: &'static str,
    /// What the steps are, in the plural: `sentences`.
    pub unit: &'static str,
    /// How many steps there are.
    pub total: u64,
}

/// Learns how far a library is, and may stop it. It is called from several threads.
pub trait Observer: Sync {
    /// Called when a task begins. The task ends when its meter is dropped.
    fn begin(&self, task: Task) -> Box<dyn Meter + '_>;

    /// Asked between two units of work: whether to go on.
    ///
    /// # Errors
    /// [`Stopped`] if not; the library then returns it to its caller.
    fn check(&self) -> Result<(), Stopped>;
}

/// How far a task is.
pub trait Meter: Send + Sync {
    /// Counts steps that are done. It is called from several threads.
    fn advance(&self, steps: u64);
}

/// The work was stopped on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped by {by}; what is finished is kept, and the same command goes on from there")]
pub struct Stopped {
    /// Who or what, such as `SIGINT`.
    pub by: &'static str,
}

/// An observer that shows nothing and never stops the work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn begin(&self, _: Task) -> Box<dyn Meter + '_> {
        Box::new(Self)
    }

    fn check(&self) -> Result<(), Stopped> {
        Ok(())
    }
}

impl Meter for Silent {
    fn advance(&self, _: u64) {}
}
