//! What sets of maps are trained on.

use onejump_core::observe::Observer;
use onejump_core::shortcut::ShortcutKind;
use onejump_store::hidden::HiddenStates;
use onejump_tensor::rows;
use tch::Tensor;

use crate::TrainError;
use crate::adam::{DescendedMap, Start};
use crate::config::Config;
use crate::moments::TargetRows;
use crate::trained::{Set, TrainedMap};

/// States with their targets, the options, and who watches.
pub(crate) struct Job<'a> {
    pub config: &'a Config,
    pub hidden: &'a HiddenStates,
    pub targets: &'a TargetRows,
    pub observer: &'a dyn Observer,
}

impl Job<'_> {
    /// Where the descents of sets begin.
    pub fn starts(&self, sets: &[Set]) -> Result<Vec<Start>, TrainError> {
        let targets = self.targets.tensor()?;
        sets.iter().map(|set| Start::of(&targets, set.rank)).collect()
    }

    /// Rows of states, (N, H).
    pub fn tensor(&self, rows: &[f32]) -> Result<Tensor, TrainError> {
        Ok(rows::tensor(rows, self.hidden.hidden_size())?)
    }
}

/// What a descent found, if it is finite; the log gets its curve. `stream` is the level, or K for all levels together.
pub(crate) fn descended(
    kind: ShortcutKind,
    stream: u64,
    found: DescendedMap,
) -> Result<TrainedMap, TrainError> {
    let DescendedMap { map, loss, curve } = found;
    if !loss.is_finite() {
        return Err(TrainError::Diverged(format!("the {kind} of level {stream} has a loss of {loss}")));
    }
    let stride = curve.len().div_ceil(6).max(1);
    let points: Vec<_> = curve.iter().step_by(stride).map(|loss| format!("{loss:.0}")).collect();
    let place = if kind == ShortcutKind::Joint { "all levels".to_owned() } else { format!("level {stream}") };
    tracing::info!("{kind}, {place}: loss {} -> {loss:.1} with running statistics", points.join(" -> "));
    Ok(TrainedMap { map, loss, curve: Some(curve) })
}
