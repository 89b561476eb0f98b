//! What every analysis reads first: the hidden states of a split, the head, and the model's own
//! predictions.

use std::path::Path;

use onejump_core::files;
use onejump_core::manifest::CaptureInputs;
use onejump_core::observe::{Observer, Task};
use onejump_exit::SharedHead;
use onejump_models::checkpoint::Checkpoint;
use onejump_store::hidden::HiddenStates;
use onejump_store::truth::{Truth, read_expected, write_expected};
use onejump_tensor::rows::{tensor, values};
use tch::{Kind, Tensor};

use crate::EvaluateError;
use crate::levels::{CHUNK, FinalStates, Means};
use crate::truth;

/// The states of some samples with the true distributions.
pub(crate) struct States {
    pub hidden: HiddenStates,
    pub truth: Truth,
    pub positions: Vec<u32>,
    pub finals: FinalStates,
}

impl States {
    /// Reads what is needed of `hidden`; the true distributions are cached in the folder `cache`, by
    /// the name of the split.
    pub fn read(
        hidden: HiddenStates,
        name: &str,
        head: &SharedHead,
        cache: &Path,
        observer: &dyn Observer,
    ) -> Result<Self, EvaluateError> {
        let truth = truth::truth(&hidden, head, &cache.join(format!("truth-{name}.parquet")), observer)?;
        let positions = hidden.positions()?;
        let targets = tensor(&hidden.level(hidden.blocks())?, hidden.hidden_size())?;
        let normed_targets = head.head().norm.forward(&targets)?;
        let finals = FinalStates { targets, normed_targets, means: Means::None, head: head.shallow_clone() };
        Ok(Self { hidden, truth, positions, finals })
    }

    /// The same, ready for KL divergences.
    pub fn read_with_expected(
        hidden: HiddenStates,
        name: &str,
        head: &SharedHead,
        cache: &Path,
        observer: &dyn Observer,
    ) -> Result<Self, EvaluateError> {
        let mut states = Self::read(hidden, name, head, cache, observer)?;
        let cache = cache.join(format!("expected-{name}.parquet"));
        states.finals.means = match head.head().soft_cap {
            Some(_) => Means::OfLogits,
            None => Means::Expected(states.expected(&cache, observer)?),
        };
        Ok(states)
    }

    /// The exit levels, 0..K-1.
    pub fn exit_levels(&self) -> Vec<usize> {
        (0..self.hidden.blocks()).collect()
    }

    /// N.
    pub fn count(&self) -> usize {
        self.positions.len()
    }

    /// Eᵀp of each sample, the unembedding row that its true distribution p expects: (N, H). With it
    /// the mean logit under p is one product of length H instead of V, for any approximation.
    fn expected(&self, cache: &Path, observer: &dyn Observer) -> Result<Tensor, EvaluateError> {
        let hidden_size = self.hidden.hidden_size();
        let inputs = &self.hidden.manifest().inputs;
        let key = format!("{} {}", self.hidden.fingerprint(), inputs.model_sha256);
        let fingerprint = files::sha256_bytes(key.as_bytes());
        if let Some(rows) = read_expected(cache, &fingerprint)?
            && rows.len() == self.count() * hidden_size
        {
            return Ok(tensor(&rows, hidden_size)?);
        }
        let head = self.finals.head.head();
        let (count, mut start) = (self.count() as i64, 0);
        let meter = observer.begin(Task { name: "expected rows", unit: "samples", total: count as u64 });
        let mut rows = Vec::with_capacity(self.count() * hidden_size);
        while start < count {
            observer.check()?;
            let n = CHUNK.min(count - start);
            let logits = head.logits_of_normed(&self.finals.normed_targets.f_narrow(0, start, n)?)?; // (n, V)
            let expected = logits.f_softmax(1, Kind::Float)?.f_mm(&head.unembedding)?; // (n, H)
            rows.extend(values(&expected)?);
            meter.advance(n as u64);
            start += n;
        }
        write_expected(cache, rows.clone(), hidden_size, &fingerprint)?;
        Ok(tensor(&rows, hidden_size)?)
    }
}

/// The head must be the one behind the hidden states.
pub(crate) fn check_model(
    checkpoint: &Checkpoint,
    folders: &[(&Path, &CaptureInputs)],
) -> Result<(), EvaluateError> {
    let sha256 = checkpoint.sha256()?;
    for (dir, inputs) in folders {
        if inputs.model_sha256 != sha256 {
            return Err(EvaluateError::Usage(format!(
                "{} was captured from another checkpoint ({}) than --model {}",
                dir.display(),
                inputs.model,
                checkpoint.path().display()
            )));
        }
    }
    Ok(())
}
