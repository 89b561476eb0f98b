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
//!
//! The gradients are written out: with u = (z ⊙ weight + bias)·A, ŷ = u·B and g = 2·(ŷ − y)/n,
//! everything that BatchNorm and A need of z is S = zᵀ·(g·Bᵀ), an (H, r) product.

use std::f64::consts::PI;

use onejump_core::seed::{self, Purpose};
use onejump_core::shortcut::ShortcutKind;
use onejump_shortcuts::map::Map;
use rand_chacha::rand_core::Rng;
use tch::Tensor;

use crate::TrainError;
pub use crate::axes::Start;
use crate::axes::{Axes, Found};
use crate::closed_form;
use crate::moments::Moments;
use crate::optimiser::{Adam, BETA_2};

/// A starts at this share of PyTorch's initial values for a linear layer.
const INITIAL_A: f64 = 0.1;

/// Options of gradient descent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Passes over the training samples.
    pub epochs: usize,
    /// Samples in a step.
    pub batch_size: usize,
    /// Learning rate of the first step; it falls to 0 along half a cosine.
    pub learning_rate: f64,
    /// Seed of the initial weights and of the order of the samples.
    pub seed: u64,
}

impl Options {
    /// The paper's descent on Eq. 2; the paper does not say how many passes it took. The learning rate is
    /// for targets scaled to a mean square of 1.
    pub const EQ_2: Self = Self { epochs: 10, batch_size: 64, learning_rate: 1e-2, seed: 0 };

    /// A one-jump's descent on the divergence; its samples are pairs of a sample and an exit level, and its
    /// learning rate is relative to the size of the initial values.
    pub const DIVERGENCE: Self = Self { epochs: 2, batch_size: 1024, learning_rate: 0.05, seed: 0 };

    /// The defaults for a kind.
    pub fn of(kind: ShortcutKind) -> Self {
        if kind == ShortcutKind::OneJump { Self::DIVERGENCE } else { Self::EQ_2 }
    }

    /// The options as a line for the file's metadata.
    pub fn describe(&self) -> String {
        format!(
            "epochs {}, batch size {}, learning rate {} with cosine decay to 0",
            self.epochs, self.batch_size, self.learning_rate
        )
    }
}

/// What a map is trained on.
pub struct Samples<'a> {
    /// (M, H) f32.
    pub inputs: &'a Tensor,
    /// (N, H) f32, of which M is a multiple: target i mod N is that of input i.
    pub targets: &'a Tensor,
    /// The moments of all of them.
    pub moments: &'a Moments,
}

/// A map and the mean training loss of every epoch.
#[derive(Debug)]
pub struct Descended {
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
    samples: &Samples,
    start: &Start,
    options: &Options,
    stream: u64,
    after_epoch: &dyn Fn() -> Result<(), TrainError>,
) -> Result<Descended, TrainError> {
    let (count, hidden) = samples.inputs.size2()?;
    let batch_size = (options.batch_size as i64).min(count);
    let axes = Axes::of(kind, samples.moments, start)?;
    let (inputs, targets) = (axes.inputs(samples.inputs)?, axes.targets(samples.targets)?);
    let target_count = targets.size2()?.0;
    let _one_thread = OneThread::new();
    let mut random = seed::stream(options.seed, Purpose::Init, stream);
    let mut model = Model::new(kind, hidden, start, &mut random)?;
    let mut order: Vec<i64> = (0..count).collect();
    let mut random = seed::stream(options.seed, Purpose::Order, stream);
    // A last batch that is not full would weigh its samples more; they are in another epoch's batches.
    let batches = count / batch_size;
    let steps = (batches * options.epochs as i64) as f64;
    let mut step = 0;
    let mut curve = Vec::with_capacity(options.epochs);
    for epoch in 0..options.epochs {
        shuffle(&mut order, &mut random);
        let mut total = Tensor::f_zeros([1], (tch::Kind::Double, inputs.device()))?;
        for batch in order.chunks_exact(batch_size as usize) {
            let rows = Tensor::f_from_slice(batch)?;
            let x = inputs.f_index_select(0, &rows)?;
            let y = targets.f_index_select(0, &rows.f_remainder(target_count)?)?;
            let rate = options.learning_rate * decay(f64::from(step) / steps);
            total += model.step(&x, &y, rate)?;
            step += 1;
        }
        let loss = total.double_value(&[0]) / batches as f64 * axes.loss_scale();
        if !loss.is_finite() {
            return Err(TrainError::Diverged(format!(
                "gradient descent diverged in epoch {}: the loss is {loss}; lower --learning-rate {}",
                epoch + 1,
                options.learning_rate
            )));
        }
        curve.push(loss);
        after_epoch()?;
    }
    let map = axes.fold(model.found())?;
    Ok(Descended { loss: closed_form::loss(&map, samples.moments)?, map, curve })
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

/// Half a cosine: 1 at the start of a training, 0 at its end.
pub(crate) fn decay(progress: f64) -> f64 {
    0.5 * (1.0 + (PI * progress).cos())
}

/// Puts samples in a random order.
pub(crate) fn shuffle(order: &mut [i64], random: &mut impl Rng) {
    for last in (1..order.len()).rev() {
        order.swap(last, seed::below(random, last as u64 + 1) as usize);
    }
}

/// All parameters in one flat vector, and views into it and its gradients.
struct Model {
    adam: Adam,
    views: Views,
    slopes: Views,
}

/// A and B, or W alone; BatchNorm's weight and bias where the kind has them.
struct Views {
    a: Tensor,
    b: Option<Tensor>,
    norm: Option<(Tensor, Tensor)>,
}

impl Views {
    /// Cuts a flat vector into A (H, r), B (r, H), weight (H), bias (H); or W (H, H).
    fn of(flat: &Tensor, kind: ShortcutKind, hidden: i64, rank: i64) -> Result<Self, TrainError> {
        if kind == ShortcutKind::Jtc {
            return Ok(Self { a: flat.f_view([hidden, hidden])?, b: None, norm: None });
        }
        let matrix = hidden * rank;
        let a = flat.f_narrow(0, 0, matrix)?.f_view([hidden, rank])?;
        let b = flat.f_narrow(0, matrix, matrix)?.f_view([rank, hidden])?;
        let norm = if kind.has_norm() {
            Some((flat.f_narrow(0, 2 * matrix, hidden)?, flat.f_narrow(0, 2 * matrix + hidden, hidden)?))
        } else {
            None
        };
        Ok(Self { a, b: Some(b), norm })
    }
}

impl Model {
    /// A uniform within [`INITIAL_A`]/√H, B the targets' principal directions, BatchNorm 1 and 0.
    fn new(
        kind: ShortcutKind,
        hidden: i64,
        start: &Start,
        random: &mut impl Rng,
    ) -> Result<Self, TrainError> {
        let rank = start.rank as i64;
        let bound = INITIAL_A / (hidden as f64).sqrt();
        let mut uniform = |count: i64| -> Vec<f32> {
            let mut draw = || (f64::from(random.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0) * bound;
            (0..count).map(|_| draw() as f32).collect()
        };
        let mut values;
        if kind == ShortcutKind::Jtc {
            values = uniform(hidden * hidden);
        } else {
            values = uniform(hidden * rank);
            values.extend(&start.directions);
            if kind.has_norm() {
                values.extend(std::iter::repeat_n(1.0, hidden as usize));
                values.extend(std::iter::repeat_n(0.0, hidden as usize));
            }
        }
        let adam = Adam::new(Tensor::f_from_slice(&values)?, BETA_2)?;
        Ok(Self {
            views: Views::of(&adam.parameters, kind, hidden, rank)?,
            slopes: Views::of(&adam.gradients, kind, hidden, rank)?,
            adam,
        })
    }

    /// One step on a batch, (n, H) each; returns the batch's loss, (1) f64.
    fn step(&mut self, x: &Tensor, y: &Tensor, rate: f64) -> Result<Tensor, TrainError> {
        let loss = match &self.views.b {
            Some(b) => {
                let b = b.shallow_clone();
                self.low_rank_gradients(x, y, &b)?
            }
            None => {
                let (error, loss) = error(&x.f_mm(&self.views.a)?, y)?;
                self.slopes.a.f_copy_(&x.f_transpose(0, 1)?.f_mm(&error)?)?;
                loss
            }
        };
        self.adam.update(rate)?;
        Ok(loss)
    }

    fn low_rank_gradients(&mut self, x: &Tensor, y: &Tensor, b: &Tensor) -> Result<Tensor, TrainError> {
        let a = &self.views.a;
        let u = match &self.views.norm {
            Some((weight, bias)) => {
                let constant = bias.f_unsqueeze(0)?.f_mm(a)?;
                constant.f_addmm(x, &weight.f_unsqueeze(1)?.f_mul(a)?)?
            }
            None => x.f_mm(a)?,
        }; // (n, r)
        let (error, loss) = error(&u.f_mm(b)?, y)?;
        if let Some(slope_b) = &mut self.slopes.b {
            slope_b.f_copy_(&u.f_transpose(0, 1)?.f_mm(&error)?)?; // (r, n)·(n, H)
        }
        let du = error.f_mm(&b.f_transpose(0, 1)?)?; // (n, r)
        let s = x.f_transpose(0, 1)?.f_mm(&du)?; // (H, r)
        match (&self.views.norm, &mut self.slopes.norm) {
            (Some((weight, bias)), Some((slope_weight, slope_bias))) => {
                let sum = du.f_sum_dim_intlist([0i64].as_slice(), true, tch::Kind::Float)?; // (1, r)
                slope_weight.f_copy_(&a.f_mul(&s)?.f_sum_dim_intlist(
                    [1i64].as_slice(),
                    false,
                    tch::Kind::Float,
                )?)?;
                slope_bias.f_copy_(&a.f_mv(&sum.f_squeeze_dim(0)?)?)?;
                let through_bias = bias.f_unsqueeze(1)?.f_mm(&sum)?;
                self.slopes.a.f_copy_(&s.f_mul(&weight.f_unsqueeze(1)?)?.f_add(&through_bias)?)?;
            }
            _ => self.slopes.a.f_copy_(&s)?,
        }
        Ok(loss)
    }

    fn found(self) -> Found {
        Found { a: self.views.a, b: self.views.b, norm: self.views.norm }
    }
}

/// g = 2·(ŷ − y)/n, (n, H), and the loss Σ‖ŷ − y‖²/n, (1) f64.
fn error(predicted: &Tensor, y: &Tensor) -> Result<(Tensor, Tensor), TrainError> {
    let rows = y.size2()?.0 as f64;
    let difference = predicted.f_sub(y)?;
    let flat = difference.f_view([-1])?;
    let loss = flat.f_dot(&flat)?.f_div_scalar(rows)?.f_to_kind(tch::Kind::Double)?.f_view([1])?;
    Ok((difference.f_mul_scalar(2.0 / rows)?, loss))
}
