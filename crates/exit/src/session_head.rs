//! What a shortcut answers at a level of a session: the fused head of [`crate::ExitHead`], computed where the session is.

use onejump_models::norm::Norm;
use onejump_models::session::{Format, Head, Layer, Model, Session};
use onejump_models::{ModelError, head};
use onejump_shortcuts::map::Map;
use onejump_simd::soft_cap;
use onejump_tensor::rows::values;
use tch::Tensor;

use crate::ExitError;

/// A map with the head behind it.
pub enum SessionHead {
    /// The state as it is through the model's head.
    Identity,
    /// ĥ through the model's head.
    Full(Layer),
    /// The same, of a residual.
    Residual(Box<Residual>),
    /// The fused head.
    LowRank(Box<Fused>),
}

/// x = h/‖h‖ (H), u = x·M + c (r), ĥ = α·x + u·B (H).
pub struct Residual {
    alpha: f32,
    projection: Layer,
    back: Layer,
}

/// u = h·M + c (r), ĥ = u·B (H) for its length alone, and logits (u·P)/s + bias·Eᵀ (V).
pub struct Fused {
    projection: Layer,
    back: Layer,
    logits: Layer,
    constant: Option<Vec<f32>>,
    eps: f64,
    soft_cap: Option<f32>,
}

impl SessionHead {
    /// The head of a model behind a map; `None` is the identity. On the CPU P, a fused head's matrix of the vocabulary, is
    /// rounded to a format or kept exactly: a look reads little else.
    ///
    /// # Errors
    /// [`ExitError::HiddenSize`] if map and head are of different models, [`ExitError::Model`] if the format cannot hold P.
    pub fn new(
        map: Option<&Map>,
        head: &head::Head,
        model: &Model,
        rounding: Option<Format>,
    ) -> Result<Self, ExitError> {
        let Some(map) = map else { return Ok(Self::Identity) };
        if map.hidden_size() != head.hidden_size() {
            return Err(ExitError::HiddenSize { shortcut: map.hidden_size(), head: head.hidden_size() });
        }
        let layer = |weight: &Tensor, bias: Option<&Tensor>| Layer::new(weight, bias, model, None);
        match (map, map.projection()?) {
            (Map::LowRank { b, .. }, Some(projection)) => {
                let norm = &head.norm;
                let centred = norm.centred(b)?; // (r, H)
                let fused = centred.f_mul(norm.weight())?.f_mm(&head.unembedding.f_transpose(0, 1)?)?; // (r, V)
                let constant = norm.bias().map(|bias| head.unembedding.f_mv(bias)).transpose()?;
                let (Norm::Rms { eps, .. } | Norm::Layer { eps, .. }) = norm;
                Ok(Self::LowRank(Box::new(Fused {
                    projection: layer(&projection.matrix, Some(&projection.constant.f_view([-1])?))?,
                    back: layer(&centred, None)?,
                    logits: Layer::new(&fused, None, model, rounding)?,
                    constant: constant.map(|constant| values(&constant)).transpose()?,
                    eps: *eps,
                    soft_cap: head.soft_cap.map(|cap| cap as f32),
                })))
            }
            (Map::Residual { alpha, b, .. }, Some(projection)) => Ok(Self::Residual(Box::new(Residual {
                alpha: alpha.f_double_value(&[0])? as f32,
                projection: layer(&projection.matrix, Some(&projection.constant.f_view([-1])?))?,
                back: layer(b, None)?,
            }))),
            (Map::Full { w, bias }, _) => Ok(Self::Full(layer(w, bias.as_ref())?)),
            (Map::LowRank { .. } | Map::Residual { .. }, None) => Ok(Self::Identity),
        }
    }

    /// The logits at a state (H): (V). `head` is the model's own.
    ///
    /// # Errors
    /// [`ModelError::Torch`] if a GPU refuses.
    pub fn logits(&self, session: &Session, head: &Head, state: &[f32]) -> Result<Vec<f32>, ModelError> {
        match self {
            Self::Identity => session.read(head, state),
            Self::Full(map) => session.read(head, &session.apply(map, state)?),
            Self::Residual(map) => session.read(head, &map.apply(session, state)?),
            Self::LowRank(fused) => fused.logits(session, state),
        }
    }
}

impl Residual {
    fn apply(&self, session: &Session, state: &[f32]) -> Result<Vec<f32>, ModelError> {
        let square: f64 = state.iter().map(|&value| f64::from(value).powi(2)).sum();
        let inverse = 1.0 / square.max(f64::MIN_POSITIVE).sqrt();
        let x: Vec<f32> = state.iter().map(|&value| (f64::from(value) * inverse) as f32).collect();
        let mut mapped = session.apply(&self.back, &session.apply(&self.projection, &x)?)?;
        mapped.iter_mut().zip(&x).for_each(|(mapped, x)| *mapped += self.alpha * x);
        Ok(mapped)
    }
}

impl Fused {
    fn logits(&self, session: &Session, state: &[f32]) -> Result<Vec<f32>, ModelError> {
        let u = session.apply(&self.projection, state)?;
        let centred = session.apply(&self.back, &u)?;
        let squares: f64 = centred.iter().map(|&value| f64::from(value).powi(2)).sum();
        let inverse = (1.0 / (squares / centred.len() as f64 + self.eps).sqrt()) as f32;
        let scaled: Vec<f32> = u.iter().map(|value| value * inverse).collect();
        let mut logits = session.apply(&self.logits, &scaled)?;
        if let Some(constant) = &self.constant {
            logits.iter_mut().zip(constant).for_each(|(logit, constant)| *logit += constant);
        }
        if let Some(cap) = self.soft_cap {
            soft_cap(&mut logits, cap);
        }
        Ok(logits)
    }
}
