//! A whole evaluation: all methods at all exit levels, then the tables.

use std::iter;
use std::path::{Path, PathBuf};

use onejump_core::files;
use onejump_core::layout::{MANIFEST, TRAIN_TRUTH};
use onejump_core::lock;
use onejump_core::manifest::HiddenManifest;
use onejump_core::observe::Observer;
use onejump_core::results::{Average, Method, MethodName, Metrics, Summary};
use onejump_core::shard::Shard;
use onejump_exit::SharedHead;
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_store::StoreError;
use onejump_store::hidden::{HiddenStates, PartRange};
use onejump_store::merge;
use onejump_store::partial::Partial;
use onejump_store::tables::{PerLevel, write_per_level};
use onejump_store::truth::Truth;
use onejump_tensor::rows::values;

use crate::EvaluateError;
use crate::config::{Config, Part};
use crate::constant::Constant;
use crate::inputs::{States, check_model};
use crate::levels::FinalStates;
use crate::methods::Methods;
use crate::metrics::{Outcome, Tally};
use crate::shards::{self, Joined, Shares};
use crate::sweep::sweep;
use crate::truth;
use crate::variation::Variations;

/// Evaluates every method at every exit level, and writes `per_level.parquet` and `summary.json`; of a shard, the sums that
/// they are made of.
///
/// # Errors
/// [`EvaluateError`] if files are missing, damaged, or do not belong together.
pub fn evaluate(config: &Config, observer: &dyn Observer) -> Result<Summary, EvaluateError> {
    let share = Share::of(config)?;
    let manifest = match &share {
        Share::Joined(_) => merge::whole(&config.hidden)?,
        _ => HiddenManifest::read(&config.hidden)?,
    };
    let inputs = manifest.inputs.clone();
    let train_dir = train_dir(config);
    let train = merge::whole(&train_dir)?;
    let mut checkpoint = Checkpoint::open_observed(&config.model, observer)?;
    check_model(&checkpoint, &[(&config.hidden, &inputs), (&train_dir, &train.inputs)])?;
    let blocks = inputs.blocks;
    let default_arbitrary = || vec![blocks / 6, blocks / 2, blocks * 5 / 6];
    let arbitrary = config.arbitrary.clone().unwrap_or_else(default_arbitrary);
    let methods = Methods::read(&inputs, &config.shortcuts, &config.ojfa, &arbitrary)?;
    let out = share.shard().map_or(config.out.clone(), |shard| config.out.join(shard.folder()));
    let _lock = lock::folder(&out)?;
    let work = shards::work(config, &train, &arbitrary)?;

    let constant_method = Method::untrained(MethodName::Constant);
    let trained = methods.entries.iter().map(|entry| &entry.method);
    let all: Vec<_> = iter::once(&constant_method).chain(trained).collect();
    let head = SharedHead::new(&Head::load(&mut checkpoint, Place::CPU)?);
    let vocab_size = head.head().vocab_size();
    let levels = match share {
        Share::Levels(shard) => shards::levels(shard, blocks),
        _ => (0..blocks).collect(),
    };
    let partial = match share {
        Share::Joined(count) => shards::shards(&config.out, count).join(&work, &manifest)?,
        _ => {
            let train_truth = truth::of_training(&train_dir, &train, &head, &config.out, observer)?;
            let hidden = HiddenStates::open_shard(&config.hidden)?;
            hidden.check_levels(0..=blocks)?;
            // The model's own predictions are of no level: shards of levels find them where one of them has written them.
            let cache = if matches!(share, Share::Samples(_)) { &out } else { &config.out };
            let states = States::read(hidden, "test", &head, cache, observer)?;
            let constant = Constant::new(&train_truth.tokens, vocab_size);
            sums(&states, &methods, &constant, &levels, observer)?
        }
    };
    let shards = shards::shards(&config.out, share.count());
    // A folder of shards shares out its samples, a whole one the levels.
    let by_level = config.hidden.join(MANIFEST).is_file();
    let Joined { rows, at_0 } =
        shards::joined(&partial, &manifest, &all, &levels, &Shares { shards: &shards, by_level })?;
    let averages = averages(&rows);
    let summary = Summary {
        model: inputs.model,
        model_sha256: Some(inputs.model_sha256),
        architecture: inputs.architecture,
        hidden_size: inputs.hidden_size,
        blocks,
        vocab_size,
        train_samples: train.inputs.samples,
        test_samples: manifest.parts.iter().map(|part| part.samples).sum(),
        test_samples_at_0: at_0,
        choices: methods.choices,
        averages,
    };
    match share.shard() {
        Some(shard) => partial.write(&shards.path(shard), shard, &work, &manifest)?,
        None => {
            write_per_level(&out.join("per_level.parquet"), &rows)?;
            files::write_json(&out.join("summary.json"), &summary)?;
        }
    }
    Ok(summary)
}

/// The shard that an evaluation does, of the exit levels or of the samples; none where it does everything.
///
/// # Errors
/// [`EvaluateError`] if there are no hidden states.
pub fn shard_of(config: &Config) -> Result<Option<Shard>, EvaluateError> {
    Ok(Share::of(config)?.shard())
}

/// Writes the model's own predictions of the training samples in `config.hidden`, which may be those of a shard: with them
/// an evaluation needs no training states. Returns how many there are.
///
/// # Errors
/// [`EvaluateError`] if files are missing, damaged, or do not belong together.
pub fn predict(config: &Config, observer: &dyn Observer) -> Result<usize, EvaluateError> {
    let hidden = HiddenStates::open_shard(&config.hidden)?;
    hidden.check_levels([hidden.blocks()])?;
    let mut checkpoint = Checkpoint::open_observed(&config.model, observer)?;
    check_model(&checkpoint, &[(&config.hidden, &hidden.manifest().inputs)])?;
    let out = hidden.shard().map_or(config.out.clone(), |shard| config.out.join(shard.folder()));
    let _lock = lock::folder(&out)?;
    let head = SharedHead::new(&Head::load(&mut checkpoint, Place::CPU)?);
    Ok(truth::truth(&hidden, &head, &out.join(TRAIN_TRUTH), observer)?.tokens.len())
}

/// What is done of an evaluation.
#[derive(Debug, Clone, Copy)]
enum Share {
    /// The sums at some levels of all samples, or everything.
    Levels(Shard),
    /// The sums at all levels of some samples.
    Samples(Shard),
    /// The tables, from the sums of so many shards.
    Joined(usize),
}

impl Share {
    fn of(config: &Config) -> Result<Self, EvaluateError> {
        let levels = match config.part {
            Part::Join(count) => return Ok(Self::Joined(count)),
            Part::Levels(shard) => shard,
        };
        if !config.hidden.is_dir() {
            return Err(StoreError::NoFolder { dir: config.hidden.clone() }.into());
        }
        match HiddenManifest::read(&config.hidden)?.shard {
            None => Ok(Self::Levels(levels)),
            Some(samples) if levels == Shard::WHOLE => Ok(Self::Samples(samples)),
            Some(samples) => Err(EvaluateError::Usage(format!(
                "{}: is shard {samples} of a capture, and its samples are the share; leave out --shard {levels}",
                config.hidden.display()
            ))),
        }
    }

    /// How many shards there are.
    fn count(self) -> usize {
        match self {
            Self::Levels(shard) | Self::Samples(shard) => shard.count,
            Self::Joined(count) => count,
        }
    }

    /// The shard whose sums are written; none of an evaluation that is not shared out.
    fn shard(self) -> Option<Shard> {
        match self {
            Self::Levels(shard) => Some(shard).filter(|&shard| shard != Shard::WHOLE),
            Self::Samples(shard) => Some(shard),
            Self::Joined(_) => None,
        }
    }
}

/// The sums of the constant and of all methods, by part and level.
fn sums(
    states: &States,
    methods: &Methods,
    constant: &Constant,
    levels: &[usize],
    observer: &dyn Observer,
) -> Result<Partial, EvaluateError> {
    let States { hidden, truth, positions, finals } = states;
    let ranges = hidden.part_ranges();
    let by_part = |outcomes: &[Outcome]| -> Vec<Tally> {
        let of = |range: &PartRange| {
            Tally::of(&positions[range.samples.clone()], &outcomes[range.samples.clone()])
        };
        ranges.iter().map(of).collect()
    };
    let constant = by_part(&constant_outcomes(constant, finals, truth)?);
    let tallies = sweep("evaluate", states, methods, levels, observer, |outcomes| by_part(&outcomes))?;
    let targets = values(&finals.targets)?;
    let hidden_size = hidden.hidden_size();
    let mut partial = Partial::default();
    for (place, PartRange { part, samples }) in ranges.iter().enumerate() {
        let states = &targets[samples.start * hidden_size..samples.end * hidden_size];
        let variations = Variations::of(states, &positions[samples.clone()], hidden_size);
        shards::add_variations(&mut partial, *part, &variations);
        for (number, &level) in levels.iter().enumerate() {
            let of_methods = tallies.iter().map(|levels| levels[number][place]);
            let all: Vec<Tally> = iter::once(constant[place]).chain(of_methods).collect();
            shards::add(&mut partial, *part, level, &all);
        }
    }
    Ok(partial)
}

fn train_dir(config: &Config) -> PathBuf {
    let beside = || match Shard::of_folder(&config.hidden.file_name().unwrap_or_default().to_string_lossy()) {
        // Beside the folder that the shard is in.
        Some(_) => config.hidden.parent().unwrap_or(Path::new("")).with_file_name("train"),
        None => config.hidden.with_file_name("train"),
    };
    config.train_hidden.clone().unwrap_or_else(beside)
}

/// The test and the training samples, and the checkpoint that they must come from.
pub(crate) fn open(
    config: &Config,
    observer: &dyn Observer,
) -> Result<(HiddenStates, HiddenStates, Checkpoint), EvaluateError> {
    let hidden = HiddenStates::open(&config.hidden)?;
    let train = HiddenStates::open(train_dir(config))?;
    hidden.check_levels(0..=hidden.blocks())?;
    let checkpoint = Checkpoint::open_observed(&config.model, observer)?;
    let inputs = [&hidden, &train].map(|states| (states.dir(), &states.manifest().inputs));
    check_model(&checkpoint, &inputs)?;
    Ok((hidden, train, checkpoint))
}

fn constant_outcomes(
    constant: &Constant,
    finals: &FinalStates,
    truth: &Truth,
) -> Result<Vec<Outcome>, EvaluateError> {
    let tops = vec![i64::from(constant.top()); truth.tokens.len()];
    let mat_surprisals = finals.mat_surprisals(truth, 0, &tops)?;
    let outcome = |(&token, mat_surprisal): (&u32, f64)| Outcome {
        above: constant.above(token),
        surprisal: constant.surprisal(token),
        mat_surprisal,
        ..Outcome::default()
    };
    Ok(truth.tokens.iter().zip(mat_surprisals).map(outcome).collect())
}

/// The means over the exit levels of each method, in the order of evaluation.
fn averages(rows: &[PerLevel]) -> Vec<Average> {
    rows.chunk_by(|a, b| a.method == b.method)
        .filter_map(|rows| {
            let all: Vec<Metrics> = rows.iter().map(|row| row.all).collect();
            let without_0: Option<Vec<Metrics>> = rows.iter().map(|row| row.without_0).collect();
            Some(Average {
                method: rows.first()?.method.clone(),
                all: Metrics::mean(&all)?,
                without_0: without_0.and_then(|metrics| Metrics::mean(&metrics)),
            })
        })
        .collect()
}
