//! Llama (Touvron et al. 2023, arXiv:2302.13971): RMSNorm, rotary embeddings, grouped-query
//! attention, SwiGLU. Weight names are those of Hugging Face's `LlamaForCausalLM`.
//!
//! Products that read the same input are merged when the weights are loaded: q, k and v into one,
//! gate and up into one.

use serde::Deserialize;
use tch::{Device, Tensor};

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::head::{RmsNorm, Unembedding};
use crate::pack::Pack;
use crate::rotary::{Rotary, RotaryConfig, rotate};

/// config.json of a Llama-family model.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Config {
    pub vocab_size: i64,
    pub hidden_size: i64,
    intermediate_size: i64,
    pub num_hidden_layers: usize,
    num_attention_heads: i64,
    num_key_value_heads: Option<i64>,
    head_dim: Option<i64>,
    pub max_position_embeddings: i64,
    rms_norm_eps: f64,
    hidden_act: String,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(flatten)]
    rotary: RotaryConfig,
}

impl Config {
    fn validated(checkpoint: &Checkpoint) -> Result<Self, ModelError> {
        let config: Self = checkpoint.parse_config()?;
        let wrong = |reason: String| Err(ModelError::checkpoint(checkpoint.path(), reason));
        if config.hidden_act != "silu" {
            return wrong(format!("hidden_act '{}' is not supported; known: silu", config.hidden_act));
        }
        let (heads, groups) = (config.num_attention_heads, config.groups());
        if heads < 1 || groups < 1 || heads % groups != 0 {
            return wrong(format!("{heads} attention heads do not divide into {groups} groups"));
        }
        let width = config.width();
        if width < 2 || width % 2 != 0 {
            return wrong(format!("a head of {width} values cannot be rotated"));
        }
        Ok(config)
    }

    /// Groups of heads that share keys and values.
    fn groups(&self) -> i64 {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Values in a head.
    fn width(&self) -> i64 {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }
}

/// y = x·Wᵀ + b.
struct Linear {
    /// (in, out): the transposed view of Hugging Face's (out, in).
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    fn shallow_clone(&self) -> Self {
        Self { weight: self.weight.shallow_clone(), bias: self.bias.as_ref().map(Tensor::shallow_clone) }
    }

    /// Loads one layer, or several that read the same input, as one.
    fn load(
        checkpoint: &mut Checkpoint,
        names: &[(String, i64)],
        inputs: i64,
        bias: bool,
        device: Device,
    ) -> Result<Self, ModelError> {
        let mut weights = Vec::with_capacity(names.len());
        let mut biases = Vec::new();
        for (name, outputs) in names {
            weights.push(checkpoint.tensor(&format!("{name}.weight"), &[*outputs, inputs], device)?);
            if bias {
                biases.push(checkpoint.tensor(&format!("{name}.bias"), &[*outputs], device)?);
            }
        }
        let weight = Tensor::f_cat(&weights, 0)?.f_transpose(0, 1)?;
        let bias = if bias { Some(Tensor::f_cat(&biases, 0)?) } else { None };
        Ok(Self { weight, bias })
    }

    /// (T, in) -> (T, out).
    fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(match &self.bias {
            Some(bias) => bias.f_addmm(x, &self.weight)?,
            None => x.f_mm(&self.weight)?,
        })
    }
}

struct Attention {
    qkv_proj: Linear,
    o_proj: Linear,
    heads: i64,
    groups: i64,
    width: i64,
}

impl Attention {
    fn shallow_clone(&self) -> Self {
        Self {
            qkv_proj: self.qkv_proj.shallow_clone(),
            o_proj: self.o_proj.shallow_clone(),
            heads: self.heads,
            groups: self.groups,
            width: self.width,
        }
    }

    fn load(
        checkpoint: &mut Checkpoint,
        prefix: &str,
        config: &Config,
        device: Device,
    ) -> Result<Self, ModelError> {
        let (heads, groups, width) = (config.num_attention_heads, config.groups(), config.width());
        let name = |part: &str| format!("{prefix}.{part}");
        let qkv = [
            (name("q_proj"), heads * width),
            (name("k_proj"), groups * width),
            (name("v_proj"), groups * width),
        ];
        let (hidden, bias) = (config.hidden_size, config.attention_bias);
        Ok(Self {
            qkv_proj: Linear::load(checkpoint, &qkv, hidden, bias, device)?,
            o_proj: Linear::load(checkpoint, &[(name("o_proj"), hidden)], heads * width, bias, device)?,
            heads,
            groups,
            width,
        })
    }

    /// (T, H) -> (T, H).
    fn forward(&self, x: &Tensor, pack: &Pack, angles: &Angles) -> Result<Tensor, ModelError> {
        let (heads, groups, width) = (self.heads, self.groups, self.width);
        let tokens = x.size2()?.0;
        let qkv = self.qkv_proj.forward(x)?.f_view([tokens, heads + 2 * groups, width])?;
        let rotated = rotate(&qkv.f_narrow(1, 0, heads + groups)?, &angles.all)?; // (T, A + G, d)
        let query = rotated.f_narrow(1, 0, heads)?;
        let key = rotated.f_narrow(1, heads, groups)?;
        let value = qkv.f_narrow(1, heads + groups, groups)?;
        self.o_proj.forward(&pack.causal_attention(&query, &key, &value)?)
    }

    /// (T, H) -> (N, H): the same for the last token of each sequence alone.
    fn forward_last(&self, x: &Tensor, pack: &Pack, angles: &Angles) -> Result<Tensor, ModelError> {
        let (heads, groups, width) = (self.heads, self.groups, self.width);
        let (tokens, _) = x.size2()?;
        let last = x.f_index_select(0, &pack.last_rows)?;
        let query = last.f_mm(&self.qkv_proj.weight.f_narrow(1, 0, heads * width)?)?; // (N, A·d)
        let key_value = x.f_mm(&self.qkv_proj.weight.f_narrow(1, heads * width, 2 * groups * width)?)?;
        let (query, key_value) = match &self.qkv_proj.bias {
            Some(bias) => (
                query.f_add(&bias.f_narrow(0, 0, heads * width)?)?,
                key_value.f_add(&bias.f_narrow(0, heads * width, 2 * groups * width)?)?,
            ),
            None => (query, key_value),
        };
        let query = rotate(&query.f_view([-1, heads, width])?, &angles.last)?;
        let key_value = key_value.f_view([tokens, 2 * groups, width])?;
        let key = rotate(&key_value.f_narrow(1, 0, groups)?, &angles.all)?;
        let value = key_value.f_narrow(1, groups, groups)?;
        self.o_proj.forward(&pack.last_attention(&query, &key, &value)?)
    }
}

struct Mlp {
    gate_up_proj: Linear,
    down_proj: Linear,
    width: i64,
}

impl Mlp {
    fn shallow_clone(&self) -> Self {
        Self {
            gate_up_proj: self.gate_up_proj.shallow_clone(),
            down_proj: self.down_proj.shallow_clone(),
            width: self.width,
        }
    }

    fn load(
        checkpoint: &mut Checkpoint,
        prefix: &str,
        config: &Config,
        device: Device,
    ) -> Result<Self, ModelError> {
        let (hidden, width, bias) = (config.hidden_size, config.intermediate_size, config.mlp_bias);
        let gate_up = [(format!("{prefix}.gate_proj"), width), (format!("{prefix}.up_proj"), width)];
        let down = [(format!("{prefix}.down_proj"), hidden)];
        Ok(Self {
            gate_up_proj: Linear::load(checkpoint, &gate_up, hidden, bias, device)?,
            down_proj: Linear::load(checkpoint, &down, width, bias, device)?,
            width,
        })
    }

    /// (T, H) -> (T, H): down(silu(gate(x)) ⊙ up(x)).
    fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let gate_up = self.gate_up_proj.forward(x)?;
        let (gate, up) = (gate_up.f_narrow(1, 0, self.width)?, gate_up.f_narrow(1, self.width, self.width)?);
        self.down_proj.forward(&gate.f_silu()?.f_mul_(&up)?)
    }
}

struct Block {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: Mlp,
}

impl Block {
    fn shallow_clone(&self) -> Self {
        Self {
            input_layernorm: self.input_layernorm.shallow_clone(),
            self_attn: self.self_attn.shallow_clone(),
            post_attention_layernorm: self.post_attention_layernorm.shallow_clone(),
            mlp: self.mlp.shallow_clone(),
        }
    }

    fn load(
        checkpoint: &mut Checkpoint,
        prefix: &str,
        config: &Config,
        device: Device,
    ) -> Result<Self, ModelError> {
        let (hidden, eps) = (config.hidden_size, config.rms_norm_eps);
        let norm = |checkpoint: &mut Checkpoint, name: &str| {
            RmsNorm::load(checkpoint, &format!("{prefix}.{name}.weight"), hidden, eps, device)
        };
        Ok(Self {
            input_layernorm: norm(checkpoint, "input_layernorm")?,
            self_attn: Attention::load(checkpoint, &format!("{prefix}.self_attn"), config, device)?,
            post_attention_layernorm: norm(checkpoint, "post_attention_layernorm")?,
            mlp: Mlp::load(checkpoint, &format!("{prefix}.mlp"), config, device)?,
        })
    }

    /// (T, H) -> (T, H).
    fn forward(&self, x: &Tensor, pack: &Pack, angles: &Angles) -> Result<Tensor, ModelError> {
        let attended = self.self_attn.forward(&self.input_layernorm.forward(x)?, pack, angles)?;
        self.feed_forward(attended.f_add(x)?)
    }

    /// (T, H) -> (N, H): of the last block only the sampled rows are needed.
    fn forward_last(&self, x: &Tensor, pack: &Pack, angles: &Angles) -> Result<Tensor, ModelError> {
        let attended = self.self_attn.forward_last(&self.input_layernorm.forward(x)?, pack, angles)?;
        self.feed_forward(attended.f_add(&x.f_index_select(0, &pack.last_rows)?)?)
    }

    fn feed_forward(&self, x: Tensor) -> Result<Tensor, ModelError> {
        let added = self.mlp.forward(&self.post_attention_layernorm.forward(&x)?)?;
        Ok(added.f_add(&x)?)
    }
}

/// (cos, sin) of the rotary angles for all tokens, and for the last token of each sequence.
struct Angles {
    all: (Tensor, Tensor),
    last: (Tensor, Tensor),
}

/// A Llama without its head.
pub(crate) struct Llama {
    pub config: Config,
    embed_tokens: Tensor,
    layers: Vec<Block>,
    rotary: Rotary,
}

impl Llama {
    /// The same model; the weights are shared, not copied.
    pub fn shallow_clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            embed_tokens: self.embed_tokens.shallow_clone(),
            layers: self.layers.iter().map(Block::shallow_clone).collect(),
            rotary: self.rotary.shallow_clone(),
        }
    }

    pub fn load(checkpoint: &mut Checkpoint, device: Device) -> Result<Self, ModelError> {
        let config = Config::validated(checkpoint)?;
        let shape = [config.vocab_size, config.hidden_size];
        let embed_tokens = checkpoint.tensor("model.embed_tokens.weight", &shape, device)?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| Block::load(checkpoint, &format!("model.layers.{index}"), &config, device))
            .collect::<Result<_, _>>()?;
        let rotary = Rotary::new(&config.rotary, config.width(), config.max_position_embeddings, device)?;
        Ok(Self { config, embed_tokens, layers, rotary })
    }

    /// The final norm and the unembedding, without the blocks.
    pub fn load_head(
        checkpoint: &mut Checkpoint,
        device: Device,
    ) -> Result<(RmsNorm, Unembedding), ModelError> {
        let config = Config::validated(checkpoint)?;
        let (hidden, eps) = (config.hidden_size, config.rms_norm_eps);
        let norm = RmsNorm::load(checkpoint, "model.norm.weight", hidden, eps, device)?;
        let tied = config.tie_word_embeddings || !checkpoint.has_tensor("lm_head.weight");
        let name = if tied { "model.embed_tokens.weight" } else { "lm_head.weight" };
        let weight = checkpoint.tensor(name, &[config.vocab_size, hidden], device)?;
        Ok((norm, Unembedding { weight }))
    }

    /// The residual stream at the last token of each sequence, at levels 0..=K in turn, (N, H) each
    /// in the pack's order.
    pub fn tap(&self, pack: &Pack) -> Result<Vec<Tensor>, ModelError> {
        let all = self.rotary.at(&pack.positions)?;
        let rows = |table: &Tensor| table.f_index_select(0, &pack.last_rows);
        let angles = Angles { last: (rows(&all.0)?, rows(&all.1)?), all };
        let mut x = self.embed_tokens.f_index_select(0, &pack.tokens)?; // (T, H)
        let mut levels = vec![x.f_index_select(0, &pack.last_rows)?];
        for (index, block) in self.layers.iter().enumerate() {
            if index + 1 == self.layers.len() {
                levels.push(block.forward_last(&x, pack, &angles)?);
            } else {
                x = block.forward(&x, pack, &angles)?;
                levels.push(x.f_index_select(0, &pack.last_rows)?);
            }
        }
        Ok(levels)
    }
}
