//! What the programs in `fuzz/` run. They have no code of their own, so that these cannot rot unnoticed:
//! `mutations.rs` runs each on its seeds.

use std::fs;
use std::path::Path;

use crate::limits::within;
use crate::readers::{self, Outcome};

/// A parser to fuzz.
pub struct Target {
    /// Of the program.
    pub name: &'static str,
    /// The file that the bytes are written to.
    pub file: &'static str,
    /// What reads it.
    pub read: fn(&Path) -> Outcome,
    /// Good files to begin with, among those that `mutations.rs` damages.
    pub seeds: &'static [&'static str],
    /// Good files to begin with, in `golden/`.
    pub golden: &'static [&'static str],
}

/// Every format that Onejump parses itself, or lets others parse on its terms.
pub const TARGETS: [Target; 8] = [
    Target {
        name: "gguf",
        file: "model.gguf",
        read: readers::gguf,
        seeds: &["model.gguf"],
        golden: &["quants.gguf", "qwen2.gguf"],
    },
    Target {
        name: "gguf_tokenizer",
        file: "model.gguf",
        read: readers::gguf_tokenizer,
        seeds: &["model.gguf"],
        golden: &["qwen2.gguf", "sentencepiece.gguf"],
    },
    Target {
        name: "gguf_model",
        file: "model.gguf",
        read: readers::model,
        seeds: &["model.gguf"],
        golden: &[],
    },
    Target {
        name: "wikitext",
        file: "article.wiki",
        read: readers::wikitext,
        seeds: &["article.wiki"],
        golden: &[],
    },
    Target { name: "dump", file: "dump.xml", read: readers::dump, seeds: &["dump.xml"], golden: &[] },
    Target {
        name: "shortcuts",
        file: "jumps.safetensors",
        read: readers::shortcuts,
        seeds: &["n-njtc.safetensors", "ojfa.safetensors"],
        golden: &[],
    },
    Target {
        name: "manifest",
        file: "manifest.json",
        read: |path| readers::manifest(path.parent().unwrap_or(path)),
        seeds: &["hidden/manifest.json"],
        golden: &[],
    },
    Target {
        name: "samples",
        file: "samples.jsonl",
        read: readers::samples,
        seeds: &["samples.jsonl"],
        golden: &[],
    },
];

/// Gives bytes to a target.
///
/// # Panics
/// If there is no such target, or the bytes are neither read nor refused as they should be.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let (Some(target), Ok(folder)) = (target, tempfile::tempdir()) else { panic!("no target {name}") };
    let path = folder.path().join(target.file);
    if let Err(error) = fs::write(&path, bytes) {
        panic!("{}: {error}", path.display());
    }
    if let Err(problem) = within(bytes.len(), || (target.read)(&path)) {
        panic!("{problem}");
    }
}
