//! Llama (Touvron et al. 2023, arXiv:2302.13971; Llama 3 with its rotary scaling): RMSNorm, rotary
//! embeddings, grouped-query attention, SwiGLU. Weight names are those of Hugging Face's
//! `LlamaForCausalLM`, which Mistral and Qwen share; their files say what they change.
//!
//! q, k and v read the same input: they are merged into one product when the weights are loaded.

use std::path::Path;

use serde::Deserialize;
use tch::Tensor;

use crate::ModelError;
use crate::attention::Attention;
use crate::checkpoint::Checkpoint;
use crate::comparison::Comparison;
use crate::config_keys::Keys;
use crate::decoder::{Block, Decoder, Dimensions, Gelu, Mlp, Norms, Positions};
use crate::device::Place;
use crate::head::{EMBEDDINGS, Head, embedding_name, unembedding_name};
use crate::linear::Linear;
use crate::norm::Norm;
use crate::rotary::{Rotary, RotaryConfig};
use crate::rotary_kinds::KINDS;

/// The name of the embedding.
const EMBEDDING: &str = EMBEDDINGS[0];

/// The name of the final norm.
pub(crate) const FINAL_NORM: &str = "model.norm";

/// The keys of config.json that every Llama-like family reads.
pub(crate) const READ: &[&str] = &[
    "head_dim",
    "hidden_act",
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "original_max_position_embeddings",
    "rms_norm_eps",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "tie_word_embeddings",
    "vocab_size",
];

/// What is done with the keys of config.json.
pub(crate) const KEYS: Keys = Keys {
    read: &[READ, &["attention_bias", "mlp_bias"]],
    harmless: &[],
    neutral: &[],
    defaults: r#"{"hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-6}"#,
    rotary_by_kind: false,
};

/// config.json of a Llama-like model.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Config {
    vocab_size: i64,
    pub hidden_size: i64,
    intermediate_size: i64,
    pub num_hidden_layers: usize,
    num_attention_heads: i64,
    num_key_value_heads: Option<i64>,
    head_dim: Option<i64>,
    max_position_embeddings: i64,
    pub rms_norm_eps: f64,
    hidden_act: Option<String>,
    /// Gemma's name for it.
    hidden_activation: Option<String>,
    #[serde(default)]
    pub attention_bias: bool,
    #[serde(default)]
    pub mlp_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    pub sliding_window: Option<i64>,
    #[serde(default)]
    pub use_sliding_window: bool,
    pub max_window_layers: Option<usize>,
    pub layer_types: Option<Vec<String>>,
    #[serde(flatten)]
    pub rotary: RotaryConfig,
}

/// What a family changes of Llama.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variant {
    /// Biases on q, k and v.
    pub qkv_bias: bool,
    /// A bias on o.
    pub output_bias: bool,
    /// `q_norm` and `k_norm`.
    pub query_key_norm: QueryKeyNorm,
    /// Where attention and feed-forward have their norms.
    pub norms: NormsAt,
    /// Gains are stored as what is added to 1.
    pub gains_around_one: bool,
    /// The gelu of the feed-forward part's gate; it is silu if there is none.
    pub gelu: Option<Gelu>,
    /// What the embedding's output is multiplied with.
    pub embedding_scale: Option<f64>,
    /// How queries and keys are compared, but for the window.
    pub comparison: Comparison,
    /// q, k and v stored as one `qkv_proj`, gate and up as one `gate_up_proj`.
    pub fused: bool,
    /// Each block's window; no block has one if this is empty.
    pub windows: Vec<Option<i64>>,
    /// A share of each head may be rotated, as `partial_rotary_factor` says; whole heads otherwise.
    pub partial_rotary: bool,
    /// The rotary embeddings of the kinds of blocks; if this is empty, the configuration's is the only one.
    pub rotaries: Vec<RotaryConfig>,
    /// Which of them each block uses, if any; every block the first if this is empty.
    pub rotary_of_block: Vec<Option<usize>>,
}

/// Where a block's norms are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum NormsAt {
    /// Before attention and feed-forward.
    #[default]
    Before,
    /// After them.
    After,
    /// Both.
    Around,
}

/// What the norms of queries and keys go over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum QueryKeyNorm {
    /// There are none.
    #[default]
    None,
    /// Each head.
    Head,
    /// All heads together.
    Whole,
}

impl Variant {
    /// Loads a norm.
    fn norm(
        &self,
        checkpoint: &mut Checkpoint,
        name: &str,
        size: i64,
        eps: f64,
        place: Place,
    ) -> Result<Norm, ModelError> {
        let load = if self.gains_around_one { Norm::rms_around_one } else { Norm::rms };
        load(checkpoint, name, size, eps, place)
    }
}

impl Config {
    /// Reads and checks a checkpoint's configuration.
    pub fn read(checkpoint: &Checkpoint, keys: &Keys) -> Result<Self, ModelError> {
        let config: Self = checkpoint.parse_config(keys)?;
        let wrong = |reason: String| Err(ModelError::checkpoint(checkpoint.path(), reason));
        config.gate(checkpoint.path(), keys)?;
        let (heads, groups) = (config.num_attention_heads, config.groups());
        if heads < 1 || groups < 1 || heads % groups != 0 {
            return wrong(format!("{heads} attention heads do not divide into {groups} groups"));
        }
        let width = config.width();
        if width < 2 || width % 2 != 0 {
            return wrong(format!("a head of {width} values cannot be rotated"));
        }
        if config.num_hidden_layers == 0 {
            return wrong("num_hidden_layers is 0; there is nothing to short-cut".into());
        }
        if !keys.rotary_by_kind {
            config.rotary.check(checkpoint.path(), checkpoint.config())?;
        }
        Ok(config)
    }

    /// The function of the feed-forward part's gate: a gelu, or silu.
    pub fn gate(&self, path: &Path, keys: &Keys) -> Result<Option<Gelu>, ModelError> {
        let (key, name, known) = if keys.reads("hidden_activation") {
            ("hidden_activation", &self.hidden_activation, "gelu_pytorch_tanh, gelu")
        } else {
            ("hidden_act", &self.hidden_act, "silu")
        };
        match name.as_deref().unwrap_or("null") {
            "silu" | "swish" if key == "hidden_act" => Ok(None),
            name => match Gelu::named(name).filter(|_| key == "hidden_activation") {
                Some(gelu) => Ok(Some(gelu)),
                None => {
                    let reason = format!("{key} '{name}' is not supported; known: {known}");
                    Err(ModelError::checkpoint(path, reason))
                }
            },
        }
    }

    fn dimensions(&self) -> Dimensions {
        Dimensions {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            blocks: self.num_hidden_layers,
            context: self.max_position_embeddings,
        }
    }

    /// Groups of heads that share keys and values.
    fn groups(&self) -> i64 {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// How many values a head has.
    pub fn width(&self) -> i64 {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// The window of each block: as `layer_types` says, or of all blocks alike where it says nothing.
    pub fn windows(&self, path: &Path, unsaid: &[Option<i64>]) -> Result<Vec<Option<i64>>, ModelError> {
        let Some(types) = &self.layer_types else { return Ok(unsaid.to_vec()) };
        if types.len() != self.num_hidden_layers {
            let reason = format!(
                "its layer_types has {} entries for {} blocks; they must be as many",
                types.len(),
                self.num_hidden_layers
            );
            return Err(ModelError::checkpoint(path, reason));
        }
        let window = |kind: &String| match (kind.as_str(), self.sliding_window) {
            ("full_attention", _) => Ok(None),
            ("sliding_attention", Some(window)) => Ok(Some(window)),
            ("sliding_attention", None) => {
                Err("its layer_types has sliding_attention, but it has no sliding_window".to_owned())
            }
            (other, _) => Err(format!(
                "its layer_types has '{other}', which is not supported; known: full_attention, sliding_attention"
            )),
        };
        types
            .iter()
            .map(window)
            .collect::<Result<_, _>>()
            .map_err(|reason| ModelError::checkpoint(path, reason))
    }

    /// Where config.json has no `layer_types`: all blocks have a window but the last of every `period`.
    pub fn set_default_kinds(&mut self, period: usize) {
        let kind = |block: usize| KINDS[usize::from(!block.is_multiple_of(period))].to_owned();
        let blocks = 1..=self.num_hidden_layers;
        self.layer_types.get_or_insert_with(|| blocks.map(kind).collect());
    }

    /// Which of the rotary embeddings by kind each block uses.
    pub fn rotary_of_block(&self) -> Vec<Option<usize>> {
        let place = |kind: &String| KINDS.iter().position(|known| known == kind);
        self.layer_types.iter().flatten().map(place).collect()
    }

    /// The same window in every block, for families that have no kinds of blocks. A `layer_types` that says otherwise
    /// contradicts the architecture.
    pub fn one_window(&self, path: &Path) -> Result<Vec<Option<i64>>, ModelError> {
        let same = vec![self.sliding_window; self.num_hidden_layers];
        if self.windows(path, &same)? != same {
            let reason = "its layer_types contradicts sliding_window: in this architecture all blocks have the same window";
            return Err(ModelError::checkpoint(path, reason));
        }
        Ok(same)
    }
}

/// The sizes of a Llama-like model.
pub(crate) fn dimensions(checkpoint: &Checkpoint, keys: &Keys) -> Result<Dimensions, ModelError> {
    Ok(Config::read(checkpoint, keys)?.dimensions())
}

/// Loads the model as Llama has it.
pub(crate) fn decoder(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Decoder, ModelError> {
    let config = Config::read(checkpoint, keys)?;
    let bias = config.attention_bias;
    let variant = Variant { qkv_bias: bias, output_bias: bias, ..Variant::default() };
    load(checkpoint, &config, &variant, place)
}

/// Loads the final norm and the unembedding, without the blocks.
pub(crate) fn head(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Head, ModelError> {
    let config = Config::read(checkpoint, keys)?;
    let norm = Norm::rms(checkpoint, FINAL_NORM, config.hidden_size, config.rms_norm_eps, place)?;
    let unembedding = unembedding(checkpoint, &config, place)?;
    Ok(Head { norm, unembedding, soft_cap: None })
}

/// Loads the unembedding.
pub(crate) fn unembedding(
    checkpoint: &mut Checkpoint,
    config: &Config,
    place: Place,
) -> Result<Tensor, ModelError> {
    let name = unembedding_name(checkpoint, EMBEDDING, config.tie_word_embeddings)?;
    checkpoint.tensor(name, &[config.vocab_size, config.hidden_size], place)
}

/// Loads a model that differs from Llama as `variant` says.
pub(crate) fn load(
    checkpoint: &mut Checkpoint,
    config: &Config,
    variant: &Variant,
    place: Place,
) -> Result<Decoder, ModelError> {
    let shape = [config.vocab_size, config.hidden_size];
    let name = embedding_name(checkpoint, EMBEDDING, config.tie_word_embeddings);
    let embedding = checkpoint.tensor(name, &shape, place)?;
    let blocks = (0..config.num_hidden_layers)
        .map(|index| block(checkpoint, config, variant, index, place))
        .collect::<Result<_, _>>()?;
    let context = config.max_position_embeddings;
    let own = std::slice::from_ref(&config.rotary);
    let kinds = if variant.rotaries.is_empty() { own } else { &variant.rotaries };
    let rotaries = kinds
        .iter()
        .map(|rotary| Rotary::new(rotary, config.width(), context, variant.partial_rotary, place))
        .collect::<Result<_, _>>()?;
    let (dimensions, embedding_scale) = (config.dimensions(), variant.embedding_scale);
    Ok(Decoder { dimensions, embedding, embedding_scale, positions: Positions::Rotary(rotaries), blocks })
}

fn block(
    checkpoint: &mut Checkpoint,
    config: &Config,
    variant: &Variant,
    index: usize,
    place: Place,
) -> Result<Block, ModelError> {
    let prefix = format!("model.layers.{index}");
    let mut norm = |part: &str| {
        let name = format!("{prefix}.{part}");
        variant.norm(checkpoint, &name, config.hidden_size, config.rms_norm_eps, place)
    };
    let [attention_norms, mlp_norms] = match variant.norms {
        NormsAt::Before => {
            [Norms::before(norm("input_layernorm")?), Norms::before(norm("post_attention_layernorm")?)]
        }
        NormsAt::After => [
            Norms::after(norm("post_attention_layernorm")?),
            Norms::after(norm("post_feedforward_layernorm")?),
        ],
        NormsAt::Around => [
            Norms::around(norm("input_layernorm")?, norm("post_attention_layernorm")?),
            Norms::around(norm("pre_feedforward_layernorm")?, norm("post_feedforward_layernorm")?),
        ],
    };
    let attention = attention(checkpoint, config, variant, &prefix, index, place)?;
    let mlp = mlp(checkpoint, config, variant, &prefix, place)?;
    let rotary = variant.rotary_of_block.get(index).copied().unwrap_or(Some(0));
    Ok(Block { attention_norms, attention, mlp_norms, mlp, parallel: false, rotary })
}

fn attention(
    checkpoint: &mut Checkpoint,
    config: &Config,
    variant: &Variant,
    prefix: &str,
    index: usize,
    place: Place,
) -> Result<Attention, ModelError> {
    let (heads, groups, width) = (config.num_attention_heads, config.groups(), config.width());
    let hidden = config.hidden_size;
    let name = |part: &str| format!("{prefix}.self_attn.{part}");
    let qkv = if variant.fused {
        vec![(name("qkv_proj"), (heads + 2 * groups) * width)]
    } else {
        let sizes = [("q_proj", heads), ("k_proj", groups), ("v_proj", groups)];
        sizes.map(|(part, count)| (name(part), count * width)).to_vec()
    };
    let output = [(name("o_proj"), hidden)];
    let qkv_proj = Linear::load(checkpoint, &qkv, hidden, variant.qkv_bias, place)?;
    let o_proj = Linear::load(checkpoint, &output, heads * width, variant.output_bias, place)?;
    let widths = match variant.query_key_norm {
        QueryKeyNorm::None => None,
        QueryKeyNorm::Head => Some((width, width)),
        QueryKeyNorm::Whole => Some((heads * width, groups * width)),
    };
    let eps = config.rms_norm_eps;
    let mut norm = |part: &str, width| variant.norm(checkpoint, &name(part), width, eps, place);
    let query_key_norm = match widths {
        Some((query, key)) => Some((norm("q_norm", query)?, norm("k_norm", key)?)),
        None => None,
    };
    let window = variant.windows.get(index).copied().flatten();
    let comparison = Comparison { window, ..variant.comparison };
    Ok(Attention { qkv_proj, o_proj, query_key_norm, heads, groups, width, comparison })
}

fn mlp(
    checkpoint: &mut Checkpoint,
    config: &Config,
    variant: &Variant,
    prefix: &str,
    place: Place,
) -> Result<Mlp, ModelError> {
    let (hidden, width, bias) = (config.hidden_size, config.intermediate_size, config.mlp_bias);
    let name = |part: &str| format!("{prefix}.mlp.{part}");
    let mut load =
        |part: &str, inputs, outputs| Linear::load(checkpoint, &[(name(part), outputs)], inputs, bias, place);
    let down_proj = load("down_proj", width, hidden)?;
    let [gate_proj, up_proj] = if variant.fused {
        Linear::load_pair(checkpoint, &name("gate_up_proj"), hidden, width, bias, place)?
    } else {
        [load("gate_proj", hidden, width)?, load("up_proj", hidden, width)?]
    };
    Ok(Mlp::Gated { gate_proj, gelu: variant.gelu, up_proj, down_proj })
}
