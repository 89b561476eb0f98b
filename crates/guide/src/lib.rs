//! The guide: what people do with Onejump, how far it can be relied on, and where to change what.
//!
//! | you want to | page |
//! |---|---|
//! | run it on a checkpoint and sentences of yours | [`checkpoints`] |
//! | read states, metrics and jumps in a notebook | [`notebooks`] |
//! | load jumps in Python, or install all programs with pip | [`python`] |
//! | see what each level says to a sentence of yours | [`lens`] |
//! | let a model write, with drafts from an early level | [`generate`] |
//! | go beyond the paper, or compare with peers | [`beyond`] |
//! | use a GPU or several machines | [`clusters`] |
//! | know what it found on two real models | [`findings`] |
//! | know how fast it is, beside what | [`speed`] |
//! | know what is promised of files and memory | [`reliability`] |
//! | change something | [`map`] |
//!
//! The pages are the files in `crates/guide/pages`; the commands in them are run by `tests/guide.rs`. This crate has no
//! code and depends on nothing.

#[doc = include_str!("../pages/beyond.md")]
pub mod beyond {}
#[doc = include_str!("../pages/checkpoints.md")]
pub mod checkpoints {}
#[doc = include_str!("../pages/clusters.md")]
pub mod clusters {}
#[doc = include_str!("../pages/findings.md")]
pub mod findings {}
#[doc = include_str!("../pages/generate.md")]
pub mod generate {}
#[doc = include_str!("../pages/lens.md")]
pub mod lens {}
#[doc = include_str!("../pages/map.md")]
pub mod map {}
#[doc = include_str!("../pages/notebooks.md")]
pub mod notebooks {}
#[doc = include_str!("../pages/python.md")]
pub mod python {}
#[doc = include_str!("../pages/reliability.md")]
pub mod reliability {}
#[doc = include_str!("../pages/speed.md")]
pub mod speed {}
