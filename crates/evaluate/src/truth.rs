//! The model's own predictions: the head at the final hidden state of each sample.

use std::path::Path;

use onejump_core::files;
use onejump_core::observe::{Observer, Task};
use onejump_exit::{ExitHead, SharedHead};
use onejump_store::hidden::HiddenStates;
use onejump_store::truth::{Truth, read_truth, write_truth};
use onejump_tensor::rows::tensor;
use onejump_tensor::threads;
use rayon::prelude::*;
use tch::Tensor;

use crate::EvaluateError;
use crate::levels::CHUNK;

/// The true distributions of a folder's samples, from `cache` if it holds those of these states.
pub(crate) fn truth(
    hidden: &HiddenStates,
    head: &SharedHead,
    cache: &Path,
    observer: &dyn Observer,
) -> Result<Truth, EvaluateError> {
    let manifest = hidden.manifest();
    let key = format!("{} {}", hidden.fingerprint(), manifest.inputs.model_sha256);
    let fingerprint = files::sha256_bytes(key.as_bytes());
    if let Some(truth) = read_truth(cache, &fingerprint)? {
        let known = truth.tokens.iter().all(|&token| (token as usize) < head.head().vocab_size());
        if truth.tokens.len() == hidden.samples() && known {
            return Ok(truth);
        }
    }
    let states = tensor(&hidden.level(hidden.blocks())?, hidden.hidden_size())?;
    let truth = compute(&states, head, observer)?;
    write_truth(cache, &truth, &fingerprint)?;
    Ok(truth)
}

fn compute(states: &Tensor, head: &SharedHead, observer: &dyn Observer) -> Result<Truth, EvaluateError> {
    let (samples, _) = states.size2()?;
    let exit = ExitHead::new(None, head)?;
    let meter = observer.begin(Task { name: "truth", unit: "samples", total: samples as u64 });
    // Tensors can be sent to a thread, not shared between them.
    let batches = (0..samples)
        .step_by(CHUNK as usize)
        .map(|start| Ok((states.f_narrow(0, start, CHUNK.min(samples - start))?, exit.shallow_clone())))
        .collect::<Result<Vec<_>, EvaluateError>>()?;
    let scans = threads::pool()?.install(|| {
        batches
            .into_par_iter()
            .with_max_len(1)
            .map(|(states, exit)| {
                observer.check()?;
                let rows = states.size2()?.0 as usize;
                // No token is asked about yet: any reference will do.
                let scans = exit.scan(&exit.approximate(&states)?, &vec![0; rows], &vec![0.0; rows])?;
                meter.advance(rows as u64);
                Ok(scans)
            })
            .collect::<Result<Vec<_>, EvaluateError>>()
    })?;
    let scans = scans.iter().flatten();
    let (tokens, logsumexp) = scans.map(|scan| (scan.top as u32, scan.logsumexp() as f32)).unzip();
    Ok(Truth { tokens, logsumexp })
}
