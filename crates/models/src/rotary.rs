//! Rotary position embeddings (Su et al. 2021), in Hugging Face's layout: the two halves of a head are
//! the two coordinates that are rotated. With the scalings of Llama 3 and Phi-3.

use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use crate::ModelError;
use crate::device::Place;
use crate::pack::Pack;

/// Llama's base where config.json names none.
const DEFAULT_THETA: f64 = 10_000.0;

/// The keys of config.json that describe the embedding, in both of Hugging Face's spellings.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RotaryConfig {
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    rope_scaling: Option<RopeParameters>,
    rope_parameters: Option<RopeParameters>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RopeParameters {
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    #[serde(alias = "type")]
    rope_type: Option<String>,
    factor: Option<f64>,
    attention_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    short_factor: Option<Vec<f64>>,
    long_factor: Option<Vec<f64>>,
}

/// Cosines and sines of every angle.
pub(crate) struct Rotary {
    table: Table,
    /// Phi-3's second table, for sequences longer than this many tokens.
    long: Option<(i64, Table)>,
}

/// (positions, d/2) each.
struct Table {
    cos: Tensor,
    sin: Tensor,
}

/// The cosines and sines of the tokens of a pack, (T, 1, d/2) each.
pub(crate) struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Table {
    /// Angles position · frequency, in f32 as Hugging Face computes them; `scale` multiplies both tables.
    fn new(frequencies: &[f64], positions: i64, scale: f64, place: Place) -> Result<Self, ModelError> {
        let frequencies: Vec<f32> = frequencies.iter().map(|&frequency| frequency as f32).collect();
        let positions = Tensor::f_arange(positions, (Kind::Float, Device::Cpu))?;
        let angles = positions.f_outer(&Tensor::f_from_slice(&frequencies)?)?;
        let scaled =
            |table: Tensor| table.f_mul_scalar(scale)?.f_to_kind(place.dtype)?.f_to_device(place.device);
        Ok(Self { cos: scaled(angles.f_cos()?)?, sin: scaled(angles.f_sin()?)? })
    }

    fn at(&self, positions: &Tensor) -> Result<Angles, ModelError> {
        let rows = |table: &Tensor| table.f_index_select(0, positions)?.f_unsqueeze(1);
        Ok(Angles { cos: rows(&self.cos)?, sin: rows(&self.sin)? })
    }

    fn shallow_clone(&self) -> Self {
        Self { cos: self.cos.shallow_clone(), sin: self.sin.shallow_clone() }
    }
}

impl Rotary {
    /// The tables for `positions` positions of heads of `width` values.
    pub fn new(config: &RotaryConfig, width: i64, positions: i64, place: Place) -> Result<Self, ModelError> {
        let parameters = config.rope_parameters.clone().or(config.rope_scaling.clone()).unwrap_or_default();
        let theta = parameters.rope_theta.or(config.rope_theta).unwrap_or(DEFAULT_THETA);
        let share = parameters.partial_rotary_factor.or(config.partial_rotary_factor).unwrap_or(1.0);
        let rotated = (width as f64 * share) as i64;
        // θ^(−2i/d) in f32, as Hugging Face has it.
        let plain: Vec<f64> = (0..rotated / 2)
            .map(|i| f64::from(1.0 / (theta as f32).powf((2 * i) as f32 / rotated as f32)))
            .collect();
        let table = |frequencies: &[f64], scale| Table::new(frequencies, positions, scale, place);
        let original = parameters
            .original_max_position_embeddings
            .or(config.original_max_position_embeddings)
            .unwrap_or(positions as f64);
        match parameters.rope_type.as_deref().unwrap_or("default") {
            "default" => Ok(Self { table: table(&plain, 1.0)?, long: None }),
            "linear" => {
                let factor = parameters.required(parameters.factor, "factor")?;
                let scaled: Vec<f64> = plain.iter().map(|frequency| frequency / factor).collect();
                Ok(Self { table: table(&scaled, 1.0)?, long: None })
            }
            "llama3" => {
                let scaled = parameters.llama3(&plain, original)?;
                Ok(Self { table: table(&scaled, 1.0)?, long: None })
            }
            "longrope" | "su" => {
                let scale = parameters.attention_factor.unwrap_or_else(|| {
                    let factor = positions as f64 / original;
                    if factor > 1.0 { (1.0 + factor.ln() / original.ln()).sqrt() } else { 1.0 }
                });
                let stretched = |factors: &Option<Vec<f64>>, name: &str| -> Result<Table, ModelError> {
                    let factors = factors.as_ref().filter(|factors| factors.len() == plain.len());
                    let factors = parameters.required(factors, name)?;
                    let scaled: Vec<f64> = plain.iter().zip(factors).map(|(f, factor)| f / factor).collect();
                    table(&scaled, scale)
                };
                let short = stretched(&parameters.short_factor, "short_factor")?;
                let long = stretched(&parameters.long_factor, "long_factor")?;
                Ok(Self { table: short, long: Some((original as i64, long)) })
            }
            other => Err(ModelError::Usage(format!(
                "rotary scaling '{other}' is not supported; known: default, linear, llama3, longrope"
            ))),
        }
    }

    /// The angles of every token of a pack. With two tables the length of a token's sequence, up to the
    /// sampled token, decides.
    pub fn at(&self, pack: &Pack) -> Result<Angles, ModelError> {
        let short = self.table.at(&pack.positions)?;
        let Some((longest, long)) = &self.long else { return Ok(short) };
        if pack.runs.iter().all(|run| run.length <= *longest) {
            return Ok(short);
        }
        let long = long.at(&pack.positions)?;
        let is_long = pack.lengths()?.f_gt(*longest)?.f_view([-1, 1, 1])?;
        Ok(Angles {
            cos: long.cos.f_where_self(&is_long, &short.cos)?,
            sin: long.sin.f_where_self(&is_long, &short.sin)?,
        })
    }

    pub fn shallow_clone(&self) -> Self {
        Self {
            table: self.table.shallow_clone(),
            long: self.long.as_ref().map(|(longest, table)| (*longest, table.shallow_clone())),
        }
    }
}

impl RopeParameters {
    fn required<T>(&self, value: Option<T>, name: &str) -> Result<T, ModelError> {
        value.ok_or_else(|| {
            let kind = self.rope_type.as_deref().unwrap_or("default");
            ModelError::Usage(format!("rotary scaling '{kind}' lacks a usable '{name}' in config.json"))
        })
    }

    /// Llama 3.1: long wavelengths are stretched by `factor`, short ones kept, those between blended.
    fn llama3(&self, plain: &[f64], original: f64) -> Result<Vec<f64>, ModelError> {
        let factor = self.required(self.factor, "factor")?;
        let low = self.required(self.low_freq_factor, "low_freq_factor")?;
        let high = self.required(self.high_freq_factor, "high_freq_factor")?;
        let scaled = |&frequency: &f64| {
            let turns = original * frequency / (2.0 * std::f64::consts::PI);
            let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
            (1.0 - smooth) * frequency / factor + smooth * frequency
        };
        Ok(plain.iter().map(scaled).collect())
    }
}

impl Angles {
    /// The angles of some rows.
    pub fn rows(&self, rows: &Tensor) -> Result<Self, ModelError> {
        Ok(Self { cos: self.cos.f_index_select(0, rows)?, sin: self.sin.f_index_select(0, rows)? })
    }
}

/// Rotates the first values of the heads `x` (T, A, d) by the angles; the others pass.
pub(crate) fn rotate(x: &Tensor, Angles { cos, sin }: &Angles) -> Result<Tensor, ModelError> {
    let (width, half) = (x.size3()?.2, cos.size3()?.2);
    let (first, second) = (x.f_narrow(2, 0, half)?, x.f_narrow(2, half, half)?);
    let rotated_first = first.f_mul(cos)?.f_sub(&second.f_mul(sin)?)?;
    let rotated_second = second.f_mul(cos)?.f_add(&first.f_mul(sin)?)?;
    if 2 * half == width {
        return Ok(Tensor::f_cat(&[rotated_first, rotated_second], 2)?);
    }
    let rest = x.f_narrow(2, 2 * half, width - 2 * half)?;
    Ok(Tensor::f_cat(&[rotated_first, rotated_second, rest], 2)?)
}
