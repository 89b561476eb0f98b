//! Rotary position embeddings (Su et al. 2021), in Hugging Face's layout: the two halves of a head
//! are the two coordinates that are rotated.

use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use crate::ModelError;

/// Llama's base where config.json names none.
const DEFAULT_THETA: f64 = 10_000.0;

/// The keys of config.json that describe the embedding, in both of Hugging Face's spellings.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RotaryConfig {
    rope_theta: Option<f64>,
    rope_scaling: Option<RopeParameters>,
    rope_parameters: Option<RopeParameters>,
}

#[derive(Debug, Clone, Deserialize)]
struct RopeParameters {
    rope_theta: Option<f64>,
    #[serde(alias = "type")]
    rope_type: Option<String>,
}

/// Cosines and sines of every angle, (positions, d/2) each.
pub(crate) struct Rotary {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// The tables for `positions` positions of heads of `width` values.
    pub fn new(
        config: &RotaryConfig,
        width: i64,
        positions: i64,
        device: Device,
    ) -> Result<Self, ModelError> {
        let parameters = config.rope_parameters.as_ref().or(config.rope_scaling.as_ref());
        let kind = parameters.and_then(|p| p.rope_type.as_deref()).unwrap_or("default");
        if kind != "default" {
            return Err(ModelError::Usage(format!(
                "rotary scaling '{kind}' is not supported; known: default (no scaling)"
            )));
        }
        let theta = parameters.and_then(|p| p.rope_theta).or(config.rope_theta).unwrap_or(DEFAULT_THETA);
        // Angles in f32, as Hugging Face computes them: position · θ^(−2i/d).
        let exponents = Tensor::f_arange_start_step(0, width, 2, (Kind::Float, Device::Cpu))? / width as f64;
        let frequencies = Tensor::from(theta).to_kind(Kind::Float).f_pow(&exponents)?.f_reciprocal()?;
        let angles = Tensor::f_arange(positions, (Kind::Float, Device::Cpu))?.f_outer(&frequencies)?;
        Ok(Self { cos: angles.f_cos()?.f_to_device(device)?, sin: angles.f_sin()?.f_to_device(device)? })
    }

    pub fn shallow_clone(&self) -> Self {
        Self { cos: self.cos.shallow_clone(), sin: self.sin.shallow_clone() }
    }

    /// The rows of the tables for these positions (T), as (T, 1, d/2) each.
    pub fn at(&self, positions: &Tensor) -> Result<(Tensor, Tensor), ModelError> {
        let rows = |table: &Tensor| table.f_index_select(0, positions)?.f_unsqueeze(1);
        Ok((rows(&self.cos)?, rows(&self.sin)?))
    }
}

/// Rotates the heads `x` (T, A, d) by the angles whose (cos, sin) are (T, 1, d/2).
pub(crate) fn rotate(x: &Tensor, (cos, sin): &(Tensor, Tensor)) -> Result<Tensor, ModelError> {
    let half = x.size3()?.2 / 2;
    let (first, second) = (x.f_narrow(2, 0, half)?, x.f_narrow(2, half, half)?);
    let rotated_first = first.f_mul(cos)?.f_sub(&second.f_mul(sin)?)?;
    let rotated_second = second.f_mul(cos)?.f_add(&first.f_mul(sin)?)?;
    Ok(Tensor::f_cat(&[rotated_first, rotated_second], 2)?)
}
