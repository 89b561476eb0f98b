//! Well-formed sentences, drawn at random from a Wikipedia dump.
//!
//! | task | where |
//! |---|---|
//! | dump in, `train.txt`, `test.txt`, `sentences.parquet` out | [`build`] with a [`Config`] |
//! | read the articles of a dump | [`DumpReader`] |
//! | wikitext to plain paragraphs | [`Stripper`] |
//! | a paragraph to sentences | [`sentences`] |
//! | decide whether a sentence is whole | [`check`] |
//! | draw from any number of sentences in bounded memory | [`Sampler`] |
//!
//! ```
//! use onejump_corpus::{Stripper, check, sentences};
//!
//! let wikitext = "'''Ada Lovelace''' was an [[England|English]] mathematician.<ref>Toole</ref> \
//!                 She was {{convert|1.7|m|ft}} tall, as far as anybody knows.";
//! let paragraphs = Stripper::new().paragraphs(wikitext)?;
//! let found = sentences(&paragraphs[0]);
//! assert_eq!(found[0], "Ada Lovelace was an English mathematician.");
//! assert!(check(&found[0]).is_ok());
//! // The length in it could not be shown: the sentence has a hole and is left out.
//! assert!(check(&found[1]).is_err());
//! # Ok::<(), onejump_corpus::MarkupError>(())
//! ```
//!
//! This crate knows nothing of torch, of models or of tokens.

mod config;
mod dump;
mod error;
mod filter;
mod markup;
mod output;
mod pipeline;
mod sample;
mod split;
mod summary;
mod tidy;
mod words;

pub use config::{Config, DEFAULT_SEED, DEFAULT_TEST, DEFAULT_TRAIN};
pub use dump::{Article, DumpReader, Skipped};
pub use error::CorpusError;
pub use filter::{MAX_WORDS, MIN_WORDS, Reject, Rejected, check};
pub use markup::{HOLE, MarkupError, Stripper};
pub use output::{PARQUET_FILE, TEST_FILE, TRAIN_FILE, schema};
pub use pipeline::build;
pub use sample::{Drawn, Offer, Sampler};
pub use split::sentences;
pub use summary::Summary;
