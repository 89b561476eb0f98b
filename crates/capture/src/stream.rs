//! Batches out of a window of parts, for a GPU: computing, copying, sorting and writing beside each other.
//!
//! On paper, a part of 64 MB holds 124 samples of Llama2-7B: about 2,000 tokens, each 13 GFLOP, or 40 ms of a GPU that
//! does 700 TFLOP/s in bf16. Batches out of one part would be small and of all lengths. With sixteen parts there are
//! four of 8,192 tokens, each of similar lengths, and 1 GB of states in flight. What that does to the rest:
//!
//! | per batch | SmolLM2 (32,768 tokens) | GPT2-XL (20,971) | Llama2-7B (8,192) |
//! |---|---:|---:|---:|
//! | products, at 700 TFLOP/s | 7 TFLOP, 10 ms | 62 TFLOP, 88 ms | 106 TFLOP, 152 ms |
//! | weights read, at 3.3 TB/s | 0.2 GB, 0.1 ms | 3 GB, 1 ms | 13 GB, 4 ms |
//! | launches, 27 a block (GPT-2: 17), at 5 µs | 810, 4 ms | 816, 4 ms | 864, 4 ms |
//! | launches with a call for each of 30 lengths, 240 more a block | 8,000, 40 ms | 12,300, 62 ms | 8,500, 43 ms |
//! | passes of the residual stream through the GPU's memory, 20 a block | 23 GB, 7 ms | 64 GB, 20 ms | 43 GB, 13 ms |
//! | states of one in 16 tokens, in the type that computes | 73 MB | 206 MB | 139 MB |
//! | their copy, pinned at 25 GB/s; as it is at 5 GB/s | 3; 15 ms | 8; 41 ms | 6; 28 ms |
//! | compressed and written, at 0.2 GB/s of f32 a thread | 730 ms | 2.1 s | 1.4 s |
//!
//! So lengths attend together (the models' business), states are copied in the type that computed them and into pinned
//! memory, and many threads compress. At Llama2-7B's size nine or ten threads keep up; a capture of one token a
//! sentence from a smaller model waits for its writers. (0.2 GB/s is one thread of a Zen 4; an H100 does an
//! 8192³ product at 800 TFLOP/s.)
//!
//! Measured on an H100 with 16 cores: Llama2-7B's longer texts reach 63 % of that product's rate. At SmolLM2's size a
//! batch takes 90 ms, nearly all of it launches: two threads that launch wait for each other, and need about 90 µs for
//! one where a thread alone needs 8. A thread compresses 0.08 GB/s, and the first gigabyte of parts costs the system
//! half a second of clearing pages.
//!
//! Who does what: two threads launch batches, so that the GPU has the next one when it ends one; some sort the states
//! into parts; as many write those that are full. Each waits where the next has enough to do, which bounds what is
//! in memory to about three windows. A part is full only when its window is nearly done: after a kill the same
//! command computes that window again, less the batches that only parts on the disk have.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use onejump_core::observe::{Meter, Observer};
use onejump_models::transformer::Transformer;
use onejump_store::part::PartRows;
use onejump_tensor::rows::values;
use onejump_tensor::transfer;
use tch::{Kind, Tensor};

use crate::CaptureError;
use crate::ahead::Group;
use crate::batches::{self, numbers};
use crate::rows::{self, Rows};
use crate::workers::check_finite;

/// Threads that launch batches.
const FEEDERS: usize = 2;

/// Batches that wait for a thread that sorts them.
const WAITING_BATCHES: usize = 2;

/// Threads that sort, and threads that write, at most: more gain nothing beside one GPU.
const MOST_THREADS: usize = 16;

/// What is captured, and in which pieces.
pub(crate) struct Pieces<'a> {
    /// How many rows there are in all.
    pub count: usize,
    pub samples_per_part: usize,
    /// Parts in a window.
    pub window: usize,
    /// The parts to write, ascending.
    pub wanted: &'a [usize],
    pub batch_tokens: usize,
    /// The type that the model computes in: states are copied in it.
    pub dtype: Kind,
    /// The levels whose states are wanted, ascending.
    pub levels: &'a [usize],
    /// Whether parts say which text each row is of.
    pub texts: bool,
}

/// The rows of a window, of the parts that batches are made of together, and those batches.
struct Window {
    rows: Vec<Rows>,
    batches: Vec<Vec<Rows>>,
}

impl Pieces<'_> {
    /// A window with its batches, longest first: those of which a wanted part has any row. They do not depend on which
    /// parts are wanted: neither do the states.
    fn window(&self, rows: Vec<Rows>) -> Window {
        let batches = batches::by_length(&rows, self.batch_tokens, FEEDERS).into_iter().rev();
        let wanted = |batch: &Vec<Rows>| numbers(batch).any(|row| self.wants(self.part_of(row)));
        Window { batches: batches.filter(wanted).collect(), rows }
    }

    fn part_of(&self, row: usize) -> usize {
        row / self.samples_per_part
    }

    fn wants(&self, part: usize) -> bool {
        self.wanted.binary_search(&part).is_ok()
    }

    /// The windows that have wanted parts: the numbers of their rows.
    pub fn windows(&self) -> Vec<Range<usize>> {
        let mut windows: Vec<usize> = self.wanted.iter().map(|part| part / self.window).collect();
        windows.dedup();
        let rows = self.samples_per_part * self.window;
        windows.into_iter().map(|window| window * rows..((window + 1) * rows).min(self.count)).collect()
    }

    /// The wanted parts of a row's window, with their places among all that are wanted.
    fn wanted_beside(&self, row: usize) -> impl Iterator<Item = (usize, usize)> {
        let window = self.part_of(row) / self.window;
        let first = self.wanted.partition_point(|&part| part / self.window < window);
        let wanted = self.wanted.iter().copied().enumerate().skip(first);
        wanted.take_while(move |(_, part)| part / self.window == window)
    }

    /// The numbers of the rows of a part.
    fn rows_of(&self, part: usize) -> Range<usize> {
        let first = part * self.samples_per_part;
        first..(first + self.samples_per_part).min(self.count)
    }
}

/// The states of one batch on this processor, (levels, n, H), in the type that computed them.
struct Computed {
    window: Arc<Window>,
    batch: usize,
    states: Tensor,
}

/// The batches that are next.
struct Coming {
    groups: Receiver<Result<Group, CaptureError>>,
    window: Option<Arc<Window>>,
    /// The next batch of it.
    batch: usize,
}

/// A part that is being filled.
struct Filling {
    levels: Vec<Vec<f32>>,
    /// Rows that it lacks.
    missing: usize,
}

/// What was computed and written.
pub(crate) struct Streamed {
    /// The sum of what `write` returned.
    pub bytes: u64,
    /// How long the model took.
    pub computing: Computing,
}

/// How long a model took, with the copies of the states; it waits where what comes after it is too slow.
#[derive(Debug, Clone, Copy, Default)]
pub struct Computing {
    /// Until the first batch was there: a device loads its kernels and takes its memory while it computes that.
    pub first: Duration,
    /// The tokens of that batch.
    pub first_tokens: usize,
    /// Until the last one was.
    pub all: Duration,
}

/// Computes the wanted parts of the windows that come, and gives each to `write` when it is full, on several threads.
pub(crate) fn run(
    model: &Transformer,
    pieces: &Pieces,
    groups: Receiver<Result<Group, CaptureError>>,
    write: &(impl Fn(usize, PartRows) -> Result<u64, CaptureError> + Sync),
    meter: &dyn Meter,
    observer: &dyn Observer,
) -> Result<Streamed, CaptureError> {
    let started = Instant::now();
    let shared = Shared {
        pieces,
        coming: Mutex::new(Coming { groups, window: None, batch: 0 }),
        parts: pieces.wanted.iter().map(|_| Mutex::new(None)).collect(),
        hidden: model.hidden_size(),
        computing: Mutex::default(),
        started,
        failure: Failure::default(),
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let (computed, to_sort) = queue(WAITING_BATCHES);
    let (sorted, to_write) = queue(pieces.window);
    let bytes = Mutex::new(0);
    thread::scope(|scope| {
        let shared = &shared;
        for _ in 0..FEEDERS {
            let (model, computed) = (model.shallow_clone(), computed.clone());
            scope.spawn(move || shared.failure.keep(shared.feed(&model, &computed, observer)));
        }
        for _ in 0..threads {
            let (to_sort, sorted) = (to_sort.clone(), sorted.clone());
            scope.spawn(move || shared.failure.keep(shared.sort(&to_sort, &sorted, meter)));
            let (to_write, bytes) = (to_write.clone(), &bytes);
            scope.spawn(move || {
                while let Some((part, rows)) = next_of(&to_write) {
                    let begun = started.elapsed();
                    match write(part, rows) {
                        Ok(written) => {
                            *lock(bytes) += written;
                            let now = started.elapsed();
                            tracing::debug!(
                                "part {part}: {written} bytes, begun at {begun:.3?}, written at {now:.3?}"
                            );
                        }
                        failed => return shared.failure.keep(failed.map(drop)),
                    }
                }
            });
        }
        // What is left of these belongs to the threads: a queue ends with the last of them.
        drop((computed, to_sort, sorted, to_write));
    });
    shared.failure.into_result()?;
    let bytes = bytes.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Streamed { bytes, computing: *lock(&shared.computing) })
}

/// What the threads share.
struct Shared<'a> {
    pieces: &'a Pieces<'a>,
    coming: Mutex<Coming>,
    /// The wanted parts, in the same order; none before its first states and after its last.
    parts: Vec<Mutex<Option<Filling>>>,
    hidden: usize,
    /// When the batches so far were computed and copied, from the start on.
    computing: Mutex<Computing>,
    started: Instant,
    failure: Failure,
}

impl Computing {
    /// A batch of so many tokens was there at `now`.
    fn note(&mut self, now: Duration, tokens: usize) {
        if self.first.is_zero() {
            (self.first, self.first_tokens) = (now, tokens);
        }
        self.all = now;
    }
}

impl Shared<'_> {
    /// Computes batches until there are no more, or somebody fails.
    fn feed(
        &self,
        model: &Transformer,
        computed: &SyncSender<Computed>,
        observer: &dyn Observer,
    ) -> Result<(), CaptureError> {
        // On a processor, what a batch comes to must not depend on how many threads there are.
        tch::set_num_threads(1);
        while !self.failure.is_there() {
            observer.check()?;
            let Some((window, batch)) = self.next_batch()? else { break };
            let sequences: Vec<_> = window.batches[batch].iter().map(Rows::sampled).collect();
            let begun = self.started.elapsed();
            // The type that computed them holds them without loss, in half the bytes of f32 where it is bf16 or f16.
            let states = model.states_of(self.pieces.levels, &sequences)?.f_to_kind(self.pieces.dtype)?;
            let launched = self.started.elapsed();
            let states = transfer::to_host(&states)?;
            transfer::wait(model.device());
            let now = self.started.elapsed();
            let tokens = sequences.iter().map(|sequence| sequence.tokens.len()).sum();
            drop(sequences);
            lock(&self.computing).note(now, tokens);
            tracing::debug!(
                "batch {batch}: {tokens} tokens, begun at {begun:.3?}, launched at {launched:.3?}, there at {now:.3?}"
            );
            if computed.send(Computed { window, batch, states }).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// The next batch, of this window or the next one; none after the last.
    fn next_batch(&self) -> Result<Option<(Arc<Window>, usize)>, CaptureError> {
        let coming = &mut *lock(&self.coming);
        loop {
            if let Some(window) = &coming.window
                && coming.batch < window.batches.len()
            {
                coming.batch += 1;
                return Ok(Some((Arc::clone(window), coming.batch - 1)));
            }
            let Ok(group) = coming.groups.recv() else { return Ok(None) };
            coming.window = Some(Arc::new(self.pieces.window(group?)));
            coming.batch = 0;
        }
    }

    /// Puts states into their parts until there are no more, and passes on the parts that are full.
    fn sort(
        &self,
        computed: &Queue<Computed>,
        full: &SyncSender<(usize, PartRows)>,
        meter: &dyn Meter,
    ) -> Result<(), CaptureError> {
        tch::set_num_threads(1);
        while let Some(Computed { window, batch: number, states }) = next_of(computed) {
            let begun = self.started.elapsed();
            let values = values(&states)?;
            drop(states);
            let batch = &window.batches[number];
            check_finite(batch, &values, self.hidden, self.pieces.levels)?;
            let numbers: Vec<usize> = numbers(batch).collect();
            for (place, part) in self.pieces.wanted_beside(numbers[0]) {
                let of_part = |&row: &usize| self.pieces.part_of(numbers[row]) == part;
                let rows: Vec<_> = (0..numbers.len()).filter(of_part).collect();
                if rows.is_empty() {
                    continue;
                }
                meter.advance(rows.len() as u64);
                if let Some(levels) = self.fill(place, part, &numbers, &rows, &values)
                    && full.send((part, self.part(&window, part, levels))).is_err()
                {
                    return Ok(());
                }
            }
            let now = self.started.elapsed();
            tracing::debug!("batch {number}: sorted from {begun:.3?} to {now:.3?}");
        }
        Ok(())
    }

    /// Copies some rows of a batch into a part; its levels, (N, H) each, where it is full then.
    fn fill(
        &self,
        place: usize,
        part: usize,
        numbers: &[usize],
        rows: &[usize],
        values: &[f32],
    ) -> Option<Vec<Vec<f32>>> {
        let (hidden, of_part) = (self.hidden, self.pieces.rows_of(part));
        let mut slot = lock(&self.parts[place]);
        let filling = slot.get_or_insert_with(|| Filling {
            levels: vec![vec![0.0; of_part.len() * hidden]; self.pieces.levels.len()],
            missing: of_part.len(),
        });
        for (level, values) in filling.levels.iter_mut().zip(values.chunks(numbers.len() * hidden)) {
            for &row in rows {
                let target = (numbers[row] - of_part.start) * hidden;
                level[target..target + hidden].copy_from_slice(&values[row * hidden..(row + 1) * hidden]);
            }
        }
        filling.missing -= rows.len();
        if filling.missing > 0 { None } else { slot.take().map(|filling| filling.levels) }
    }

    fn part(&self, window: &Window, part: usize, levels: Vec<Vec<f32>>) -> PartRows {
        let levels = self.pieces.levels.iter().copied().zip(levels).collect();
        rows::part(&window.rows, self.pieces.rows_of(part), self.pieces.texts, levels)
    }
}

/// The first failure of any thread.
#[derive(Default)]
struct Failure {
    there: AtomicBool,
    first: Mutex<Option<CaptureError>>,
}

impl Failure {
    fn keep(&self, outcome: Result<(), CaptureError>) {
        if let Err(error) = outcome {
            lock(&self.first).get_or_insert(error);
            self.there.store(true, Ordering::Relaxed);
        }
    }

    fn is_there(&self) -> bool {
        self.there.load(Ordering::Relaxed)
    }

    fn into_result(self) -> Result<(), CaptureError> {
        self.first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

/// A queue that several threads take from.
type Queue<T> = Arc<Mutex<Receiver<T>>>;

fn queue<T>(length: usize) -> (SyncSender<T>, Queue<T>) {
    let (sender, receiver) = sync_channel(length);
    (sender, Arc::new(Mutex::new(receiver)))
}

/// What is next, once it is there; none when nobody sends any more.
fn next_of<T>(queue: &Queue<T>) -> Option<T> {
    lock(queue).recv().ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
