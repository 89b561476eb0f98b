//! The parameters of a map in gradient descent on Eq. 2, and their gradients, written out: with
//! u = (z ⊙ weight + bias)·A, ŷ = u·B and g = 2·(ŷ − y)/n, everything that BatchNorm and A need of z is
//! S = zᵀ·(g·Bᵀ), an (H, r) product.

use onejump_core::shortcut::ShortcutKind;
use rand_chacha::rand_core::Rng;
use tch::{Device, Tensor};

use crate::TrainError;
use crate::axes::{Start, TurnedMap};
use crate::optimiser::{Adam, BETA_2};

/// A starts at this share of PyTorch's initial values for a linear layer.
const INITIAL_A: f64 = 0.1;

/// All parameters in one flat vector, and views into it and its gradients.
pub(crate) struct MapParameters {
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

impl MapParameters {
    /// A uniform within [`INITIAL_A`]/√H, B the targets' principal directions, BatchNorm 1 and 0.
    pub fn new(
        kind: ShortcutKind,
        start: &Start,
        random: &mut impl Rng,
        device: Device,
    ) -> Result<Self, TrainError> {
        let (hidden, rank) = (start.hidden as i64, start.rank as i64);
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
        let adam = Adam::new(Tensor::f_from_slice(&values)?.f_to_device(device)?, BETA_2)?;
        Ok(Self {
            views: Views::of(&adam.parameters, kind, hidden, rank)?,
            slopes: Views::of(&adam.gradients, kind, hidden, rank)?,
            adam,
        })
    }

    /// One step on a batch, (n, H) each; returns the batch's loss, (1) f64.
    pub fn step(&mut self, x: &Tensor, y: &Tensor, rate: f64) -> Result<Tensor, TrainError> {
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

    /// What was found, on the processor.
    pub fn found(self) -> Result<TurnedMap, TrainError> {
        let here = |tensor: Tensor| tensor.f_to_device(Device::Cpu);
        let Views { a, b, norm } = self.views;
        let norm =
            norm.map(|(weight, bias)| Ok::<_, TrainError>((here(weight)?, here(bias)?))).transpose()?;
        Ok(TurnedMap { a: here(a)?, b: b.map(here).transpose()?, norm })
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
