//! Training a kind at every exit level.

use std::path::PathBuf;

use onejump_core::interrupt;
use onejump_core::shortcut::{BATCH_NORM_EPS, Kind, Solver, default_rank};
use onejump_core::telemetry::Progress;
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_shortcuts::card::{Card, Target};
use onejump_shortcuts::file::{Maps, ShortcutFile};
use onejump_shortcuts::map::Map;
use onejump_store::hidden::{HiddenStates, Selection};
use tch::Tensor;

use crate::adam::{self, Descended, Samples, Start};
use crate::closed_form::{self, Fitted};
use crate::few_samples;
use crate::levels::{self, Sharing};
use crate::moments::Moments;
use crate::{TrainError, adam::Options, one_jump};

/// What to train and how.
#[derive(Debug, Clone)]
pub struct Config {
    /// A folder of hidden states.
    pub hidden: PathBuf,
    /// What to train.
    pub kind: Kind,
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
    pub fn new(hidden: impl Into<PathBuf>, kind: Kind) -> Self {
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
pub fn default_solver(kind: Kind) -> Solver {
    if kind == Kind::OneJump { Solver::Adam } else { Solver::ClosedForm }
}

/// Kinds whose closed form needs nothing but the levels' moments.
const FROM_MOMENTS: [Kind; 4] = [Kind::Jtc, Kind::Njtc, Kind::NNjtc, Kind::Joint];

/// Trains a kind on all samples of a folder, at every exit level.
///
/// # Errors
/// [`TrainError`] if the states cannot be read, the arguments make no sense, or training diverges.
pub fn train(config: &Config) -> Result<ShortcutFile, TrainError> {
    let hidden = HiddenStates::open(&config.hidden)?.select(config.selection)?;
    let rank = validated_rank(config, &hidden)?;
    if config.kind == Kind::OneJump {
        return train_one_jump(config, &hidden, rank);
    }
    let targets = targets(config.target, level(&hidden, hidden.blocks())?)?;
    let job = Job { config, hidden: &hidden, targets: &targets };
    let trained = match (config.kind, config.solver) {
        (Kind::Joint, Solver::Adam) => job.joint_adam(rank)?,
        (_, Solver::Adam) => job.levels_adam(rank)?,
        (Kind::JointNorms, Solver::ClosedForm) => job.joint_norms(rank)?,
        (kind, Solver::ClosedForm) => job.closed_form(kind, rank)?,
    };
    Ok(file(config, &hidden, rank, trained))
}

/// Trains several kinds and ranks in closed form, reading each level of the states once. What `config` says of
/// kind, rank and solver does not count.
///
/// # Errors
/// As [`train`], and [`TrainError::Usage`] for a kind that needs more than the levels' moments.
pub fn train_together(
    config: &Config,
    sets: &[(Kind, Option<usize>)],
) -> Result<Vec<ShortcutFile>, TrainError> {
    let hidden = HiddenStates::open(&config.hidden)?.select(config.selection)?;
    let configs: Vec<_> = sets
        .iter()
        .map(|&(kind, rank)| Config { kind, rank, solver: Solver::ClosedForm, ..config.clone() })
        .collect();
    let validated = |config: &Config| {
        if !FROM_MOMENTS.contains(&config.kind) {
            let known = FROM_MOMENTS.map(Kind::name).join(", ");
            return Err(TrainError::Usage(format!(
                "'{}' is trained alone; several kinds or ranks at once are possible for {known}",
                config.kind
            )));
        }
        Ok((config.kind, validated_rank(config, &hidden)?))
    };
    let sets = configs.iter().map(validated).collect::<Result<Vec<_>, _>>()?;
    let targets = targets(config.target, level(&hidden, hidden.blocks())?)?;
    let trained = Job { config, hidden: &hidden, targets: &targets }.closed_forms(&sets)?;
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
fn train_one_jump(config: &Config, hidden: &HiddenStates, rank: usize) -> Result<ShortcutFile, TrainError> {
    let Some(model) = &config.model else {
        return Err(TrainError::Usage(
            "a one-jump is fitted to the model's head: name it with --model".into(),
        ));
    };
    let mut checkpoint = Checkpoint::open(model)?;
    let inputs = &hidden.manifest().inputs;
    if checkpoint.sha256()? != inputs.model_sha256 {
        return Err(TrainError::Usage(format!(
            "{} was captured from another checkpoint ({}) than --model {model}",
            config.hidden.display(),
            inputs.model
        )));
    }
    let head = Head::load(&mut checkpoint, Place::CPU)?;
    let one = one_jump::fit(hidden, &head, rank, config)?;
    let options =
        (config.solver == Solver::Adam).then(|| one_jump::descent::describe(&config.adam, head.vocab_size()));
    let curves = one.curve.map(|curve| vec![curve]);
    let card = card(config, hidden, rank, options, vec![one.loss], curves);
    Ok(ShortcutFile { card, maps: Maps::One(Box::new(one.map)) })
}

fn validated_rank(config: &Config, hidden: &HiddenStates) -> Result<usize, TrainError> {
    let usage = |reason: String| Err(TrainError::Usage(reason));
    if !Kind::TRAINED.contains(&config.kind) {
        let known = Kind::TRAINED.map(Kind::name).join(", ");
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
    if config.kind == Kind::JointNorms && config.solver == Solver::Adam {
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
    let states = hidden.level(level)?;
    Ok(Tensor::f_from_slice(&states)?.f_view([-1, hidden.hidden_size() as i64])?)
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

/// The maps, the training loss of each, and the loss curves of gradient descent.
type Trained = (Maps, Vec<f64>, Option<Vec<Vec<f64>>>);

struct Job<'a> {
    config: &'a Config,
    hidden: &'a HiddenStates,
    targets: &'a Tensor,
}

impl Job<'_> {
    fn closed_form(&self, kind: Kind, rank: usize) -> Result<Trained, TrainError> {
        let trained = self.closed_forms(&[(kind, rank)])?.pop();
        trained.ok_or_else(|| TrainError::Usage("the model has no blocks".into()))
    }

    /// The closed forms of kinds and ranks, all from one pass over the levels' moments.
    fn closed_forms(&self, sets: &[(Kind, usize)]) -> Result<Vec<Trained>, TrainError> {
        let (joint, per_level): (Vec<_>, Vec<_>) = sets.iter().partition(|(kind, _)| *kind == Kind::Joint);
        let (fitted, moments) = self.pass("train", &per_level, !joint.is_empty())?;
        let mut fitted = fitted.into_iter();
        let trained = |&(kind, rank): &(Kind, usize)| {
            if let (Kind::Joint, Some(moments)) = (kind, &moments) {
                let Fitted { map, loss } = closed_form::fit(kind, moments, rank, self.config.ridge)?;
                return Ok((Maps::One(Box::new(map)), vec![loss], None));
            }
            let levels = fitted.next().unwrap_or_default();
            let (maps, losses) = levels.into_iter().map(|fitted| (fitted.map, fitted.loss)).unzip();
            Ok((Maps::PerLevel(maps), losses, None))
        };
        sets.iter().map(trained).collect()
    }

    /// For each set what is fitted at each level, and the moments of all levels together, which are the sum of
    /// the levels' moments, if `together` asks for them.
    fn pass(
        &self,
        name: &'static str,
        sets: &[(Kind, usize)],
        together: bool,
    ) -> Result<(Vec<Vec<Fitted>>, Option<Moments>), TrainError> {
        let (blocks, hidden_size) = (self.hidden.blocks(), self.hidden.hidden_size());
        let progress = Progress::new(name, "levels", blocks as u64);
        let ridge = self.config.ridge;
        // With fewer samples than H the moments are singular, and matrices of the samples' size do.
        let few = self.hidden.samples() < hidden_size;
        let task = |_: usize, inputs: &Tensor, targets: &Tensor| {
            let moments = Moments::of(inputs, targets)?;
            let fit = |&(kind, rank): &(Kind, usize)| {
                if few {
                    let map = few_samples::fit(kind, inputs, targets, rank, ridge)?;
                    return Ok(Fitted { loss: closed_form::loss(&map, &moments)?, map });
                }
                closed_form::fit(kind, &moments, rank, ridge)
            };
            let fitted = sets.iter().map(fit).collect::<Result<Vec<_>, TrainError>>()?;
            Ok((fitted, together.then_some(moments)))
        };
        let mut fitted: Vec<_> = sets.iter().map(|_| Vec::with_capacity(blocks)).collect();
        let mut sum: Option<Moments> = None;
        levels::for_each(self.hidden, self.targets, Sharing::of_matrices(hidden_size), task, |level| {
            let (level, moments) = level;
            for (fitted, level) in fitted.iter_mut().zip(level) {
                fitted.push(level);
            }
            match (&mut sum, moments) {
                (Some(sum), Some(moments)) => sum.add(&moments)?,
                (sum, moments) => *sum = moments,
            }
            progress.advance(1);
            Ok(())
        })?;
        progress.finish();
        Ok((fitted, sum))
    }

    /// The moments of all exit levels together.
    fn moments(&self) -> Result<Moments, TrainError> {
        let (_, moments) = self.pass("moments", &[], true)?;
        moments.ok_or_else(|| TrainError::Usage("the model has no blocks".into()))
    }

    /// One A·B behind a BatchNorm per level. The states are read twice, so that the moments of one level
    /// at a time are in memory.
    fn joint_norms(&self, rank: usize) -> Result<Trained, TrainError> {
        let blocks = self.hidden.blocks();
        let progress = Progress::new("train", "levels", blocks as u64);
        let moments = (0..blocks).map(|k| {
            interrupt::check()?;
            let moments = Moments::of(&level(self.hidden, k)?, self.targets);
            progress.advance(1);
            moments
        });
        let maps = closed_form::with_norm_per_level(moments, rank, self.config.ridge)?;
        progress.finish();
        let error = |(k, map): (usize, &Map)| {
            interrupt::check()?;
            closed_form::squared_error(map, &level(self.hidden, k)?, self.targets)
        };
        let losses = maps.iter().enumerate().map(error).collect::<Result<_, _>>()?;
        Ok((Maps::PerLevel(maps), losses, None))
    }

    fn levels_adam(&self, rank: usize) -> Result<Trained, TrainError> {
        let (config, blocks) = (self.config, self.hidden.blocks());
        let progress = Progress::new("train", "epochs", (blocks * config.adam.epochs) as u64);
        let mut maps = Vec::with_capacity(blocks);
        let (mut losses, mut curves) = (Vec::with_capacity(blocks), Vec::with_capacity(blocks));
        let start = Start::of(self.targets, rank)?;
        let task = |k: usize, inputs: &Tensor, targets: &Tensor| {
            let moments = &Moments::of(inputs, targets)?;
            descend(config, &Samples { inputs, targets, moments }, &start, k as u64, &progress)
        };
        levels::for_each(self.hidden, self.targets, Sharing::LevelPerThread, task, |descended| {
            maps.push(descended.map);
            losses.push(descended.loss);
            curves.push(descended.curve);
            Ok(())
        })?;
        progress.finish();
        Ok((Maps::PerLevel(maps), losses, Some(curves)))
    }

    fn joint_adam(&self, rank: usize) -> Result<Trained, TrainError> {
        let blocks = self.hidden.blocks();
        let moments = self.moments()?;
        let levels = (0..blocks).map(|k| level(self.hidden, k)).collect::<Result<Vec<_>, _>>()?;
        let inputs = Tensor::f_cat(&levels, 0)?; // (K·N, H)
        drop(levels);
        let progress = Progress::new("train", "epochs", self.config.adam.epochs as u64);
        let samples = Samples { inputs: &inputs, targets: self.targets, moments: &moments };
        let start = Start::of(self.targets, rank)?;
        let Descended { map, loss, curve } =
            descend(self.config, &samples, &start, blocks as u64, &progress)?;
        progress.finish();
        Ok((Maps::One(Box::new(map)), vec![loss], Some(vec![curve])))
    }
}

/// Gradient descent on one set of samples.
fn descend(
    config: &Config,
    samples: &Samples,
    start: &Start,
    stream: u64,
    progress: &Progress,
) -> Result<Descended, TrainError> {
    let kind = config.kind;
    let after_epoch = || {
        progress.advance(1);
        Ok(interrupt::check()?)
    };
    let descended = adam::descend(kind, samples, start, &config.adam, stream, &after_epoch)?;
    let loss = descended.loss;
    if !loss.is_finite() {
        return Err(TrainError::Diverged(format!("the {kind} of level {stream} has a loss of {loss}")));
    }
    tracing::info!("{}", describe_curve(kind, stream, &descended.curve, loss));
    Ok(descended)
}

fn describe_curve(kind: Kind, stream: u64, curve: &[f64], loss: f64) -> String {
    let stride = curve.len().div_ceil(6).max(1);
    let points: Vec<_> = curve.iter().step_by(stride).map(|loss| format!("{loss:.0}")).collect();
    let place = if kind == Kind::Joint { "all levels".to_owned() } else { format!("level {stream}") };
    format!("{kind}, {place}: loss {} -> {loss:.1} with running statistics", points.join(" -> "))
}
