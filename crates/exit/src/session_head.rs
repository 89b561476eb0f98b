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

/// u = h·M + c (r), ĥ = u·B (H) for its length alone, and logits (u·P)/s + bias·Eᵀ (V). Beside the token before
/// u = h·M + x'·C + c, with x' = h'_K/‖h'_K‖.
pub struct Fused {
    projection: Layer,
    previous: Option<Layer>,
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
                    previous: None,
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

    /// The same beside the state at which the token before ended, through C (H, r).
    ///
    /// # Errors
    /// [`ExitError::Model`] if libtorch cannot give the values.
    pub fn with_previous(mut self, previous: &Tensor, model: &Model) -> Result<Self, ExitError> {
        if let Self::LowRank(fused) = &mut self {
            fused.previous = Some(Layer::new(previous, None, model, None)?);
        }
        Ok(self)
    }

    /// Whether it reads the state at which the token before ended.
    pub fn reads_previous(&self) -> bool {
        matches!(self, Self::LowRank(fused) if fused.previous.is_some())
    }

    /// The logits behind a token of a session, at the level where it stands: (V). Where it is read, the token before has
    /// gone through all blocks; the first token of a text has none. `head` is the model's own.
    ///
    /// # Errors
    /// [`ModelError::Torch`] if a GPU refuses.
    ///
    /// # Panics
    /// If there is no such token, or the token before is needed and still on its way.
    pub fn look(&self, session: &Session, head: &Head, place: usize) -> Result<Vec<f32>, ModelError> {
        let state = session.state(place)?;
        let Self::LowRank(fused) = self else { return self.logits(session, head, &state) };
        let previous = match (&fused.previous, place.checked_sub(1)) {
            (Some(_), Some(before)) => {
                assert!(before < session.reached(session.blocks()), "token {before} is on its way");
                Some(unit(&session.state(before)?))
            }
            _ => None,
        };
        fused.logits(session, &state, previous.as_deref())
    }

    /// The logits at a state (H), with no token before: (V). `head` is the model's own.
    ///
    /// # Errors
    /// [`ModelError::Torch`] if a GPU refuses.
    pub fn logits(&self, session: &Session, head: &Head, state: &[f32]) -> Result<Vec<f32>, ModelError> {
        match self {
            Self::Identity => session.read(head, state),
            Self::Full(map) => session.read(head, &session.apply(map, state)?),
            Self::Residual(map) => session.read(head, &map.apply(session, state)?),
            Self::LowRank(fused) => fused.logits(session, state, None),
        }
    }
}

/// A state at length 1; one of 0 stays 0.
fn unit(state: &[f32]) -> Vec<f32> {
    let square: f64 = state.iter().map(|&value| f64::from(value).powi(2)).sum();
    let inverse = 1.0 / square.max(f64::MIN_POSITIVE).sqrt();
    state.iter().map(|&value| (f64::from(value) * inverse) as f32).collect()
}

impl Residual {
    fn apply(&self, session: &Session, state: &[f32]) -> Result<Vec<f32>, ModelError> {
        let x = unit(state);
        let mut mapped = session.apply(&self.back, &session.apply(&self.projection, &x)?)?;
        mapped.iter_mut().zip(&x).for_each(|(mapped, x)| *mapped += self.alpha * x);
        Ok(mapped)
    }
}

impl Fused {
    /// `previous` is x'.
    fn logits(
        &self,
        session: &Session,
        state: &[f32],
        previous: Option<&[f32]>,
    ) -> Result<Vec<f32>, ModelError> {
        let mut u = session.apply(&self.projection, state)?;
        if let (Some(layer), Some(previous)) = (&self.previous, previous) {
            let beside = session.apply(layer, previous)?;
            u.iter_mut().zip(beside).for_each(|(u, beside)| *u += beside);
        }
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
