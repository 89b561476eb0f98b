//! The words that every crate of Onejump shares: what a shortcut is called, where the files of a
//! run lie, how a sample's randomness follows from the seed, how a file is written so that it is whole.
//!
//! | task | where |
//! |---|---|
//! | name a shortcut, count its parameters | [`shortcut`] |
//! | name what a shortcut approximates | [`target::Target`] |
//! | name a file of shortcuts, or tell what it holds | [`set_name::SetName`] |
//! | an enum with one spelling in files, tables and on the command line | [`words`] |
//! | read a set of levels from the command line | [`levels::Levels`] |
//! | find a file of a run | [`layout::RunLayout`] |
//! | describe a folder of hidden states | [`manifest::HiddenManifest`] |
//! | share a capture among machines | [`shard::Shard`] |
//! | write or read `results/summary.json` | [`results::Summary`] |
//! | say what drafting pays on a machine | [`drafting::Card`] |
//! | write or read the `config.json` of published shortcuts | [`published::Published`] |
//! | draw something from the seed | [`seed`] |
//! | draw texts again, as a bootstrap does | [`bootstrap`] |
//! | write a file so that nobody sees half of it | [`files`] |
//! | tell what a file is that is not what its name says | [`sniff`] |
//! | keep a second writer out | [`lock`] |
//! | report progress, and stop when asked to | [`observe`] |
//! | ask how much memory is left | [`memory::available`] |
//! | survive a parser that panics | [`guard`] |
//! | find the folder that all checkouts share | [`cache`] |
//!
//! ```
//! use onejump_core::shortcut::{default_rank, parameters, ShortcutKind};
//!
//! // GPT2-XL: H = 1600, rank 16 (the paper's §4: 57.6K parameters for the one jump).
//! assert_eq!(parameters(ShortcutKind::Ojfa, 1600, default_rank(1600), 48), 57_600);
//! ```
//!
//! This crate knows nothing of torch, of Parquet, or of any model, and may be used in any program: it prints
//! nothing, draws nothing, listens for no signal and installs no panic hook.

pub mod bootstrap;
pub mod cache;
pub mod drafting;
mod file_error;
pub mod files;
pub mod guard;
pub mod layout;
pub mod levels;
pub mod lock;
pub mod manifest;
pub mod memory;
pub mod numbers;
pub mod observe;
pub mod published;
pub mod results;
pub mod seed;
pub mod set_name;
pub mod shard;
pub mod shortcut;
pub mod sniff;
pub mod target;
pub mod words;
