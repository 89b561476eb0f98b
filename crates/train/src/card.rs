//! What a file of trained shortcuts says of itself.

use onejump_core::manifest::CaptureInputs;
use onejump_core::shortcut::{BATCH_NORM_EPS, Solver};
use onejump_shortcuts::card::Card;
use onejump_shortcuts::file::ShortcutFile;
use onejump_store::hidden::HiddenStates;

use crate::config::Config;
use crate::trained::TrainedSet;

/// What a card says of the samples.
pub(crate) struct Source<'a> {
    pub inputs: &'a CaptureInputs,
    /// The hash that stands for them.
    pub sha256: String,
    /// Which of the captured ones.
    pub samples: String,
}

impl<'a> Source<'a> {
    /// All that are selected of a folder of states.
    pub fn of(hidden: &'a HiddenStates) -> Self {
        let (sha256, samples) = (hidden.fingerprint(), hidden.selection().to_string());
        Self { inputs: &hidden.manifest().inputs, sha256, samples }
    }
}

/// A trained set with its card.
pub(crate) fn file(config: &Config, source: &Source, rank: usize, trained: TrainedSet) -> ShortcutFile {
    let options = config.adam.describe(trained.windows);
    let Source { inputs, sha256, samples } = source;
    let card = Card {
        kind: config.kind,
        model: inputs.model.clone(),
        model_sha256: inputs.model_sha256.clone(),
        hidden_sha256: sha256.clone(),
        samples: config
            .levels
            .as_ref()
            .map_or_else(|| samples.clone(), |levels| format!("{samples}, levels {levels}")),
        target: config.target,
        label: config.label.clone(),
        hidden_size: inputs.hidden_size,
        blocks: inputs.blocks,
        rank: config.kind.low_rank().then_some(rank),
        solver: config.solver,
        seed: config.adam.seed,
        ridge: config.ridge,
        adam: (config.solver == Solver::Adam).then_some(options),
        norm_eps: BATCH_NORM_EPS,
        training_loss: trained.losses,
        loss_curves: trained.curves,
        held_out_curve: trained.held_out,
        previous: trained.previous.is_some(),
        choice: None,
    };
    ShortcutFile { card, maps: trained.maps, previous: trained.previous }
}
