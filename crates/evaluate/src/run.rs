//! A whole evaluation: all methods at all exit levels, then the tables.

use std::path::PathBuf;

use onejump_core::files;
use onejump_core::interrupt;
use onejump_core::lock;
use onejump_core::results::{Average, Method, Metrics, Summary};
use onejump_core::telemetry::Progress;
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::Place;
use onejump_models::head::Head;
use onejump_shortcuts::map::Map;
use onejump_store::hidden::HiddenStates;
use onejump_store::tables::{PerLevel, write_per_level};
use onejump_store::truth::Truth;
use rayon::prelude::*;
use tch::{Kind, Tensor};

use crate::EvaluateError;
use crate::constant::Constant;
use crate::exit_head::ExitHead;
use crate::levels::{self, Samples};
use crate::methods::Methods;
use crate::metrics::{Outcome, Tally, Variation};
use crate::truth::{tensor, truth};

/// What to evaluate.
#[derive(Debug, Clone)]
pub struct Config {
    /// The hidden states that are evaluated on: the test samples.
    pub hidden: PathBuf,
    /// The training samples, for the constant baseline; `train` beside `hidden` by default.
    pub train_hidden: Option<PathBuf>,
    /// The model that the states come from; only its head is read.
    pub model: String,
    /// Files of n-njtc, njtc, jtc and joint shortcuts.
    pub shortcuts: Vec<PathBuf>,
    /// Files of chosen jumps.
    pub ojfa: Vec<PathBuf>,
    /// Jumps of each n-njtc file that are applied at every exit level; by default those at
    /// one, three and five sixths of the blocks.
    pub arbitrary: Option<Vec<usize>>,
    /// The folder for `per_level.parquet` and `summary.json`.
    pub out: PathBuf,
}

impl Config {
    /// An evaluation of the baselines alone; add files of shortcuts.
    pub fn new(hidden: impl Into<PathBuf>, model: &str, out: impl Into<PathBuf>) -> Self {
        Self {
            hidden: hidden.into(),
            train_hidden: None,
            model: model.to_owned(),
            shortcuts: Vec::new(),
            ojfa: Vec::new(),
            arbitrary: None,
            out: out.into(),
        }
    }
}

/// Evaluates every method at every exit level, and writes `per_level.parquet` and `summary.json`.
///
/// # Errors
/// [`EvaluateError`] if files are missing, damaged, or do not belong together.
pub fn evaluate(config: &Config) -> Result<Summary, EvaluateError> {
    let hidden = HiddenStates::open(&config.hidden)?;
    let train = HiddenStates::open(train_folder(config))?;
    let mut checkpoint = Checkpoint::open(&config.model)?;
    check_model(&checkpoint, &[&hidden, &train])?;
    let blocks = hidden.blocks();
    let default_arbitrary = || vec![blocks / 6, blocks / 2, blocks * 5 / 6];
    let arbitrary = config.arbitrary.clone().unwrap_or_else(default_arbitrary);
    let methods = Methods::read(&hidden, &config.shortcuts, &config.ojfa, &arbitrary)?;
    let _lock = lock::folder(&config.out)?;

    let head = Head::load(&mut checkpoint, Place::CPU)?;
    let train_truth = truth(&train, &head, &config.out.join("truth-train.parquet"))?;
    let truth = truth(&hidden, &head, &config.out.join("truth-test.parquet"))?;
    let positions = hidden.positions()?;
    let targets = tensor(&hidden.level(blocks)?, hidden.hidden_size())?;
    let variation = variation(&targets, &positions)?;
    let normed_targets = head.norm.forward(&targets)?;
    let vocab_size = head.vocab_size();
    let samples = Samples { targets, normed_targets, head };

    let constant = Constant::new(&train_truth.tokens, vocab_size);
    let constant = constant_tally(&constant, &samples, &truth, &positions)?;
    let mut rows = Vec::new();
    let constant_method =
        Method { method: "constant".into(), solver: None, rank: None, jump: None, parameters: 0 };
    rows.extend((0..blocks).filter_map(|level| row(&constant_method, level, &constant, variation)));
    let tallies = all_levels(&hidden, &methods, &samples, &truth, &positions)?;
    for (index, entry) in methods.entries.iter().enumerate() {
        let tallies = tallies.iter().map(|level| &level[index]).enumerate();
        rows.extend(tallies.filter_map(|(level, tally)| row(&entry.method, level, tally, variation)));
    }
    write_per_level(&config.out.join("per_level.parquet"), &rows)?;
    let inputs = &hidden.manifest().inputs;
    let summary = Summary {
        model: inputs.model.clone(),
        architecture: inputs.architecture.clone(),
        hidden_size: hidden.hidden_size(),
        blocks,
        vocab_size,
        train_samples: train.samples(),
        test_samples: hidden.samples(),
        test_samples_at_0: positions.iter().filter(|&&position| position == 0).count(),
        choices: methods.choices,
        averages: averages(&rows),
    };
    files::write_json(&config.out.join("summary.json"), &summary)?;
    Ok(summary)
}

fn train_folder(config: &Config) -> PathBuf {
    config.train_hidden.clone().unwrap_or_else(|| config.hidden.with_file_name("train"))
}

/// The head must be the one behind the hidden states.
fn check_model(checkpoint: &Checkpoint, hidden: &[&HiddenStates]) -> Result<(), EvaluateError> {
    let sha256 = checkpoint.sha256()?;
    for hidden in hidden {
        let inputs = &hidden.manifest().inputs;
        if inputs.model_sha256 != sha256 {
            return Err(EvaluateError::Usage(format!(
                "{} was captured from another checkpoint ({}) than --model {}",
                hidden.dir().display(),
                inputs.model,
                checkpoint.path().display()
            )));
        }
    }
    Ok(())
}

/// Every method at every exit level: per level, a tally per entry. Levels are independent; each
/// runs on one thread, so that the result does not depend on how many there are.
fn all_levels(
    hidden: &HiddenStates,
    methods: &Methods,
    samples: &Samples,
    truth: &Truth,
    positions: &[u32],
) -> Result<Vec<Vec<Tally>>, EvaluateError> {
    let blocks = hidden.blocks();
    let names: Vec<String> = methods.entries.iter().map(|entry| describe(&entry.method)).collect();
    // The head behind a map that serves all levels is prepared once.
    let mut shared = Vec::with_capacity(names.len());
    for entry in &methods.entries {
        let one = methods.is_one_map(entry);
        shared.push(if one { Some(ExitHead::new(methods.map(entry, 0)?, &samples.head)?) } else { None });
    }
    let exit = |level: usize, entry: usize| {
        Ok::<_, EvaluateError>(match &shared[entry] {
            Some(head) => Exit::Prepared(Box::new(head.shallow_clone())),
            None => Exit::Map(methods.map(&methods.entries[entry], level)?.map(Map::shallow_clone)),
        })
    };
    let jobs = (0..blocks)
        .map(|level| {
            let exits = (0..names.len()).map(|entry| exit(level, entry)).collect::<Result<Vec<_>, _>>()?;
            Ok((level, samples.shallow_clone(), exits))
        })
        .collect::<Result<Vec<_>, EvaluateError>>()?;
    let progress = Progress::new("evaluate", "methods × levels", (blocks * names.len()) as u64);
    let pool = rayon::ThreadPoolBuilder::new()
        .start_handler(|_| tch::set_num_threads(1))
        .build()
        .map_err(|error| EvaluateError::Usage(format!("cannot start threads: {error}")))?;
    let tallies = pool.install(|| {
        jobs.into_par_iter()
            .with_max_len(1)
            .map(|(level, samples, exits)| {
                let states = tensor(&hidden.level(level)?, hidden.hidden_size())?;
                let evaluate = |(name, exit): (&String, Exit)| {
                    interrupt::check()?;
                    let name = format!("{name} at level {level}");
                    let exit = exit.prepare(&samples)?;
                    let tally = levels::evaluate(&name, &exit, &states, &samples, truth, positions);
                    progress.advance(1);
                    tally
                };
                names.iter().zip(exits).map(evaluate).collect::<Result<Vec<_>, _>>()
            })
            .collect::<Result<Vec<_>, EvaluateError>>()
    })?;
    progress.finish();
    Ok(tallies)
}

/// A map with the head behind it, or what it is made from.
enum Exit {
    Prepared(Box<ExitHead>),
    Map(Option<Map>),
}

impl Exit {
    fn prepare(self, samples: &Samples) -> Result<ExitHead, EvaluateError> {
        match self {
            Self::Prepared(head) => Ok(*head),
            Self::Map(map) => ExitHead::new(map.as_ref(), &samples.head),
        }
    }
}

fn describe(method: &Method) -> String {
    let mut name = method.method.clone();
    if let Some(solver) = method.solver {
        name.push_str(&format!(" ({solver}"));
        if let Some(rank) = method.rank {
            name.push_str(&format!(", rank {rank}"));
        }
        name.push(')');
    }
    name
}

fn constant_tally(
    constant: &Constant,
    samples: &Samples,
    truth: &Truth,
    positions: &[u32],
) -> Result<Tally, EvaluateError> {
    let tops = vec![i64::from(constant.top()); positions.len()];
    let mat_surprisals = samples.mat_surprisals(truth, 0, &tops)?;
    let mut tally = Tally::default();
    for (row, &token) in truth.tokens.iter().enumerate() {
        let outcome = Outcome {
            above: constant.above(token),
            surprisal: constant.surprisal(token),
            mat_surprisal: mat_surprisals[row],
            approximation: None,
        };
        tally.add(positions[row], &outcome);
    }
    Ok(tally)
}

/// Σ‖h_K − mean h_K‖² over all samples, and over those whose position is not 0.
fn variation(targets: &Tensor, positions: &[u32]) -> Result<Variation, EvaluateError> {
    let of = |targets: &Tensor| -> Result<f64, EvaluateError> {
        let targets = targets.f_to_kind(Kind::Double)?;
        let mean = targets.f_mean_dim([0i64].as_slice(), true, Kind::Double)?;
        Ok(targets.f_sub(&mean)?.f_square_()?.f_sum(Kind::Double)?.double_value(&[]))
    };
    let kept: Vec<i64> = (0..positions.len() as i64).filter(|&row| positions[row as usize] > 0).collect();
    let without_0 =
        if kept.is_empty() { 0.0 } else { of(&targets.f_index_select(0, &Tensor::f_from_slice(&kept)?)?)? };
    Ok(Variation { all: of(targets)?, without_0 })
}

fn row(method: &Method, level: usize, tally: &Tally, variation: Variation) -> Option<PerLevel> {
    let (all, without_0) = tally.metrics(variation)?;
    Some(PerLevel { method: method.clone(), level, all, without_0 })
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
