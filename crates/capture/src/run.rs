//! A whole capture: part after part, each written as soon as it is computed.

use std::fmt;
use std::ops::Range;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use onejump_core::levels::Levels;
use onejump_core::manifest::{CaptureInputs, DeviceKind};
use onejump_core::observe::{Observer, Task};
use onejump_models::checkpoint::Checkpoint;
use onejump_models::device::{self, Choice, Place};
use onejump_models::tf32;
use onejump_models::transformer::{Outline, Transformer};
use onejump_store::moments::{Leaves, Sums};
use onejump_store::part::{PartRows, write_part};
use tch::Device;

use crate::CaptureError;
use crate::ahead::{self, GROUPS_AHEAD};
use crate::chunks;
use crate::config::{Batching, Config, Input};
use crate::moments::MomentsOutput;
use crate::output::Output;
use crate::plan::{Plan, Work};
use crate::positions::Positions;
use crate::sampling::Sampling;
use crate::source::Source;
use crate::stream::{self, Computing, Pieces};
use crate::survey::Survey;
use crate::texts::Chat;
use crate::workers::{self, Workers};

/// About how many bytes of uncompressed states a part has: few enough to compute again after an interruption, enough
/// to read at full speed.
pub const TARGET_PART_BYTES: usize = 64 << 20;

/// What a capture did; `Display` says it in a few lines.
#[derive(Debug, Clone)]
pub struct Captured {
    /// Samples in the whole folder.
    pub samples: usize,
    /// Samples that were computed now; the others were there already.
    pub computed: usize,
    /// Tokens that were computed now.
    pub tokens: usize,
    /// Parts in the whole folder.
    pub parts: usize,
    /// Bytes of the parts that were written now.
    pub bytes: u64,
    /// Time for the parts that were written now, without loading the model.
    pub elapsed: Duration,
    /// How much of it the model took alone, where that is known: with batches out of several parts.
    pub computing: Option<Computing>,
    /// The files of sums, where those over all samples are there.
    pub moments: Vec<PathBuf>,
}

impl fmt::Display for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples in {} parts", self.samples, self.parts)?;
        if self.computed > 0 {
            let seconds = self.elapsed.as_secs_f64();
            write!(
                f,
                "\n  computed {} samples, {} tokens in {seconds:.2} s ({:.0} tokens/s); wrote {:.0} MB",
                self.computed,
                self.tokens,
                self.tokens as f64 / seconds,
                self.bytes as f64 / 1e6
            )?;
            if let Some(Computing { first, first_tokens, all }) = self.computing {
                let (first, all) = (first.as_secs_f64(), all.as_secs_f64());
                write!(
                    f,
                    "; the model alone {all:.2} s, the first {first_tokens} tokens {first:.2} s of it"
                )?;
            }
        }
        for path in &self.moments {
            write!(f, "\n  sums over all samples: {}", path.display())?;
        }
        Ok(())
    }
}

/// Captures, or continues a capture that was interrupted.
///
/// # Errors
/// [`CaptureError`]; the parts that are written stay, and the same call continues after them.
pub fn capture(config: &Config, observer: &dyn Observer) -> Result<Captured, CaptureError> {
    let mut prepared = Prepared::new(config, observer)?;
    prepared.plan.check_memory(prepared.place)?;
    let inputs = prepared.inputs(config)?;
    let outputs = Outputs::open(config, inputs, &prepared)?;
    let mut todo = Vec::new();
    for part in 0..prepared.parts_total() {
        if outputs.needs_part(part)? {
            todo.push(part);
        }
    }
    let waiting: usize = todo.iter().map(|&part| prepared.rows_of(part).len()).sum();
    let (mut bytes, mut elapsed, mut computing) = (0, Duration::ZERO, None);
    let tokens = AtomicUsize::new(0);
    if !todo.is_empty() {
        let model = Transformer::load(&mut prepared.checkpoint, prepared.place)?;
        let prepared = &prepared;
        let meter = observer.begin(Task { name: "capture", unit: "samples", total: waiting as u64 });
        let started = Instant::now();
        let write = |part: usize, rows: PartRows| outputs.write(part, rows);
        let pieces = prepared.pieces(&todo);
        let windows = if prepared.batching.parts > 1 {
            pieces.windows()
        } else {
            todo.iter().map(|&part| prepared.rows_of(part)).collect()
        };
        let written = thread::scope(|scope| {
            let (sender, groups) = mpsc::sync_channel(GROUPS_AHEAD);
            let (source, survey, tokens) = (&prepared.source, &prepared.survey, &tokens);
            scope.spawn(move || ahead::send(source, survey, windows, tokens, observer, &sender));
            if prepared.batching.parts > 1 {
                let model = model.with_padding(true);
                let streamed = stream::run(&model, &pieces, groups, &write, &*meter, observer)?;
                computing = Some(streamed.computing);
                return Ok(streamed.bytes);
            }
            let workers = Workers::new(&model, &prepared.levels)?;
            let parts = todo.iter().zip(groups).map(|(&part, group)| {
                observer.check()?;
                Ok((part, workers.compute_part(group?, prepared.batching.tokens, &*meter)?))
            });
            let texts = prepared.texts().is_some();
            pipeline(parts, |(part, states)| write(part, states.into_rows(texts)))
        });
        bytes = outputs.saved(written)?;
        elapsed = started.elapsed();
    }
    let tokens = tokens.into_inner();
    let (samples, parts) = (prepared.count(), prepared.parts_total());
    let moments = outputs.moments.as_ref().map(MomentsOutput::finished).unwrap_or_default();
    Ok(Captured { samples, computed: waiting, tokens, parts, bytes, elapsed, computing, moments })
}

/// What a shard writes: parts of states, sums, or both.
struct Outputs<'a> {
    config: &'a Config,
    hidden_size: usize,
    /// Parts that are computed together.
    together: usize,
    states: Option<Output>,
    moments: Option<MomentsOutput>,
}

impl<'a> Outputs<'a> {
    fn open(config: &'a Config, inputs: CaptureInputs, prepared: &Prepared) -> Result<Self, CaptureError> {
        if config.states && !config.moments.is_empty() && config.shard.count > 1 {
            return Err(CaptureError::ShardsOfBoth);
        }
        let Prepared { outline, samples_per_part, batching, .. } = prepared;
        let leaves = Leaves { parts: prepared.parts_total(), together: batching.parts };
        let moments = || MomentsOutput::open(&config.out, &config.moments, &inputs, leaves, config.shard);
        let moments = if config.moments.is_empty() { None } else { Some(moments()?) };
        let states = || Output::open(&config.out, inputs, *samples_per_part, config.shard);
        let states = if config.states { Some(states()?) } else { None };
        Ok(Self { config, hidden_size: outline.hidden_size, together: batching.parts, states, moments })
    }

    /// Whether a part is one of the shard's, and is not written.
    fn needs_part(&self, part: usize) -> Result<bool, CaptureError> {
        let own = match &self.moments {
            Some(moments) => moments.has(part),
            None => self.config.shard.has(part, self.together),
        };
        let summed = self.moments.as_ref().is_none_or(|moments| !moments.lacks(part));
        Ok(own && (!summed || self.needs_states(part)?))
    }

    fn needs_states(&self, part: usize) -> Result<bool, CaptureError> {
        self.states.as_ref().map_or(Ok(false), |output| output.needs_part(part))
    }

    /// Writes a part; how many bytes its file has.
    fn write(&self, part: usize, rows: PartRows) -> Result<u64, CaptureError> {
        let mut bytes = 0;
        // Where only the sums lack a part, its file is not written again.
        if let Some(output) = &self.states
            && (self.moments.is_none() || output.needs_part(part)?)
        {
            write_part(&output.part_path(part), &rows, self.hidden_size, self.config.store_dtype)
                .map_err(|error| output.explained(error))?;
            bytes = output.add_part(part, rows.sample_ids.len())?;
        }
        if let Some(moments) = &self.moments {
            moments.add(part, rows)?;
        }
        Ok(bytes)
    }

    /// Saves what was added up, also where the capture was stopped or failed.
    fn saved(&self, written: Result<u64, CaptureError>) -> Result<u64, CaptureError> {
        let saved = self.moments.as_ref().map_or(Ok(()), MomentsOutput::save);
        written.and_then(|bytes| saved.map(|()| bytes))
    }
}

/// Writes each part while the next one is computed, and adds up the bytes. When computing a part fails, the parts
/// before it are still written.
fn pipeline<P: Send>(
    parts: impl Iterator<Item = Result<P, CaptureError>>,
    write: impl Fn(P) -> Result<u64, CaptureError> + Send,
) -> Result<u64, CaptureError> {
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(0);
        let writer = scope.spawn(move || receiver.into_iter().map(write).sum::<Result<u64, CaptureError>>());
        let mut computed = Ok(());
        for part in parts {
            match part {
                // The writer ends early only where it fails; `join` returns its error.
                Ok(part) => {
                    if sender.send(part).is_err() {
                        break;
                    }
                }
                Err(error) => {
                    computed = Err(error);
                    break;
                }
            }
        }
        drop(sender);
        let written = writer.join().unwrap_or_else(|panic| resume_unwind(panic));
        computed.and(written)
    })
}

/// What a capture will need, with an estimate of its time; nothing is loaded or written.
///
/// # Errors
/// [`CaptureError`] as [`capture`] would have before it loads the model.
pub fn plan(config: &Config, observer: &dyn Observer) -> Result<Plan, CaptureError> {
    let prepared = Prepared::new(config, observer)?;
    prepared.plan.timed(&prepared.outline, prepared.place)
}

/// The input, of which nothing is read yet.
fn source(
    config: &Config,
    checkpoint: &Checkpoint,
    outline: &Outline,
    observer: &dyn Observer,
) -> Result<Source, CaptureError> {
    let sampling = Sampling {
        seed: config.seed,
        positions: config.positions,
        position_0: config.position_0,
        vocab_size: outline.vocab_size,
        context: outline.context,
        limit: config.limit,
        bos: config.bos,
        bos_id: checkpoint.bos_id(),
        eos_id: checkpoint.eos_id(),
    };
    match &config.input {
        Input::Sentences(path) => Source::sentences(path, checkpoint.tokenizer()?, sampling),
        Input::Texts(texts) => {
            let chat = Chat::new(checkpoint.chat_template().map_err(|error| error.to_string()));
            Source::texts(texts.clone().brought(observer)?, chat, checkpoint.tokenizer()?, sampling)
        }
        Input::Samples(path) => Source::samples(path, sampling),
    }
}

/// Everything that is known before the model is loaded.
struct Prepared {
    place: Place,
    checkpoint: Checkpoint,
    outline: Outline,
    /// Those that are stored.
    levels: Vec<usize>,
    source: Source,
    survey: Survey,
    samples_per_part: usize,
    batching: Batching,
    plan: Plan,
}

impl Prepared {
    fn new(config: &Config, observer: &dyn Observer) -> Result<Self, CaptureError> {
        let dtype = device::parse_dtype(&config.dtype)?;
        let place = Place { device: Choice::of(&config.device)?.device, dtype, ..Place::CPU };
        tf32::check(&config.dtype, place.device)?;
        let checkpoint = Checkpoint::open_observed(&config.model, observer)?;
        let outline = Outline::of(&checkpoint)?;
        let all = || Levels::new(0..=outline.blocks);
        let levels = config.levels.clone().unwrap_or_else(all).as_slice().to_vec();
        if let Some(&level) = levels.last().filter(|&&level| level > outline.blocks) {
            return Err(CaptureError::NoLevel { level, blocks: outline.blocks });
        }
        let source = source(config, &checkpoint, &outline, observer)?;
        let survey = Survey::of(&source, observer)?;
        let row_bytes = levels.len() * outline.hidden_size * size_of::<f32>();
        // Where a text has more rows than a part would hold, parts hold as many: it is then computed twice at most.
        let samples_per_part = (TARGET_PART_BYTES / row_bytes).max(survey.most_rows);
        let batching = config.batching(place.device, outline.hidden_size);
        let per_batch = samples_per_part * batching.parts;
        let work = Work {
            samples: survey.end.row,
            levels: levels.len(),
            tokens: survey.tokens,
            tokens_at_once: workers::tokens_at_once(place.device, &survey, batching.tokens),
            part_bytes: row_bytes * per_batch.min(survey.end.row),
            store_value_bytes: if config.states { config.store_dtype.bytes() } else { 0 },
            moment_bytes: config.moments.len() as u64
                * Sums::bytes(outline.hidden_size, levels.len().saturating_sub(1)),
        };
        let plan = Plan::new(&outline, place, work);
        Ok(Self { place, checkpoint, outline, levels, source, survey, samples_per_part, batching, plan })
    }

    /// Rows in all.
    fn count(&self) -> usize {
        self.survey.end.row
    }

    /// Parts in all.
    fn parts_total(&self) -> usize {
        self.count().div_ceil(self.samples_per_part)
    }

    /// The numbers of the rows of a part.
    fn rows_of(&self, part: usize) -> Range<usize> {
        let first = part * self.samples_per_part;
        first..(first + self.samples_per_part).min(self.count())
    }

    /// What the threads that batch out of several parts work on.
    fn pieces<'a>(&'a self, wanted: &'a [usize]) -> Pieces<'a> {
        Pieces {
            count: self.count(),
            samples_per_part: self.samples_per_part,
            window: self.batching.parts,
            wanted,
            batch_tokens: self.batching.tokens,
            dtype: self.place.dtype,
            levels: &self.levels,
            texts: self.texts().is_some(),
        }
    }

    /// How many texts there are, where one may have several rows.
    fn texts(&self) -> Option<usize> {
        self.survey.several.then_some(self.survey.used_texts)
    }

    /// What goes into the manifest.
    fn inputs(&self, config: &Config) -> Result<CaptureInputs, CaptureError> {
        let mut pack = false;
        let (name, chunk_tokens) = match &config.input {
            Input::Texts(texts) => {
                pack = texts.pack;
                (texts.name(), Some(chunks::chunk_tokens(texts, self.outline.context)?))
            }
            Input::Sentences(path) | Input::Samples(path) => {
                (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), None)
            }
        };
        Ok(CaptureInputs {
            model: config.model.clone(),
            architecture: self.checkpoint.architecture()?.to_owned(),
            model_sha256: self.checkpoint.sha256()?,
            hidden_size: self.outline.hidden_size,
            blocks: self.outline.blocks,
            vocab_size: self.outline.vocab_size,
            sentences: name,
            sentences_sha256: self.survey.sha256.clone(),
            samples: self.count(),
            truncated: self.survey.truncated,
            seed: config.seed,
            position_0: config.position_0,
            bos: self.survey.bos,
            dtype: config.dtype.clone(),
            store_dtype: config.store_dtype.name().to_owned(),
            device: Some(if self.place.device == Device::Cpu { DeviceKind::Cpu } else { DeviceKind::Cuda }),
            batch_tokens: Some(self.batching.tokens),
            batch_parts: Some(self.batching.parts).filter(|&parts| parts > 1),
            positions: Some(config.positions)
                .filter(|&some| some != Positions::ONE)
                .map(|some| some.to_string()),
            chunk_tokens,
            pack,
            texts: self.texts(),
            levels: Some(self.levels.clone()).filter(|levels| levels.len() <= self.outline.blocks),
            onejump: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: env!("ONEJUMP_LIBTORCH").to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_was_computed_before_a_failure_is_written() {
        let written = Mutex::new(Vec::new());
        let parts = [Ok(1), Ok(2), Err(CaptureError::NoInput), Ok(3)];
        let error = pipeline(parts.into_iter(), |part| {
            written.lock().unwrap().push(part);
            Ok(part)
        });
        assert!(matches!(error, Err(CaptureError::NoInput)));
        assert_eq!(written.into_inner().unwrap(), [1, 2]);
    }

    #[test]
    fn a_part_that_cannot_be_written_ends_the_capture() {
        let computed = Mutex::new(0);
        let parts = (0..100).map(|part| {
            *computed.lock().unwrap() += 1;
            Ok(part)
        });
        let error = pipeline(parts, |part| if part == 1 { Err(CaptureError::NoInput) } else { Ok(7) });
        assert!(matches!(error, Err(CaptureError::NoInput)));
        assert!(computed.into_inner().unwrap() < 5);
        assert_eq!(pipeline([Ok(1), Ok(2)].into_iter(), Ok).unwrap(), 3);
    }
}
