//! Llama (Touvron et al. 2023, arXiv:2302.13971; Llama 3 with its rotary scaling): RMSNorm, rotary
//! embeddings, grouped-query attention, SwiGLU. Weight names are those of Hugging Face's
//! `LlamaForCausalLM`, which Mistral and Qwen share; their files say what they change.
//!
//! q, k and v read the same input: they are merged into one product when the weights are loaded.

use std::path::Path;

use serde::Deserialize;

use crate::ModelError;
use crate::attention::Attention;
use crate::checkpoint::Checkpoint;
use crate::config_keys::Keys;
use crate::decoder::{Block, Decoder, Dimensions, Mlp, Norms, Positions};
use crate::device::Place;
use crate::head::{EMBEDDINGS, Head, embedding_name, unembedding_name};
use crate::linear::Linear;
use crate::norm::Norm;
use crate::rotary::{Rotary, RotaryConfig};

/// The name of the embedding.
const EMBEDDING: &str = EMBEDDINGS[0];

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
    hidden_size: i64,
    intermediate_size: i64,
    pub num_hidden_layers: usize,
    num_attention_heads: i64,
    num_key_value_heads: Option<i64>,
    head_dim: Option<i64>,
    max_position_embeddings: i64,
    rms_norm_eps: f64,
    hidden_act: String,
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
    /// Norms after attention and feed-forward instead of before.
    pub norms_after: bool,
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

impl Config {
    /// Reads and checks a checkpoint's configuration.
    pub fn read(checkpoint: &Checkpoint, keys: &Keys) -> Result<Self, ModelError> {
        let config: Self = checkpoint.parse_config(keys)?;
        let wrong = |reason: String| Err(ModelError::checkpoint(checkpoint.path(), reason));
        if !["silu", "swish"].contains(&config.hidden_act.as_str()) {
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
        if config.num_hidden_layers == 0 {
            return wrong("num_hidden_layers is 0; there is nothing to short-cut".into());
        }
        if !keys.rotary_by_kind {
            config.rotary.check(checkpoint.path(), checkpoint.config())?;
        }
        Ok(config)
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
    fn width(&self) -> i64 {
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
    let (hidden, eps) = (config.hidden_size, config.rms_norm_eps);
    let norm = Norm::rms(checkpoint, "model.norm", hidden, eps, place)?;
    let name = unembedding_name(checkpoint, EMBEDDING, config.tie_word_embeddings)?;
    let unembedding = checkpoint.tensor(name, &[config.vocab_size, hidden], place)?;
    Ok(Head { norm, unembedding })
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
    let dimensions = config.dimensions();
    Ok(Decoder { dimensions, embedding, positions: Positions::Rotary(rotaries), blocks })
}

fn block(
    checkpoint: &mut Checkpoint,
    config: &Config,
    variant: &Variant,
    index: usize,
    place: Place,
) -> Result<Block, ModelError> {
    let prefix = format!("model.layers.{index}");
    let (hidden, eps) = (config.hidden_size, config.rms_norm_eps);
    let mut norm = |name: &str| Norm::rms(checkpoint, &format!("{prefix}.{name}"), hidden, eps, place);
    let [attention_norms, mlp_norms] = if variant.norms_after {
        [Norms::after(norm("post_attention_layernorm")?), Norms::after(norm("post_feedforward_layernorm")?)]
    } else {
        [Norms::before(norm("input_layernorm")?), Norms::before(norm("post_attention_layernorm")?)]
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
    let mut norm = |part: &str, width| Norm::rms(checkpoint, &name(part), width, config.rms_norm_eps, place);
    let query_key_norm = match widths {
        Some((query, key)) => Some((norm("q_norm", query)?, norm("k_norm", key)?)),
        None => None,
    };
    let window = variant.windows.get(index).copied().flatten();
    Ok(Attention { qkv_proj, o_proj, query_key_norm, heads, groups, width, window })
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
    Ok(Mlp::Gated { gate_proj, up_proj, down_proj })
}
