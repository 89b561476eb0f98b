//! The states of all exit levels at once, as gradient descent needs them where one map serves all levels: K·N·H
//! values, or a window of the samples at a time where so many do not fit in memory.
//!
//! With one window every pair of a sample and a level may meet every other in a step. With several, an epoch goes
//! from window to window, and the pairs of a step are drawn from one of them. The samples of a folder are in a random
//! order already, so a window of consecutive ones is like any other, and each holds all levels of its samples: a step
//! sees the mixture that it sees with one window. What differs is the order of the pairs, and with it the last digits
//! of what the descent finds. Every other epoch goes through the windows backwards, as the last
//! one is still in memory.

use std::ops::Range;

use onejump_core::memory;
use onejump_core::observe::Observer;
use onejump_store::hidden::HiddenStates;
use onejump_tensor::rows;
use tch::{Device, Kind, Tensor};

use crate::TrainError;
use crate::config::Config;
use crate::inputs;

/// The states may take this share of the free memory: others use the machine too.
const SHARE: f64 = 0.75;

/// Copies of one level's states (N, H) that a descent makes beside a window: targets, and rows as they are read.
const LEVELS_BESIDE: usize = 8;

/// Matrices (H, H) in f64 beside a window: moments, axes, and what their computation takes.
const MATRICES_BESIDE: usize = 16;

/// What is done to the states (M, H) of a window once they are read, in place, before they go to the device.
pub(crate) type Prepare<'a> = &'a dyn Fn(&mut Tensor) -> Result<(), TrainError>;

/// Reads the states of the exit levels that are trained for, window after window.
pub(crate) struct Passes<'a> {
    hidden: &'a HiddenStates,
    /// The tokens before, whose final states at length 1 stand beside the states.
    before: Option<HiddenStates>,
    levels: Vec<usize>,
    windows: Vec<Range<usize>>,
    /// Pairs in a step of gradient descent.
    batch_size: usize,
    prepare: Prepare<'a>,
    device: Device,
    observer: &'a dyn Observer,
    loaded: Option<Loaded>,
}

/// The number of a window and its states.
struct Loaded {
    number: usize,
    states: Tensor,
}

/// Some samples at the exit levels that are trained for.
pub(crate) struct Window {
    /// The first of n consecutive samples, whose states lie level by level.
    pub first: i64,
    /// n.
    pub samples: i64,
    /// The states of level after level, (levels · n, H) f32, on the device of the descent; (levels · n, 2·H) beside the
    /// tokens before.
    pub states: Tensor,
}

impl<'a> Passes<'a> {
    /// Windows that fit in memory.
    pub fn new(
        hidden: &'a HiddenStates,
        config: &Config,
        prepare: Prepare<'a>,
        observer: &'a dyn Observer,
    ) -> Self {
        let (samples, levels) = (hidden.samples(), config.exit_levels(hidden.blocks()));
        let before = hidden.before();
        let whole = levels.len() * level_bytes(hidden) * (1 + usize::from(before.is_some()));
        let memory = config.memory.or_else(|| free(hidden)).unwrap_or(u64::MAX);
        // A window has a batch at least.
        let batch_size = config.adam.batch_size.max(1);
        let most = samples.min(samples * levels.len() / batch_size).max(1);
        let count = (whole as u64).div_ceil(memory.max(1)).min(most as u64) as usize;
        let edge = |number: usize| number * samples / count;
        let windows: Vec<_> = (0..count).map(|number| edge(number)..edge(number + 1)).collect();
        let fewest = windows.iter().map(|window| window.len() * levels.len()).min().unwrap_or(0);
        let batch_size = batch_size.min(fewest);
        if count > 1 {
            tracing::info!("the states of all levels do not fit in memory: {count} windows of the samples");
        }
        Self {
            hidden,
            before,
            levels,
            windows,
            batch_size,
            prepare,
            device: config.adam.device,
            observer,
            loaded: None,
        }
    }

    /// How many windows there are.
    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    /// Pairs of a sample and a level in a step.
    pub fn batch_size(&self) -> i64 {
        self.batch_size as i64
    }

    /// Steps in an epoch. What is left of a window's pairs after its last whole batch is left out of this epoch.
    pub fn batches(&self) -> i64 {
        let batches = |window: &Range<usize>| window.len() * self.levels.len() / self.batch_size;
        self.windows.iter().map(batches).sum::<usize>() as i64
    }

    /// Shows every window to `work`: from the first to the last one, the next time from the last to the first.
    pub fn again(
        &mut self,
        mut work: impl FnMut(&Window) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let mut numbers: Vec<_> = (0..self.windows.len()).collect();
        if self.loaded.as_ref().is_some_and(|loaded| loaded.number > 0) {
            numbers.reverse();
        }
        for number in numbers {
            let states = self.load(number)?;
            let Range { start, end } = self.windows[number];
            work(&Window { first: start as i64, samples: (end - start) as i64, states })?;
        }
        Ok(())
    }

    fn load(&mut self, number: usize) -> Result<Tensor, TrainError> {
        if let Some(loaded) = &self.loaded
            && loaded.number == number
        {
            return Ok(loaded.states.shallow_clone());
        }
        self.loaded = None; // Before the next one takes its memory.
        let samples = self.windows[number].clone();
        let hidden_size = self.hidden.hidden_size();
        let (hidden, count) = (hidden_size as i64, samples.len() as i64);
        let width = hidden * (1 + i64::from(self.before.is_some()));
        let size = [self.levels.len() as i64, count, width];
        let states = Tensor::f_empty(size, (Kind::Float, Device::Cpu))?;
        for (place, &level) in self.levels.iter().enumerate() {
            self.observer.check()?;
            let rows = self.hidden.level_rows(level, samples.clone())?;
            let mut own = states.f_select(0, place as i64)?.f_narrow(1, 0, hidden)?;
            own.f_copy_(&rows::tensor(&rows, hidden_size)?)?;
        }
        if let Some(before) = &self.before {
            let mut beside = states.f_narrow(2, hidden, hidden)?;
            beside.f_copy_(&inputs::ends(before, samples)?)?;
        }
        let mut states = states.f_view([-1, width])?;
        (self.prepare)(&mut states)?;
        let states = states.f_to_device(self.device)?;
        self.loaded = Some(Loaded { number, states: states.shallow_clone() });
        Ok(states)
    }
}

fn level_bytes(hidden: &HiddenStates) -> usize {
    hidden.samples() * hidden.hidden_size() * size_of::<f32>()
}

/// The memory that windows may take; none where the system does not say what is free.
fn free(hidden: &HiddenStates) -> Option<u64> {
    let matrix = hidden.hidden_size().pow(2) * size_of::<f64>();
    let beside = LEVELS_BESIDE * level_bytes(hidden) + MATRICES_BESIDE * matrix;
    let share = (memory::available()? as f64 * SHARE) as u64;
    Some(share.saturating_sub(beside as u64))
}
