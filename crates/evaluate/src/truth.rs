//! The model's own predictions: the head at the final hidden state of each sample.

use std::collections::BTreeMap;
use std::path::Path;

use onejump_core::files;
use onejump_core::layout::{MANIFEST, TRAIN_TRUTH};
use onejump_core::manifest::HiddenManifest;
use onejump_core::observe::{Observer, Task};
use onejump_core::shard::Shard;
use onejump_exit::{ExitHead, SharedHead};
use onejump_store::hidden::HiddenStates;
use onejump_store::merge;
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
    let fingerprint = key(&hidden.fingerprint(), hidden.manifest());
    if let Some(truth) = known(cache, &fingerprint, hidden.samples(), head)? {
        return Ok(truth);
    }
    let states = tensor(&hidden.level(hidden.blocks())?, hidden.hidden_size())?;
    let truth = compute(&states, head, observer)?;
    write_truth(cache, &truth, &fingerprint)?;
    Ok(truth)
}

/// Those of all training samples in the folder `dir`, of which `manifest` is the whole: from the folder `out`, from the
/// shards in it, or from the states, which need not be there otherwise.
pub(crate) fn of_training(
    dir: &Path,
    manifest: &HiddenManifest,
    head: &SharedHead,
    out: &Path,
    observer: &dyn Observer,
) -> Result<Truth, EvaluateError> {
    let (cache, fingerprint) = (out.join(TRAIN_TRUTH), key(&manifest.fingerprint(), manifest));
    if let Some(truth) = known(&cache, &fingerprint, manifest.inputs.samples, head)? {
        return Ok(truth);
    }
    if dir.join(MANIFEST).is_file() {
        return truth(&HiddenStates::open(dir)?, head, &cache, observer);
    }
    let mut parts = BTreeMap::new();
    for shard in merge::shards(dir)? {
        let path = out.join(shard.shard.unwrap_or(Shard::WHOLE).folder()).join(TRAIN_TRUTH);
        let samples = shard.parts.iter().map(|part| part.samples).sum();
        let truth = known(&path, &key(&shard.fingerprint(), &shard), samples, head)?;
        let truth = truth.ok_or_else(|| {
            EvaluateError::Usage(format!(
                "{} does not hold the predictions of the training samples in {}; run onejump-evaluate --truth with that \
                 folder of states as --hidden and the same --out",
                path.display(),
                shard.shard.map_or(dir.to_owned(), |shard| dir.join(shard.folder())).display()
            ))
        })?;
        let mut start = 0;
        for (number, part) in shard.numbered_parts() {
            let rows = start..start + part.samples;
            start = rows.end;
            let own = Truth {
                tokens: truth.tokens[rows.clone()].to_vec(),
                logsumexp: truth.logsumexp[rows].to_vec(),
            };
            parts.insert(number, own);
        }
    }
    let mut all = Truth::default();
    for truth in parts.into_values() {
        all.tokens.extend(truth.tokens);
        all.logsumexp.extend(truth.logsumexp);
    }
    write_truth(&cache, &all, &fingerprint)?;
    Ok(all)
}

/// What a table of predictions belongs to: states, and the model that they come from.
fn key(states: &str, manifest: &HiddenManifest) -> String {
    files::sha256_bytes(format!("{states} {}", manifest.inputs.model_sha256).as_bytes())
}

/// The predictions in a file, if they are those wanted.
fn known(
    cache: &Path,
    fingerprint: &str,
    samples: usize,
    head: &SharedHead,
) -> Result<Option<Truth>, EvaluateError> {
    let possible = |truth: &Truth| {
        let known = truth.tokens.iter().all(|&token| (token as usize) < head.head().vocab_size());
        truth.tokens.len() == samples && known
    };
    Ok(read_truth(cache, fingerprint)?.filter(possible))
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
