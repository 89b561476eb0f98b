//! The paper's gradient descent on Eq. 2: minibatch Adam (Kingma and Ba 2015), BatchNorm in training
//! mode, seeded.
//!
//! The gradients are written out: with u = norm(x)·A, ŷ = u·B and g = 2·(ŷ − y)/n, everything that
//! BatchNorm and A need of x is S = x̂ᵀ·(g·Bᵀ), an (H, r) product; the input itself has no gradient.

use std::f64::consts::PI;

use onejump_core::seed::{self, Purpose};
use onejump_core::shortcut::{BATCH_NORM_EPS, Kind};
use onejump_shortcuts::map::{Map, Norm};
use rand_chacha::rand_core::Rng;
use tch::Tensor;

use crate::TrainError;

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const ADAM_EPS: f64 = 1e-8;

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
    /// Passes over the training samples. The paper does not say how many it took.
    pub const DEFAULT_EPOCHS: usize = 30;
    /// Samples in a step.
    pub const DEFAULT_BATCH_SIZE: usize = 64;
    /// Learning rate of the first step.
    pub const DEFAULT_LEARNING_RATE: f64 = 3e-2;

    /// The options as a line for the file's metadata.
    pub fn describe(&self) -> String {
        format!(
            "epochs {}, batch size {}, learning rate {} with cosine decay to 0",
            self.epochs, self.batch_size, self.learning_rate
        )
    }
}

/// A map and the mean training loss of every epoch.
#[derive(Debug)]
pub struct Descended {
    /// The map.
    pub map: Map,
    /// Mean of the batches' losses (E‖ĥ − h_K‖², with the batches' own statistics), per epoch.
    pub curve: Vec<f64>,
}

/// Trains a map on `inputs` and `targets`, both (N, H) f32. `stream` separates the randomness of
/// levels; `after_epoch` is called as the work goes on.
///
/// # Errors
/// [`TrainError::Diverged`] if the loss is not finite.
pub fn descend(
    kind: Kind,
    inputs: &Tensor,
    targets: &Tensor,
    rank: usize,
    options: &Options,
    stream: u64,
    after_epoch: &dyn Fn(),
) -> Result<Descended, TrainError> {
    let (samples, hidden) = inputs.size2()?;
    let batch_size = (options.batch_size as i64).min(samples);
    let mut model = Model::new(kind, hidden, rank as i64, options.seed, stream)?;
    let mut order: Vec<i64> = (0..samples).collect();
    let mut random = seed::stream(options.seed, Purpose::Order, stream);
    // A last batch that is not full has other statistics; its samples come first in another epoch.
    let batches = samples / batch_size;
    let steps = (batches * options.epochs as i64) as f64;
    let mut step = 0;
    let mut curve = Vec::with_capacity(options.epochs);
    for epoch in 0..options.epochs {
        shuffle(&mut order, &mut random);
        let mut total = Tensor::f_zeros([1], (tch::Kind::Double, inputs.device()))?;
        for batch in order.chunks_exact(batch_size as usize) {
            let rows = Tensor::f_from_slice(batch)?.f_to_device(inputs.device())?;
            let (x, y) = (inputs.f_index_select(0, &rows)?, targets.f_index_select(0, &rows)?);
            let rate = options.learning_rate * 0.5 * (1.0 + (PI * f64::from(step) / steps).cos());
            total += model.step(&x, &y, rate)?;
            step += 1;
        }
        let loss = total.double_value(&[0]) / batches as f64;
        if !loss.is_finite() {
            return Err(TrainError::Diverged(format!(
                "gradient descent diverged in epoch {}: the loss is {loss}; lower --learning-rate {}",
                epoch + 1,
                options.learning_rate
            )));
        }
        curve.push(loss);
        after_epoch();
    }
    Ok(Descended { map: model.finish(inputs)?, curve })
}

fn shuffle(order: &mut [i64], random: &mut impl Rng) {
    for last in (1..order.len()).rev() {
        order.swap(last, seed::below(random, last as u64 + 1) as usize);
    }
}

/// All parameters in one flat vector, so that an Adam step is a handful of operations.
struct Model {
    kind: Kind,
    parameters: Tensor,
    gradients: Tensor,
    first: Tensor,
    second: Tensor,
    steps: i32,
    /// Views into `parameters` and `gradients`.
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
    fn of(flat: &Tensor, kind: Kind, hidden: i64, rank: i64) -> Result<Self, TrainError> {
        if kind == Kind::Jtc {
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
    /// PyTorch's initial values: uniform within 1/√inputs for matrices, 1 and 0 for BatchNorm.
    fn new(kind: Kind, hidden: i64, rank: i64, seed: u64, stream: u64) -> Result<Self, TrainError> {
        let mut random = seed::stream(seed, Purpose::Init, stream);
        let mut uniform = |count: i64, inputs: i64| -> Vec<f32> {
            let bound = 1.0 / (inputs as f64).sqrt();
            let mut draw = || (f64::from(random.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0) * bound;
            (0..count).map(|_| draw() as f32).collect()
        };
        let mut values;
        if kind == Kind::Jtc {
            values = uniform(hidden * hidden, hidden);
        } else {
            values = uniform(hidden * rank, hidden);
            values.extend(uniform(rank * hidden, rank));
            if kind.has_norm() {
                values.extend(std::iter::repeat_n(1.0, hidden as usize));
                values.extend(std::iter::repeat_n(0.0, hidden as usize));
            }
        }
        let parameters = Tensor::f_from_slice(&values)?;
        let gradients = parameters.f_zeros_like()?;
        Ok(Self {
            kind,
            views: Views::of(&parameters, kind, hidden, rank)?,
            slopes: Views::of(&gradients, kind, hidden, rank)?,
            first: parameters.f_zeros_like()?,
            second: parameters.f_zeros_like()?,
            parameters,
            gradients,
            steps: 0,
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
        self.update(rate)?;
        Ok(loss)
    }

    fn low_rank_gradients(&mut self, x: &Tensor, y: &Tensor, b: &Tensor) -> Result<Tensor, TrainError> {
        let a = &self.views.a;
        // x̂ = (x − μ) ⊙ σ; u = x̂·(w ⊙ A) + bias·A.
        let standardised = match &self.views.norm {
            Some(_) => {
                let (variance, mean) = x.f_var_mean_dim([0i64].as_slice(), false, true)?;
                let scale = variance.f_add_scalar(BATCH_NORM_EPS)?.f_rsqrt()?; // (1, H)
                x.f_sub(&mean)?.f_mul_(&scale)?
            }
            None => x.shallow_clone(),
        };
        let u = match &self.views.norm {
            Some((weight, bias)) => {
                let constant = bias.f_unsqueeze(0)?.f_mm(a)?;
                constant.f_addmm(&standardised, &weight.f_unsqueeze(1)?.f_mul(a)?)?
            }
            None => standardised.f_mm(a)?,
        }; // (n, r)
        let (error, loss) = error(&u.f_mm(b)?, y)?;
        if let Some(slope_b) = &mut self.slopes.b {
            slope_b.f_copy_(&u.f_transpose(0, 1)?.f_mm(&error)?)?; // (r, n)·(n, H)
        }
        let du = error.f_mm(&b.f_transpose(0, 1)?)?; // (n, r)
        let s = standardised.f_transpose(0, 1)?.f_mm(&du)?; // (H, r)
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

    fn update(&mut self, rate: f64) -> Result<(), TrainError> {
        self.steps += 1;
        let gradient = &self.gradients;
        let _ = self.first.f_lerp_(gradient, 1.0 - BETA_1)?;
        let _ = self.second.f_lerp_(&gradient.f_square()?, 1.0 - BETA_2)?;
        let unbiased = 1.0 - BETA_2.powi(self.steps);
        let denominator = self.second.f_div_scalar(unbiased)?.f_sqrt()?.f_add_scalar(ADAM_EPS)?;
        let length = rate / (1.0 - BETA_1.powi(self.steps));
        let _ = self.parameters.f_sub_(&self.first.f_div(&denominator)?.f_mul_scalar(length)?)?;
        Ok(())
    }

    /// The trained map. BatchNorm's running statistics are those of all training samples: an average
    /// over the last batches would be noise where a few samples are a hundred times larger.
    fn finish(self, inputs: &Tensor) -> Result<Map, TrainError> {
        let a = self.views.a.f_add_scalar(0.0)?;
        let Some(b) = self.views.b else { return Ok(Map::Full { w: a }) };
        let norm = match self.views.norm {
            Some((weight, bias)) => {
                let inputs = inputs.f_to_kind(tch::Kind::Double)?;
                let (variance, mean) = inputs.f_var_mean_dim([0i64].as_slice(), false, false)?;
                Some(Norm {
                    weight: weight.f_add_scalar(0.0)?,
                    bias: bias.f_add_scalar(0.0)?,
                    running_mean: mean.f_to_kind(tch::Kind::Float)?,
                    running_var: variance.f_to_kind(tch::Kind::Float)?,
                    eps: BATCH_NORM_EPS,
                })
            }
            None => None,
        };
        debug_assert_eq!(norm.is_some(), self.kind.has_norm());
        Ok(Map::LowRank { norm, a, b: b.f_add_scalar(0.0)? })
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
