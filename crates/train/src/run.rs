//! Training kinds of shortcuts on a folder of hidden states.

use onejump_core::observe::Observer;
use onejump_core::shortcut::ShortcutKind;
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_shortcuts::file::ShortcutFile;
use onejump_store::hidden::HiddenStates;
use onejump_tensor::rows::values;

use crate::TrainError;
use crate::card::{Source, file};
use crate::config::Config;
use crate::from_moments;
use crate::inputs;
use crate::job::Job;
use crate::joint;
use crate::moments::TargetRows;
use crate::one_jump;
use crate::sets::{self, TOGETHER};
use crate::trained::Set;

/// Trains a kind on all samples of a folder, at every exit level.
///
/// # Errors
/// [`TrainError`] if the states cannot be read, the arguments make no sense, or training diverges.
pub fn train(config: &Config, observer: &dyn Observer) -> Result<ShortcutFile, TrainError> {
    if config.moments {
        let trained = from_moments::train(config, &[(config.kind, config.rank)], observer)?.pop();
        return trained.ok_or_else(|| TrainError::Usage("the model has no blocks".into()));
    }
    let hidden = HiddenStates::open(&config.hidden)?.select(config.selection)?;
    if config.selection.with_previous && hidden.samples() == 0 {
        return Err(TrainError::Usage(format!(
            "{}: --previous needs the token before a sample as a sample too, and none has it; capture with --positions all",
            config.hidden.display()
        )));
    }
    let blocks = hidden.blocks();
    let rank = config.validated_rank(hidden.hidden_size(), hidden.samples())?;
    let exits = config.exit_levels(blocks);
    if exits.last().is_none_or(|&last| last >= blocks) {
        let reason =
            format!("the model has {blocks} blocks; --levels are from 0 to {}", blocks.saturating_sub(1));
        return Err(TrainError::Usage(reason));
    }
    hidden.check_levels(exits.into_iter().chain([blocks]))?;
    if config.kind.fitted_to_head() {
        return train_to_head(config, &hidden, rank, observer);
    }
    let targets = target_rows(config, &hidden)?;
    let job = Job { config, hidden: &hidden, targets: &targets, observer };
    let trained = if config.kind == ShortcutKind::JointNorms {
        Some(joint::with_norm_per_level(&job, rank)?)
    } else {
        sets::train(&job, &[Set { kind: config.kind, rank }])?.pop()
    };
    let trained = trained.ok_or_else(|| TrainError::Usage("the model has no blocks".into()))?;
    Ok(file(config, &Source::of(&hidden), rank, trained))
}

/// Trains several kinds and ranks, reading each level of the states once. The kind and the rank of `config` are not
/// looked at.
///
/// # Errors
/// As [`train`], and [`TrainError::Usage`] for a joint-norms, a one-jump or a residual.
pub fn train_together(
    config: &Config,
    sets: &[Set],
    observer: &dyn Observer,
) -> Result<Vec<ShortcutFile>, TrainError> {
    if config.moments {
        let sets: Vec<_> = sets.iter().map(|set| (set.kind, Some(set.rank))).collect();
        return from_moments::train(config, &sets, observer);
    }
    let hidden = HiddenStates::open(&config.hidden)?.select(config.selection)?;
    hidden.check_levels(0..=hidden.blocks())?;
    let of_set = |set: &Set| Config { kind: set.kind, rank: Some(set.rank), ..config.clone() };
    let configs: Vec<_> = sets.iter().map(of_set).collect();
    for config in &configs {
        if !TOGETHER.contains(&config.kind) {
            let known = TOGETHER.map(ShortcutKind::name).join(", ");
            return Err(TrainError::Usage(format!(
                "'{}' is trained alone; several kinds or ranks at once are possible for {known}",
                config.kind
            )));
        }
        config.validated_rank(hidden.hidden_size(), hidden.samples())?;
    }
    let targets = target_rows(config, &hidden)?;
    let trained = sets::train(&Job { config, hidden: &hidden, targets: &targets, observer }, sets)?;
    let (files, source) = (configs.iter().zip(sets).zip(trained), Source::of(&hidden));
    Ok(files.map(|((config, set), trained)| file(config, &source, set.rank, trained)).collect())
}

fn target_rows(config: &Config, hidden: &HiddenStates) -> Result<TargetRows, TrainError> {
    let targets = inputs::targets(config.target, inputs::level(hidden, hidden.blocks())?)?;
    Ok(TargetRows::new(values(&targets)?, hidden.hidden_size()))
}

/// A one-jump and a residual need the head of the model that the states come from.
fn train_to_head(
    config: &Config,
    hidden: &HiddenStates,
    rank: usize,
    observer: &dyn Observer,
) -> Result<ShortcutFile, TrainError> {
    let Some(model) = &config.model else {
        return Err(TrainError::Usage(format!(
            "a {} is fitted to the model's head: name it with --model",
            config.kind
        )));
    };
    let mut checkpoint = Checkpoint::open_observed(model, observer)?;
    let inputs = &hidden.manifest().inputs;
    if checkpoint.sha256()? != inputs.model_sha256 {
        return Err(TrainError::Usage(format!(
            "{} was captured from another checkpoint ({}) than --model {model}",
            config.hidden.display(),
            inputs.model
        )));
    }
    let place = Place { device: config.adam.device, ..Place::CPU };
    let head = Head::load(&mut checkpoint, place)?;
    let trained = one_jump::fit(hidden, &head, rank, config, observer)?;
    let prefix = one_jump::descent::describe(head.vocab_size());
    let mut file = file(config, &Source::of(hidden), rank, trained);
    file.card.adam = file.card.adam.map(|options| format!("{prefix}, {options}"));
    Ok(file)
}
