//! The model's own predictions: the head at the final hidden state of each sample.

use std::path::Path;

use onejump_core::files;
use onejump_core::interrupt;
use onejump_core::telemetry::Progress;
use onejump_models::head::Head;
use onejump_store::hidden::HiddenStates;
use onejump_store::truth::{Truth, read_truth, write_truth};
use tch::Tensor;

use crate::EvaluateError;
use crate::exit_head::ExitHead;
use crate::levels::CHUNK;

/// The true distributions of a folder's samples, from `cache` if it holds those of these states.
pub(crate) fn truth(hidden: &HiddenStates, head: &Head, cache: &Path) -> Result<Truth, EvaluateError> {
    let manifest = hidden.manifest();
    let key = format!("{} {}", hidden.fingerprint(), manifest.inputs.model_sha256);
    let fingerprint = files::sha256_bytes(key.as_bytes());
    if let Some(truth) = read_truth(cache, &fingerprint)? {
        let known = truth.tokens.iter().all(|&token| (token as usize) < head.vocab_size());
        if truth.tokens.len() == hidden.samples() && known {
            return Ok(truth);
        }
    }
    let states = tensor(&hidden.level(hidden.blocks())?, hidden.hidden_size())?;
    let truth = compute(&states, head)?;
    write_truth(cache, &truth, &fingerprint)?;
    Ok(truth)
}

fn compute(states: &Tensor, head: &Head) -> Result<Truth, EvaluateError> {
    let (samples, _) = states.size2()?;
    let exit = ExitHead::new(None, head)?;
    let progress = Progress::new("truth", "samples", samples as u64);
    let mut truth = Truth::default();
    let mut start = 0;
    while start < samples {
        interrupt::check()?;
        let rows = CHUNK.min(samples - start);
        let approximated = exit.approximate(&states.f_narrow(0, start, rows)?)?;
        // No token is asked about yet: any reference will do.
        let (tokens, references) = (vec![0; rows as usize], vec![0.0; rows as usize]);
        for scan in exit.scan(&approximated, &tokens, &references)? {
            truth.tokens.push(scan.top as u32);
            truth.logsumexp.push(scan.logsumexp() as f32);
        }
        progress.advance(rows as u64);
        start += rows;
    }
    progress.finish();
    Ok(truth)
}

/// States as a tensor, (N, H) f32.
pub(crate) fn tensor(states: &[f32], hidden_size: usize) -> Result<Tensor, EvaluateError> {
    Ok(Tensor::f_from_slice(states)?.f_view([-1, hidden_size as i64])?)
}
