//! The paper's gradient descent on Eq. 2: seeded minibatch Adam (Kingma and Ba 2015).
//!
//! The descent runs in coordinates in which it converges in few passes, and its result is folded back
//! into an ordinary shortcut; the maps that it can reach and the loss are the paper's.
//!
//! - BatchNorm standardises with the statistics of all training samples, which its running statistics
//!   tend to. A batch's own statistics are noise here: one sample in twenty is a hundred times larger
//!   than the others.
//! - The standardised inputs are turned onto their principal axes. Adam scales each coordinate by
//!   itself, and in the model's own axes the inputs are so correlated that 50 epochs do not converge.
//! - B starts at the principal directions of the targets, A small.

use onejump_core::seed::{self, Purpose};
use onejump_core::shortcut::ShortcutKind;
use onejump_shortcuts::map::Map;
use onejump_tensor::transfer::to_device;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use crate::TrainError;
use crate::axes::Axes;
pub use crate::axes::Start;
use crate::closed_form;
use crate::config::DescentOptions;
use crate::moments::Moments;
use crate::optimiser::{decay, finite, reorder};
use crate::parameters::MapParameters;

/// Inputs with their targets.
pub struct TrainingPairs<'a> {
    /// (N, H) f32.
    pub inputs: &'a Tensor,
    /// (N, H) f32.
    pub targets: &'a Tensor,
    /// The moments of all of them.
    pub moments: &'a Moments,
}

/// A map and the mean training loss of every epoch.
#[derive(Debug)]
pub struct DescendedMap {
    /// The map.
    pub map: Map,
    /// E‖ĥ − h_K‖², of the map as it is stored.
    pub loss: f64,
    /// Mean of the batches' losses (E‖ĥ − h_K‖²), per epoch.
    pub curve: Vec<f64>,
}

/// Trains a map. `stream` separates the randomness of levels; `after_epoch` is called as the work goes on,
/// and can end it.
///
/// # Errors
/// [`TrainError::Diverged`] if the loss is not finite, or what `after_epoch` returns.
pub fn descend(
    kind: ShortcutKind,
    pairs: &TrainingPairs,
    start: &Start,
    options: &DescentOptions,
    stream: u64,
    after_epoch: &dyn Fn() -> Result<(), TrainError>,
) -> Result<DescendedMap, TrainError> {
    let count = pairs.inputs.size2()?.0;
    let batch_size = (options.batch_size as i64).min(count);
    let axes = Axes::of(kind, pairs.moments, start)?;
    let there = |tensor: Tensor| tensor.f_to_device(options.device);
    let (inputs, targets) = (there(axes.inputs(pairs.inputs)?)?, there(axes.targets(pairs.targets)?)?);
    let _one_thread = OneThread::new();
    let plan = Plan { options: *options, batch_size, batches: count / batch_size };
    let mut descent = Descent::new(kind, plan, start, stream)?;
    for _ in 0..options.epochs {
        descent.window(&inputs, &targets)?;
        descent.end_epoch(&axes)?;
        after_epoch()?;
    }
    descent.finish(&axes, pairs.moments)
}

/// How many steps a descent takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub options: DescentOptions,
    /// Pairs in a step.
    pub batch_size: i64,
    /// Steps in an epoch.
    pub batches: i64,
}

/// A descent under way, in the coordinates of its [`Axes`].
pub(crate) struct Descent {
    plan: Plan,
    parameters: MapParameters,
    /// The order of a window's pairs in the last epoch; the next one is drawn from it.
    order: Vec<i64>,
    random: ChaCha8Rng,
    step: i32,
    /// Sum of this epoch's losses, (1) f64.
    total: Tensor,
    curve: Vec<f64>,
}

impl Descent {
    pub fn new(kind: ShortcutKind, plan: Plan, start: &Start, stream: u64) -> Result<Self, TrainError> {
        let DescentOptions { seed, device, .. } = plan.options;
        let mut random = seed::stream(seed, Purpose::Init, stream);
        Ok(Self {
            parameters: MapParameters::new(kind, start, &mut random, device)?,
            order: Vec::new(),
            random: seed::stream(seed, Purpose::Order, stream),
            step: 0,
            total: zero(device)?,
            curve: Vec::with_capacity(plan.options.epochs),
            plan,
        })
    }

    /// Steps over inputs (M, H) in a random order. M is a multiple of the number of targets (N, H): target i mod N is
    /// that of input i.
    pub fn window(&mut self, inputs: &Tensor, targets: &Tensor) -> Result<(), TrainError> {
        let Plan { options, batch_size, batches } = self.plan;
        let steps = (batches * options.epochs as i64) as f64;
        reorder(&mut self.order, inputs.size2()?.0, &mut self.random);
        let target_count = targets.size2()?.0;
        // A last batch that is not full would weigh its samples more; they are in another epoch's batches.
        for batch in self.order.chunks_exact(batch_size as usize) {
            let rows = to_device(&Tensor::f_from_slice(batch)?, options.device)?;
            let x = inputs.f_index_select(0, &rows)?;
            let y = targets.f_index_select(0, &rows.f_remainder(target_count)?)?;
            let rate = options.learning_rate * decay(f64::from(self.step) / steps);
            self.total += self.parameters.step(&x, &y, rate)?;
            self.step += 1;
        }
        Ok(())
    }

    /// Takes down the epoch's mean loss.
    pub fn end_epoch(&mut self, axes: &Axes) -> Result<(), TrainError> {
        let total = std::mem::replace(&mut self.total, zero(self.plan.options.device)?);
        let loss = total.double_value(&[0]) / self.plan.batches as f64 * axes.loss_scale();
        self.curve.push(loss);
        finite(loss, self.curve.len(), &self.plan.options)
    }

    /// The map that is found, in the model's coordinates, and its loss over samples with these moments.
    pub fn finish(self, axes: &Axes, moments: &Moments) -> Result<DescendedMap, TrainError> {
        let map = axes.fold(self.parameters.found()?)?;
        Ok(DescendedMap { loss: closed_form::loss(&map, moments)?, map, curve: self.curve })
    }
}

fn zero(device: Device) -> Result<Tensor, TrainError> {
    Ok(Tensor::f_zeros([1], (tch::Kind::Double, device))?)
}

/// One thread for libtorch as long as this lives: the matrices of a step are too small to be shared, which
/// takes more than twice as long.
struct OneThread {
    before: i32,
}

impl OneThread {
    fn new() -> Self {
        let before = tch::get_num_threads();
        tch::set_num_threads(1);
        Self { before }
    }
}

impl Drop for OneThread {
    fn drop(&mut self) {
        tch::set_num_threads(self.before);
    }
}
