//! The whole experiment: which stages run, in which order, with what.
//!
//! Each stage is a binary of its own, and stages meet through the files of the run's folder. A stage whose program,
//! arguments and inputs are those of its last run is not run again, so a run that was stopped goes on where it was.
//!
//! | task | where |
//! |---|---|
//! | describe an experiment | [`Experiment`], [`Switches`] |
//! | find the stages' binaries | [`Programs`] |
//! | run everything | [`reproduce`] |
//! | run everything that can be run without all states on the disk | [`reproduce_in_passes`] |
//! | lay out a finished run for the hub | [`publish()`] |
//! | which stages there are | `order.rs`; after the paper's own: `beyond.rs`, `sensitivity.rs` |
//! | which stages are not run again | `stages.rs` |
//! | where stages run | [`Local`]; as jobs of a cluster: [`Slurm`]; one by itself: [`run_unit`] |
//!
//! ```no_run
//! use onejump_core::observe::Silent;
//! use onejump_reproduce::{Experiment, Local, Programs, reproduce};
//!
//! let experiment = Experiment::new("smollm2-135m", "sentences", "runs/smollm2");
//! let run = |command: &mut std::process::Command| {
//!     command.status()?.success().then_some(()).ok_or_else(|| "a stage failed".into())
//! };
//! let local = Local { programs: Programs::find()?, run: &run };
//! println!("{}", reproduce(&experiment, local, &Silent)?);
//! # Ok::<(), onejump_reproduce::ReproduceError>(())
//! ```
//!
//! This crate knows nothing of torch, of Parquet or of safetensors, and prints nothing: how a program is run, with
//! its output on the terminal or elsewhere, is up to the caller.

mod aside;
mod beyond;
mod error;
mod experiment;
mod local;
mod order;
mod passes;
mod programs;
mod publish;
mod run;
mod run_toml;
mod sensitivity;
mod sets;
mod single;
mod slurm;
mod stage;
mod stages;
mod switches;

pub use error::ReproduceError;
pub use experiment::{Experiment, Limits};
pub use local::{Local, RunCommand};
pub use order::{check, reproduce};
pub use passes::reproduce_in_passes;
pub use programs::{Program, Programs};
pub use publish::{Publication, PublishOptions, Remark, publish};
pub use single::{LAST, run_unit};
pub use slurm::{Options as SlurmOptions, Slurm, Status, Submission};
pub use stages::{StageTime, Times};
pub use switches::Switches;
