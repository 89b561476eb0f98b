//! Training a kind at every exit level.

use std::path::PathBuf;

use onejump_core::observe::{Observer, Task};
use onejump_core::shortcut::{BATCH_NORM_EPS, ShortcutKind, Solver, default_rank};
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_shortcuts::card::{Card, Target};
use onejump_shortcuts::file::{Maps, ShortcutFile};
use onejump_shortcuts::map::Map;
use onejump_store::hidden::{HiddenStates, Selection};
use onejump_tensor::rows::{tensor, values};
use tch::Tensor;

use crate::closed_form;
use crate::moments::{Moments, Targets};
use crate::sets::{Job, TOGETHER, Trained};
use crate::{TrainError, adam::Options, one_jump};

/// What to train and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// A folder of hidden states.
    pub hidden: PathBuf,
    /// What to train.
    pub kind: ShortcutKind,
    /// How.
    pub solver: Solver,
    /// r; ⌊H/100⌋ by default.
    pub rank: Option<usize>,
    /// Weight of the closed form's ridge term, relative to the mean square of the inputs.
    pub ridge: f64,
    /// What the maps approximate.
    pub target: Target,
    /// Which samples they are trained on.
    pub selection: Selection,
    /// A name for the file's rows in tables.
    pub label: Option<String>,
    /// Options of gradient descent.
    pub adam: Options,
    /// The model that the states come from: a one-jump is fitted to its head. Other kinds need none.
    pub model: Option<String>,
}

impl Config {
    /// Every option at its default: a one-jump by gradient descent, the others in closed form.
    pub fn new(hidden: impl Into<PathBuf>, kind: ShortcutKind) -> Self {
        Self {
            hidden: hidden.into(),
            kind,
            solver: default_solver(kind),
            rank: None,
            ridge: 0.0,
            target: Target::default(),
            selection: Selection::default(),
            label: None,
            adam: Options::of(kind),
            model: None,
        }
    }
}

/// The solver of a kind where none is asked for.
pub fn default_solver(kind: ShortcutKind) -> Solver {
    if kind == ShortcutKind::OneJump { Solver::Adam } else { Solver::ClosedForm }
}

/// Trains a kind on all samples of a folder, at every exit level.
///
/// # Errors
/// [`TrainError`] if the states cannot be read, the arguments make no sense, or training diverges.
pub fn train(config: &Config, observer: &dyn Observer) -> Result<ShortcutFile, TrainError> {
    let hidden = HiddenStates::open(&config.hidden)?.select(config.selection)?;
    let rank = validated_rank(config, &hidden)?;
    if config.kind == ShortcutKind::OneJump {
        return train_one_jump(config, &hidden, rank, observer);
    }
    let targets = values(&targets(config.target, level(&hidden, hidden.blocks())?)?)?;
    let targets = Targets::new(targets, hidden.hidden_size());
    let mut trained = if config.kind == ShortcutKind::JointNorms {
        vec![joint_norms(config, &hidden, &targets, rank, observer)?]
    } else {
        Job { config, hidden: &hidden, targets: &targets, observer }.train(&[(config.kind, rank)])?
    };
    let trained = trained.pop().ok_or_else(|| TrainError::Usage("the model has no blocks".into()))?;
    Ok(file(config, &hidden, rank, trained))
}

/// Trains several kinds and ranks, reading each level of the states once. What `config` says of kind and rank does
/// not count.
///
/// # Errors
/// As [`train`], and [`TrainError::Usage`] for a joint-norms or a one-jump.
pub fn train_together(
    config: &Config,
    sets: &[(ShortcutKind, Option<usize>)],
    observer: &dyn Observer,
) -> Result<Vec<ShortcutFile>, TrainError> {
    let hidden = HiddenStates::open(&config.hidden)?.select(config.selection)?;
    let configs: Vec<_> = sets.iter().map(|&(kind, rank)| Config { kind, rank, ..config.clone() }).collect();
    let validated = |config: &Config| {
        if !TOGETHER.contains(&config.kind) {
            let known = TOGETHER.map(ShortcutKind::name).join(", ");
            return Err(TrainError::Usage(format!(
                "'{}' is trained alone; several kinds or ranks at once are possible for {known}",
                config.kind
            )));
        }
        Ok((config.kind, validated_rank(config, &hidden)?))
    };
    let sets = configs.iter().map(validated).collect::<Result<Vec<_>, _>>()?;
    let targets = values(&targets(config.target, level(&hidden, hidden.blocks())?)?)?;
    let targets = Targets::new(targets, hidden.hidden_size());
    let trained = Job { config, hidden: &hidden, targets: &targets, observer }.train(&sets)?;
    let files = configs.iter().zip(&sets).zip(trained);
    Ok(files.map(|((config, &(_, rank)), trained)| file(config, &hidden, rank, trained)).collect())
}

/// A trained set with its card.
fn file(config: &Config, hidden: &HiddenStates, rank: usize, trained: Trained) -> ShortcutFile {
    let (maps, losses, curves) = trained;
    let options = (config.solver == Solver::Adam).then(|| config.adam.describe());
    ShortcutFile { card: card(config, hidden, rank, options, losses, curves), maps }
}

fn card(
    config: &Config,
    hidden: &HiddenStates,
    rank: usize,
    options: Option<String>,
    training_loss: Vec<f64>,
    loss_curves: Option<Vec<Vec<f64>>>,
) -> Card {
    let inputs = &hidden.manifest().inputs;
    Card {
        kind: config.kind,
        model: inputs.model.clone(),
        model_sha256: inputs.model_sha256.clone(),
        hidden_sha256: hidden.fingerprint(),
        samples: hidden.selection().to_string(),
        target: config.target,
        label: config.label.clone(),
        hidden_size: hidden.hidden_size(),
        blocks: hidden.blocks(),
        rank: config.kind.low_rank().then_some(rank),
        solver: config.solver,
        seed: config.adam.seed,
        ridge: config.ridge,
        adam: options,
        norm_eps: BATCH_NORM_EPS,
        training_loss,
        loss_curves,
        choice: None,
    }
}

/// A one-jump needs the head of the model that the states come from.
fn train_one_jump(
    config: &Config,
    hidden: &HiddenStates,
    rank: usize,
    observer: &dyn Observer,
) -> Result<ShortcutFile, TrainError> {
    let Some(model) = &config.model else {
        return Err(TrainError::Usage(
            "a one-jump is fitted to the model's head: name it with --model".into(),
        ));
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
    let head = Head::load(&mut checkpoint, Place::CPU)?;
    let one = one_jump::fit(hidden, &head, rank, config, observer)?;
    let options =
        (config.solver == Solver::Adam).then(|| one_jump::descent::describe(&config.adam, head.vocab_size()));
    let curves = one.curve.map(|curve| vec![curve]);
    let card = card(config, hidden, rank, options, vec![one.loss], curves);
    Ok(ShortcutFile { card, maps: Maps::One(Box::new(one.map)) })
}

fn validated_rank(config: &Config, hidden: &HiddenStates) -> Result<usize, TrainError> {
    let usage = |reason: String| Err(TrainError::Usage(reason));
    if !ShortcutKind::TRAINED.contains(&config.kind) {
        let known = ShortcutKind::TRAINED.map(ShortcutKind::name).join(", ");
        return usage(format!("'{}' is not trained; known: {known}", config.kind));
    }
    let size = hidden.hidden_size();
    let rank = config.rank.unwrap_or_else(|| default_rank(size));
    if rank == 0 || rank > size {
        return usage(format!("rank {rank} is impossible: it must be 1 to H = {size}"));
    }
    if config.ridge < 0.0 || !config.ridge.is_finite() {
        return usage(format!("a ridge of {} is impossible: it must be 0 or more", config.ridge));
    }
    if config.ridge > 0.0 && config.solver == Solver::Adam {
        return usage("--ridge belongs to the closed form; leave it out with --solver adam".into());
    }
    if config.kind == ShortcutKind::JointNorms && config.solver == Solver::Adam {
        return usage("joint-norms has the closed form alone; leave out --solver adam".into());
    }
    let adam = &config.adam;
    if config.solver == Solver::Adam
        && (adam.epochs == 0
            || adam.batch_size < 2
            || adam.learning_rate <= 0.0
            || !adam.learning_rate.is_finite())
    {
        return usage(
            "gradient descent needs 1 epoch, 2 samples in a batch, and a learning rate above 0".into(),
        );
    }
    if hidden.samples() < 2 {
        return usage(format!(
            "{} has {} samples; training needs 2",
            config.hidden.display(),
            hidden.samples()
        ));
    }
    Ok(rank)
}

/// The states of a level as a tensor, (N, H) f32.
pub(crate) fn level(hidden: &HiddenStates, level: usize) -> Result<Tensor, TrainError> {
    Ok(tensor(&hidden.level(level)?, hidden.hidden_size())?)
}

/// What the maps approximate, from the final hidden states (N, H).
pub(crate) fn targets(target: Target, states: Tensor) -> Result<Tensor, TrainError> {
    Ok(match target {
        Target::PreNorm => states,
        Target::Normed => {
            let scale = states.f_square()?.f_mean_dim([1i64].as_slice(), true, None)?.f_rsqrt()?; // (N, 1)
            states.f_mul(&scale)?
        }
    })
}

/// One A·B behind a BatchNorm per level. The states are read twice, so that the moments of one level
/// at a time are in memory.
fn joint_norms(
    config: &Config,
    hidden: &HiddenStates,
    targets: &Targets,
    rank: usize,
    observer: &dyn Observer,
) -> Result<Trained, TrainError> {
    let blocks = hidden.blocks();
    let meter = observer.begin(Task { name: "train", unit: "levels", total: blocks as u64 });
    let moments = (0..blocks).map(|k| {
        observer.check()?;
        let moments = Moments::of(&hidden.level(k)?, targets);
        meter.advance(1);
        moments
    });
    let maps = closed_form::with_norm_per_level(moments, rank, config.ridge)?;
    drop(meter);
    let targets = targets.tensor()?;
    let error = |(k, map): (usize, &Map)| {
        observer.check()?;
        closed_form::squared_error(map, &level(hidden, k)?, &targets)
    };
    let losses = maps.iter().enumerate().map(error).collect::<Result<_, _>>()?;
    Ok((Maps::PerLevel(maps), losses, None))
}
