//! Fits shortcuts to stored hidden states.
//!
//! | task | where |
//! |---|---|
//! | train a kind at every exit level and write the file | [`train`] with a [`Config`] |
//! | several kinds and ranks at once | [`train_together`] |
//! | the same into files that no other process writes | [`train_files`] |
//! | the exact minimum of Eq. 2 from second moments | [`closed_form`] |
//! | the paper's gradient descent | [`adam`] |
//! | one jump for all levels, fitted to what the head reads; beside a multiple of the state | [`one_jump`] |
//!
//! ```no_run
//! use onejump_core::observe::Silent;
//! use onejump_core::shortcut::ShortcutKind;
//! use onejump_train::{Config, train};
//!
//! let config = Config::new("hidden/train", ShortcutKind::NNjtc);
//! let trained = train(&config, &Silent)?;
//! trained.write("n-njtc.safetensors".as_ref())?;
//! # Ok::<(), onejump_train::TrainError>(())
//! ```
//!
//! # On a GPU
//!
//! [`DescentOptions::device`] is where gradient descent computes, and what a one-jump needs of the head. On paper, for
//! H = 4096, V = 32,000, K = 32, N = 9,000 and rank 40, with 1 TFLOP/s in f32 and 0.5 in f64 on the CPU, and 60 and 30 on a
//! GPU:
//!
//! | work | FLOP | CPU | GPU |
//! |---|---:|---:|---:|
//! | a one-jump's step: 1,024 pairs, 8,192 tokens; 60 launches | 14 G | 14 ms | 0.6 ms |
//! | all 562 steps | 8 T | 8 s | 0.3 s |
//! | true distributions | 2.4 T | 2.4 s | 0.04 s |
//! | the metric, f64 | 1.1 T | 2 s | 0.04 s |
//! | an Adam step on Eq. 2: 64 samples; 45 launches | 0.13 G | 2.5 ms on one thread of many | 0.2 ms |
//! | moments of all levels, f64 | 19 T | 40 s | 0.6 s |
//! | eigenvectors, two matrices a level, f64 | 110 T | 6 min | 1 to 2 min |
//! | scores | 0.1 T | 0.1 s | – |
//! | evaluation of a full matrix a level, 3,000 samples | 25 T | 25 s | 0.4 s |
//!
//! Moments and eigenvectors stay on the CPU: they are exact there to the byte, and are done once a run. Scores and
//! evaluation read 5 GB of states, which takes as long as they compute. Steps of small models are launches and little
//! else: there the CPU is as fast. None of this has been measured on a GPU.
//!
//! This crate runs no block of a model: it reads stored states, and for the one jump the model's head.

pub mod adam;
mod axes;
mod card;
pub mod closed_form;
mod config;
mod error;
mod few_samples;
mod files;
mod from_moments;
mod inputs;
mod job;
mod joint;
mod levels;
mod linear;
pub mod moments;
pub mod one_jump;
mod optimiser;
mod parameters;
mod passes;
mod run;
mod sets;
mod trained;

pub use config::{Config, DescentOptions, default_solver};
pub use error::TrainError;
pub use files::{WrittenFile, train_files};
pub use run::{train, train_together};
pub use trained::{Set, TrainedSet};
