//! Rotary position embeddings (Su et al. 2021), in Hugging Face's layout: the two halves of a head are
//! the two coordinates that are rotated. With the scalings of Llama 3, Phi-3 and OLMo 3.

use std::path::Path;

use onejump_tensor::transfer::to_device;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

use crate::ModelError;
use crate::device::Place;
use crate::pack::Pack;
use crate::yarn::Yarn;

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
    /// Whether it is that of one kind of block. Such families take YaRN; the others refuse it.
    #[serde(skip)]
    of_kind: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct RopeParameters {
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    rope_type: Option<String>,
    /// The old name of `rope_type`. Some versions of transformers write both.
    #[serde(rename = "type")]
    old_type: Option<String>,
    factor: Option<f64>,
    attention_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    short_factor: Option<Vec<f64>>,
    long_factor: Option<Vec<f64>>,
    beta_fast: Option<f64>,
    beta_slow: Option<f64>,
    mscale: Option<f64>,
    mscale_all_dim: Option<f64>,
    truncate: Option<bool>,
}

impl RotaryConfig {
    /// That of one kind of block, checked.
    pub fn of_kind(path: &Path, parameters: Map<String, Value>) -> Result<Self, ModelError> {
        let config = json!({"rope_parameters": parameters});
        let rotary: Self = serde_json::from_value(config.clone()).map_err(|error| {
            ModelError::checkpoint(path, format!("its rope_parameters are not understood: {error}"))
        })?;
        let rotary = Self { of_kind: true, ..rotary };
        rotary.check(path, &config)?;
        Ok(rotary)
    }

    /// What holds where `rope_parameters` do not say it: the base, and the share of a head that is rotated.
    pub fn set_defaults(&mut self, theta: f64, share: f64) {
        self.rope_theta = Some(theta);
        self.partial_rotary_factor = Some(share);
    }
}

/// The keys of `rope_parameters` that are read, and those that change no angles of a text: the parts of a head that an
/// image's rows and columns would rotate.
const KEYS: [&str; 13] = [
    "attention_factor",
    "factor",
    "high_freq_factor",
    "long_factor",
    "low_freq_factor",
    "mrope_interleaved",
    "mrope_section",
    "original_max_position_embeddings",
    "partial_rotary_factor",
    "rope_theta",
    "rope_type",
    "short_factor",
    "type",
];

/// The kinds of scaling that are known.
const SCALINGS: [&str; 4] = ["default", "linear", "llama3", "longrope"];

/// One more, and its keys, where each kind of block has an embedding of its own.
const YARN: &str = "yarn";
const YARN_KEYS: [&str; 5] = ["beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"];

impl RotaryConfig {
    /// Refuses what contradicts itself, and warns of keys that are not known.
    pub fn check(&self, path: &Path, config: &Value) -> Result<(), ModelError> {
        let mut unknown = Vec::new();
        for section in ["rope_parameters", "rope_scaling"] {
            for (key, value) in config[section].as_object().into_iter().flatten() {
                if value.is_object() {
                    return Err(ModelError::Rotary(format!(
                        "{}: its {section} differs by the kind of block ('{key}'), which is not supported in this architecture",
                        path.display()
                    )));
                }
                let name = key.as_str();
                let known = KEYS.contains(&name) || self.of_kind && YARN_KEYS.contains(&name);
                if !known && !value.is_null() {
                    unknown.push(format!("{section}.{key}"));
                }
            }
        }
        let parameters = self.parameters();
        let wrong = |reason: String| Err(ModelError::Rotary(format!("{}: {reason}", path.display())));
        if let (Some(new), Some(old)) = (&parameters.rope_type, &parameters.old_type)
            && kind(new) != kind(old)
        {
            return wrong(format!("its rotary embedding has the rope_type '{new}', but the type '{old}'"));
        }
        if !(SCALINGS.contains(&parameters.kind()) || self.of_kind && parameters.kind() == YARN) {
            let (kind, known) = (parameters.kind(), SCALINGS.join(", "));
            return wrong(format!(
                "rotary scaling '{kind}' is not supported in this architecture; known: {known}"
            ));
        }
        if parameters.kind() == "default" && parameters.factor.is_some_and(|factor| factor != 1.0) {
            return wrong("its rotary embedding has a factor, but no rope_type that uses it".into());
        }
        // transformers takes rope_scaling whole, and the base from beside it.
        let (theta, other) = (self.theta(), self.rope_parameters.as_ref().and_then(|other| other.rope_theta));
        if let Some(other) = other
            && other != theta
        {
            return wrong(format!(
                "rope_scaling would be used with the base {theta}, but rope_parameters has the base {other}; put all of \
                 it into rope_parameters"
            ));
        }
        crate::config_keys::warn_of_unknown(path, &unknown);
        Ok(())
    }

    /// What is used: `rope_scaling` where it says something, as transformers 5 does, else `rope_parameters`.
    fn parameters(&self) -> RopeParameters {
        let scaling = self.rope_scaling.as_ref().filter(|scaling| **scaling != RopeParameters::default());
        scaling.or(self.rope_parameters.as_ref()).cloned().unwrap_or_default()
    }

    /// θ.
    fn theta(&self) -> f64 {
        self.parameters().rope_theta.or(self.rope_theta).unwrap_or(DEFAULT_THETA)
    }
}

/// Rotates by position. Angles are computed for the positions of a pack alone: a context of millions of
/// tokens costs nothing until a sequence has them.
#[derive(Clone)]
pub(crate) struct Rotary {
    waves: Waves,
    /// Phi-3's second set of waves, for sequences of more tokens than this.
    long: Option<(i64, Waves)>,
    place: Place,
}

/// Frequencies, d/2 of them, and what multiplies their cosines and sines.
#[derive(Clone)]
struct Waves {
    frequencies: Vec<f32>,
    scale: f64,
}

/// The cosines and sines of tokens, (T, 1, d/2) each.
pub(crate) struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Waves {
    fn new(frequencies: &[f64], scale: f64) -> Self {
        Self { frequencies: frequencies.iter().map(|&frequency| frequency as f32).collect(), scale }
    }

    /// Angles position · frequency, in f32 as Hugging Face computes them, at so many positions.
    fn table(&self, positions: i64, place: Place) -> Result<Angles, ModelError> {
        let positions = Tensor::f_arange(positions, (Kind::Float, Device::Cpu))?;
        let angles = positions.f_outer(&Tensor::f_from_slice(&self.frequencies)?)?; // (positions, d/2)
        let there = |table: Tensor| -> Result<Tensor, ModelError> {
            let table = table.f_mul_scalar(self.scale)?.f_to_kind(place.dtype)?.f_unsqueeze(1)?;
            Ok(to_device(&table, place.device)?)
        };
        Ok(Angles { cos: there(angles.f_cos()?)?, sin: there(angles.f_sin()?)? })
    }

    /// The same at the positions of a pack.
    fn at(&self, pack: &Pack, place: Place) -> Result<Angles, ModelError> {
        let longest = pack.runs.iter().map(|run| run.length).max().unwrap_or(0);
        self.table(longest, place)?.rows(&pack.positions)
    }
}

impl Rotary {
    /// For heads of `width` values and sequences of up to `context` tokens. In some families a share of each head is
    /// rotated (`partial`), in the others the whole, whatever the configuration says.
    pub fn new(
        config: &RotaryConfig,
        width: i64,
        context: i64,
        partial: bool,
        place: Place,
    ) -> Result<Self, ModelError> {
        let (parameters, theta) = (config.parameters(), config.theta());
        let share = parameters.partial_rotary_factor.or(config.partial_rotary_factor).unwrap_or(1.0);
        if !partial && share != 1.0 && parameters.kind() != "default" {
            return Err(ModelError::Rotary(format!(
                "partial_rotary_factor {share} with the rope_type '{}' is not supported in this architecture",
                parameters.kind()
            )));
        }
        let share = if partial { share } else { 1.0 };
        let rotated = (width as f64 * share) as i64;
        if !(2..=width).contains(&rotated) || rotated % 2 != 0 {
            return Err(ModelError::Rotary(format!(
                "partial_rotary_factor {share} of a head of {width} values; possible are even numbers, from 2 values to all of them"
            )));
        }
        // θ^(−2i/d) in f32, as Hugging Face has it.
        let plain: Vec<f64> = (0..rotated / 2)
            .map(|i| f64::from(1.0 / (theta as f32).powf((2 * i) as f32 / rotated as f32)))
            .collect();
        let plainly = |frequencies: &[f64]| Self { waves: Waves::new(frequencies, 1.0), long: None, place };
        // transformers prefers the key beside rope_parameters to that in it.
        let original = config
            .original_max_position_embeddings
            .or(parameters.original_max_position_embeddings)
            .unwrap_or(context as f64);
        match parameters.kind() {
            "default" => Ok(plainly(&plain)),
            "linear" => {
                let factor = parameters.required(parameters.factor, "factor")?;
                let scaled: Vec<f64> = plain.iter().map(|frequency| frequency / factor).collect();
                Ok(plainly(&scaled))
            }
            "llama3" => Ok(plainly(&parameters.llama3(&plain, original)?)),
            "longrope" => {
                let scale = parameters.attention_factor.unwrap_or_else(|| {
                    let factor = parameters.factor.unwrap_or(context as f64 / original);
                    if factor > 1.0 { (1.0 + factor.ln() / original.ln()).sqrt() } else { 1.0 }
                });
                let stretched = |factors: &Option<Vec<f64>>, name: &str| -> Result<Waves, ModelError> {
                    let factors = factors.as_ref().filter(|factors| factors.len() == plain.len());
                    let factors = parameters.required(factors, name)?;
                    let scaled: Vec<f64> = plain.iter().zip(factors).map(|(f, factor)| f / factor).collect();
                    Ok(Waves::new(&scaled, scale))
                };
                let short = stretched(&parameters.short_factor, "short_factor")?;
                let long = stretched(&parameters.long_factor, "long_factor")?;
                Ok(Self { waves: short, long: Some((original as i64, long)), place })
            }
            YARN => {
                let yarn = parameters.yarn(theta, rotated, original)?;
                let scale = parameters.attention_factor.unwrap_or_else(|| Yarn::scale(yarn.factor));
                Ok(Self { waves: Waves::new(&yarn.frequencies(), scale), long: None, place })
            }
            other => Err(ModelError::Rotary(format!("rotary scaling '{other}' is not supported"))),
        }
    }

    /// The position from which on a sampled token has other angles, and the tokens before it too; none where angles do
    /// not depend on the sequence's length.
    pub fn change(&self) -> Option<usize> {
        self.long.as_ref().map(|(longest, _)| *longest as usize)
    }

    /// The frequencies in a text of some length, and what multiplies cosines and sines.
    pub fn waves(&self, length: i64) -> (&[f32], f64) {
        let Waves { frequencies, scale } = self.of_length(length);
        (frequencies, *scale)
    }

    fn of_length(&self, length: i64) -> &Waves {
        let long = self.long.as_ref().filter(|(longest, _)| length > *longest);
        long.map_or(&self.waves, |(_, long)| long)
    }

    /// The angles at every position of a text of up to `length` tokens.
    pub fn table(&self, length: i64) -> Result<Angles, ModelError> {
        self.of_length(length).table(length, self.place)
    }

    /// The angles of every token of a pack. With two kinds of waves the length of a token's sequence, up to the
    /// sampled token, decides.
    pub fn at(&self, pack: &Pack) -> Result<Angles, ModelError> {
        let short = self.waves.at(pack, self.place)?;
        let Some((longest, long)) = &self.long else { return Ok(short) };
        if pack.runs.iter().all(|run| run.length <= *longest) {
            return Ok(short);
        }
        let long = long.at(pack, self.place)?;
        let is_long = pack.lengths()?.f_gt(*longest)?.f_view([-1, 1, 1])?;
        Ok(Angles {
            cos: long.cos.f_where_self(&is_long, &short.cos)?,
            sin: long.sin.f_where_self(&is_long, &short.sin)?,
        })
    }
}

/// The names of one kind of scaling: Phi-3's had another once, and the one of Qwen's image models is plain for text.
fn kind(name: &str) -> &str {
    match name {
        "su" => "longrope",
        "mrope" => "default",
        other => other,
    }
}

impl RopeParameters {
    /// The kind of scaling.
    fn kind(&self) -> &str {
        kind(self.rope_type.as_deref().or(self.old_type.as_deref()).unwrap_or("default"))
    }

    fn required<T>(&self, value: Option<T>, name: &str) -> Result<T, ModelError> {
        value.ok_or_else(|| {
            let kind = self.kind();
            ModelError::Rotary(format!("rotary scaling '{kind}' lacks a usable '{name}' in config.json"))
        })
    }

    fn yarn(&self, theta: f64, rotated: i64, original: f64) -> Result<Yarn, ModelError> {
        if self.mscale.is_some() || self.mscale_all_dim.is_some() || self.truncate == Some(false) {
            let reason = "rotary scaling 'yarn' with mscale, mscale_all_dim or truncate is not supported";
            return Err(ModelError::Rotary(reason.into()));
        }
        Ok(Yarn {
            theta,
            rotated,
            factor: self.required(self.factor, "factor")?,
            original,
            beta_fast: self.beta_fast.unwrap_or(Yarn::BETA_FAST),
            beta_slow: self.beta_slow.unwrap_or(Yarn::BETA_SLOW),
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
    /// The angles of rows side by side.
    pub fn part(&self, start: i64, rows: i64) -> Result<Self, ModelError> {
        Ok(Self { cos: self.cos.f_narrow(0, start, rows)?, sin: self.sin.f_narrow(0, start, rows)? })
    }

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
