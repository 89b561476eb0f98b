//! What a library tells whoever called it while it works, and how it is asked to stop.
//!
//! Libraries draw, print and listen for nothing: they begin tasks with an [`Observer`], step their meters,
//! and ask between two units of work whether to go on.
//!
//! ```
//! use onejump_core::observe::{Meter, Observer, Silent, Stopped, Task};
//!
//! fn work(observer: &dyn Observer) -> Result<(), Stopped> {
//!     let meter = observer.begin(Task { name: "work", unit: "parts", total: 3 });
//!     for _ in 0..3 {
//!         observer.check()?; // Between two parts: what is written is whole.
//!         meter.advance(1);
//!     }
//!     Ok(())
//! }
//! work(&Silent).unwrap();
//! ```

/// The unit of a [`Task`] whose numbers are shown as kB, MB and GB.
pub const BYTES: &str = "bytes";

/// Something that takes a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// What is done, in a word or two.
    pub name: &'static str,
    /// What the steps are, in the plural: `sentences`.
    pub unit: &'static str,
    /// How many steps there are.
    pub total: u64,
}

/// Whoever wants to know how far a library is, and may stop it. May be called from several threads.
pub trait Observer: Sync {
    /// A task begins; it ends when its meter is dropped.
    fn begin(&self, task: Task) -> Box<dyn Meter + '_>;

    /// Whether to go on.
    ///
    /// # Errors
    /// [`Stopped`] if not: the library returns it after the unit of work at hand.
    fn check(&self) -> Result<(), Stopped>;
}

/// How far a task is.
pub trait Meter: Send + Sync {
    /// So many more steps are done; may be called from several threads.
    fn advance(&self, steps: u64);
}

/// Somebody asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped by {by}; what is finished is kept, and the same command goes on from there")]
pub struct Stopped {
    /// Who or what, such as `SIGINT`.
    pub by: &'static str,
}

/// Shows nothing and never stops.
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
