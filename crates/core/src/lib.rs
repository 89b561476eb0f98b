//! The words that every crate of Onejump shares: what a shortcut is called, where the files of a
//! run lie, how a sample's randomness follows from the seed, how a program reports.
//!
//! | task | where |
//! |---|---|
//! | name a shortcut, count its parameters | [`shortcut`] |
//! | find a file of a run | [`layout::RunLayout`] |
//! | describe a folder of hidden states | [`manifest::HiddenManifest`] |
//! | write or read `results/summary.json` | [`results::Summary`] |
//! | draw something from the seed | [`seed`] |
//! | write a file so that nobody sees half of it | [`files`] |
//! | keep a second writer out | [`lock`] |
//! | survive a parser that panics | [`guard`] |
//! | stop when asked to | [`interrupt`] |
//! | find libtorch and the built-in models | [`cache`] |
//! | progress bars, logs, exit status | [`telemetry`], [`cli`] |
//! | what is promised about files | [`reliability`] |
//!
//! ```
//! use onejump_core::shortcut::{default_rank, parameters, Kind};
//!
//! // GPT2-XL: H = 1600, rank 16 (the paper's §4: 57.6K parameters for the one jump).
//! assert_eq!(parameters(Kind::Ojfa, 1600, default_rank(1600), 48), 57_600);
//! ```
//!
//! This crate knows nothing of torch, of Parquet, or of any model.

pub mod cache;
pub mod cli;
pub mod files;
pub mod guard;
pub mod interrupt;
pub mod layout;
pub mod lock;
pub mod manifest;
#[doc = include_str!("reliability.md")]
pub mod reliability {}
pub mod results;
pub mod seed;
pub mod shortcut;
pub mod telemetry;
