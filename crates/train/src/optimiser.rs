//! Adam (Kingma and Ba 2015) on one flat vector of parameters, so that a step is a handful of operations; its rate and
//! the order of its samples.

use std::f64::consts::PI;

use onejump_core::seed;
use rand_chacha::rand_core::Rng;
use tch::Tensor;

use crate::TrainError;
use crate::config::DescentOptions;

const BETA_1: f64 = 0.9;
const EPS: f64 = 1e-8;

/// β₂ as the authors recommend.
pub(crate) const BETA_2: f64 = 0.999;

/// Parameters, their gradients, and Adam's two moments.
pub(crate) struct Adam {
    pub parameters: Tensor,
    pub gradients: Tensor,
    first: Tensor,
    second: Tensor,
    beta_2: f64,
    /// What the rate of each parameter is multiplied with; none is 1.
    rates: Option<Tensor>,
    steps: i32,
}

impl Adam {
    /// At the initial values, with `beta_2` as the decay of the second moment.
    pub fn new(parameters: Tensor, beta_2: f64) -> Result<Self, TrainError> {
        Ok(Self {
            gradients: parameters.f_zeros_like()?,
            first: parameters.f_zeros_like()?,
            second: parameters.f_zeros_like()?,
            parameters,
            beta_2,
            rates: None,
            steps: 0,
        })
    }

    /// The same with a rate of its own for each parameter, as a multiple of the one that is given to each step.
    pub fn with_rates(self, rates: Tensor) -> Self {
        Self { rates: Some(rates), ..self }
    }

    /// One step along the gradients.
    pub fn update(&mut self, rate: f64) -> Result<(), TrainError> {
        self.steps += 1;
        let gradient = &self.gradients;
        let _ = self.first.f_lerp_(gradient, 1.0 - BETA_1)?;
        let _ = self.second.f_lerp_(&gradient.f_square()?, 1.0 - self.beta_2)?;
        let unbiased = 1.0 - self.beta_2.powi(self.steps);
        let denominator = self.second.f_div_scalar(unbiased)?.f_sqrt()?.f_add_scalar(EPS)?;
        let length = rate / (1.0 - BETA_1.powi(self.steps));
        let mut step = self.first.f_div(&denominator)?.f_mul_scalar(length)?;
        if let Some(rates) = &self.rates {
            step = step.f_mul_(rates)?;
        }
        let _ = self.parameters.f_sub_(&step)?;
        Ok(())
    }
}

/// Half a cosine: 1 at the start of a training, 0 at its end.
pub(crate) fn decay(progress: f64) -> f64 {
    0.5 * (1.0 + (PI * progress).cos())
}

/// Puts the numbers below `count` in a random order, which is drawn from the last order of as many.
pub(crate) fn reorder(order: &mut Vec<i64>, count: i64, random: &mut impl Rng) {
    if order.len() != count as usize {
        *order = (0..count).collect();
    }
    for last in (1..order.len()).rev() {
        order.swap(last, seed::below(random, last as u64 + 1) as usize);
    }
}

/// Refuses an epoch's loss that is no number.
pub(crate) fn finite(loss: f64, epoch: usize, options: &DescentOptions) -> Result<(), TrainError> {
    if loss.is_finite() {
        return Ok(());
    }
    Err(TrainError::Diverged(format!(
        "gradient descent diverged in epoch {epoch}: the loss is {loss}; lower --learning-rate {}",
        options.learning_rate
    )))
}
