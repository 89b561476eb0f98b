//! Goes on with a text: in full, or with drafts from an early level or the text so far, which the model verifies.
//!
//! | task | where |
//! |---|---|
//! | a text from a prompt | [`generate`], [`Config`] |
//! | several turns of a conversation | [`converse`], [`Chat`] |
//! | tokens from tokens | [`Decoder`] |
//! | what drafting pays on a machine | [`tune`], [`Card`], [`Pace`] |
//! | how fast it is | [`bench()`] |
//! | how a token is chosen from logits | [`Sampling`] |
//! | tokens that leave at an early level | [`Exits`], [`Gate`]; [`Calibration`] for how sure they must be |
//! | what drafts tokens: an early level, the text so far | [`Drafter`], [`Jump`], [`Ngram`] |
//!
//! ```no_run
//! use onejump_core::observe::Silent;
//! use onejump_generate::{Config, generate};
//!
//! let config = Config { tokens: 32, ..Config::new("smollm2-135m", "The capital of France is") };
//! let outcome = generate(&config, &Silent, |piece| {
//!     let _ = piece; // whole characters, as they come
//!     true
//! })?;
//! println!("{}", outcome.text);
//! # Ok::<(), onejump_generate::GenerateError>(())
//! ```
//!
//! On the CPU speculative output is full output, byte for byte: a [session's](onejump_models::session) states do not depend
//! on which tokens are computed together, and the random number of a token depends on the seed and its position alone. On a
//! GPU it is the model's own choice too, up to rounding.
//!
//! This crate knows nothing of stored states or of how a jump was trained.

mod bench;
mod check;
mod config;
mod conversation;
mod decoder;
mod drafter;
mod early;
mod error;
mod loaded;
mod outcome;
mod pace;
mod prompts;
mod run;
mod sampling;
mod text;
mod tune;
mod way;

pub use bench::{Bench, Rate, Rates, Timed, bench};
pub use check::Check;
pub use config::{Chat, Config, Level, Mode, Sureness, precision};
pub use conversation::converse;
pub use decoder::{Decoder, Drafts, Move, Step, Way};
pub use drafter::{Drafter, Jump, Ngram};
pub use early::{Amount, Calibration, Effect, Exits, Gate, KeyValues, Seen};
pub use error::GenerateError;
pub use onejump_core::drafting::{Card, Costs, Reading, Shape, WithoutLooks};
pub use onejump_models::session::Format;
pub use outcome::{End, Outcome, Times};
pub use pace::Pace;
pub use prompts::read as read_prompts;
pub use run::generate;
pub use sampling::Sampling;
pub use tune::{Tuning, tune};
