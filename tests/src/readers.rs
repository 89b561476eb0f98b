//! How each format is read, all of it, as the stages do: for damaged files and for fuzzing.

use std::path::Path;

use onejump_capture::input_samples;
use onejump_capture::positions::Positions;
use onejump_capture::samples::{Bos, Sampling};
use onejump_core::layout::part_file;
use onejump_core::manifest::HiddenManifest;
use onejump_core::observe::Silent;
use onejump_corpus::Stripper;
use onejump_gguf::GgufFile;
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_models::transformer::{Outline, Transformer};
use onejump_shortcuts::file::ShortcutFile;
use onejump_store::hidden::HiddenStates;
use onejump_store::{part, verify};

/// Nothing, or what is wrong with the file.
pub type Outcome = Result<(), String>;

/// An error in words.
pub fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Everything that the stages do with a model.
///
/// # Errors
/// What is wrong with it.
pub fn model(path: &Path) -> Outcome {
    let mut checkpoint = Checkpoint::open(&path.display().to_string()).map_err(say)?;
    let outline = Outline::of(&checkpoint).map_err(say)?;
    checkpoint.sha256().map_err(say)?;
    if path.extension().is_some() {
        let tokenizer = checkpoint.tokenizer().map_err(say)?;
        tokenizer.encode("the end", true).map_err(say)?;
    }
    let model = Transformer::load(&mut checkpoint, Place::CPU).map_err(say)?;
    let ids = [3, 9, 1].map(|id| id.min(outline.vocab_size as i64 - 1));
    let length = outline.context.min(ids.len());
    let states = model.states_at_last(&[&ids[..length], &ids[..1]]).map_err(say)?;
    let head = Head::load(&mut checkpoint, Place::CPU).map_err(say)?;
    head.logits(&states.f_get(-1).map_err(say)?).map_err(say).map(drop)
}

/// Sentences through the tokenizer of a model.
///
/// # Errors
/// What is wrong with either.
pub fn sentences(model: &Path, file: &Path) -> Outcome {
    let checkpoint = Checkpoint::open(&model.display().to_string()).map_err(say)?;
    let tokenizer = checkpoint.tokenizer().map_err(say)?;
    let sampling = Sampling {
        seed: 0,
        positions: Positions::ONE,
        position_0: true,
        vocab_size: Outline::of(&checkpoint).map_err(say)?.vocab_size,
        context: 64,
        limit: None,
        bos: Bos::Auto,
        bos_id: checkpoint.bos_id(),
        eos_id: checkpoint.eos_id(),
    };
    input_samples::from_sentences(file, tokenizer, sampling).map(drop).map_err(say)
}

/// Configuration and tensors of a GGUF file, without a model around them.
///
/// # Errors
/// What is wrong with it.
pub fn gguf(path: &Path) -> Outcome {
    let mut file = GgufFile::open(path).map_err(say)?;
    let config = file.config().map(drop).map_err(say);
    let mut names = vec!["model.embed_tokens.weight".to_owned(), "model.norm.weight".to_owned()];
    for block in 0..13 {
        names.extend(
            ["self_attn.q_proj", "self_attn.k_proj", "mlp.up_proj"]
                .map(|module| format!("model.layers.{block}.{module}.weight")),
        );
        names.push(format!("transformer.h.{block}.attn.c_attn.weight"));
    }
    for name in names {
        if file.has_tensor(&name) {
            file.tensor(&name).map_err(say)?;
        }
    }
    config
}

/// The tokenizer of a GGUF file.
///
/// # Errors
/// What is wrong with it.
pub fn gguf_tokenizer(path: &Path) -> Outcome {
    let tokenizer = GgufFile::open(path).map_err(say)?.tokenizer().map_err(say)?;
    tokenizer.encode(" The end,\tnot of 12 days\u{e9}.", true).map(drop).map_err(say)
}

/// The first part of a folder of hidden states. Below the hashes, which would refuse nearly every damaged part:
/// each column for itself.
///
/// # Errors
/// What is wrong with it.
pub fn part(dir: &Path) -> Outcome {
    let manifest = HiddenManifest::read(dir).map_err(say)?;
    let path = dir.join(part_file(0));
    for level in 0..=manifest.inputs.blocks {
        part::read_level(&path, level, manifest.inputs.hidden_size).map_err(say)?;
    }
    part::read_sample_ids(&path).map_err(say)?;
    part::read_positions(&path).map_err(say)?;
    part::read_token_ids(&path).map_err(say)?;
    let verified = verify::verify(dir).map_err(say)?;
    verified.problems().next().map_or(Ok(()), |problem| Err(problem.clone()))
}

/// A folder of hidden states by its manifest.
///
/// # Errors
/// What is wrong with it.
pub fn manifest(dir: &Path) -> Outcome {
    let verified = verify::verify(dir).map(drop).map_err(say);
    HiddenStates::open(dir).map_err(say).and(verified)
}

/// Shortcuts, each applied.
///
/// # Errors
/// What is wrong with them.
pub fn shortcuts(path: &Path) -> Outcome {
    let file = ShortcutFile::read(path).map_err(say)?;
    let hidden = tch::Tensor::ones([2, file.card.hidden_size as i64], (tch::Kind::Float, tch::Device::Cpu));
    for level in 0..file.card.blocks {
        drop(file.map_at(level).map_err(say)?.apply(&hidden).map_err(say)?);
    }
    Ok(())
}

/// Samples for a model of 96 tokens and a context of 64.
///
/// # Errors
/// What is wrong with them.
pub fn samples(path: &Path) -> Outcome {
    input_samples::from_json_lines(path, 96, 64, None).map(drop).map_err(say)
}

/// The markup of an article, and its sentences.
///
/// # Errors
/// What is wrong with it.
pub fn wikitext(path: &Path) -> Outcome {
    let text = std::fs::read(path).map_err(say)?;
    for paragraph in Stripper::new().paragraphs(&String::from_utf8_lossy(&text)).map_err(say)? {
        for sentence in onejump_corpus::sentences(&paragraph) {
            let _ = onejump_corpus::check(&sentence);
        }
    }
    Ok(())
}

/// A dump, to two sentences beside it.
///
/// # Errors
/// What is wrong with it.
pub fn dump(path: &Path) -> Outcome {
    let mut config = onejump_corpus::Config::new(path, path.with_file_name("corpus"));
    (config.train, config.test) = (1, 1);
    onejump_corpus::build(&config, &Silent).map(drop).map_err(say)
}
