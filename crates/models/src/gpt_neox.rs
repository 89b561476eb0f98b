//! GPT-NeoX (Black et al. 2022, arXiv:2204.06745) and Pythia (Biderman et al. 2023, arXiv:2304.01373): LayerNorm, rotary
//! embeddings over a share of each head, a plain feed-forward part, a head of its own. Weight names are those of Hugging
//! Face's `GPTNeoXForCausalLM`.
//!
//! Attention and feed-forward both read the stream that enters a block, x + attention(norm(x)) + mlp(norm'(x)), or, with
//! `use_parallel_residual` off, one after the other. Level k is the residual stream after block k in both: there is no
//! level between the two parts.
//!
//! transformers reads no `rope_theta` and no `partial_rotary_factor` beside `rope_parameters` in this family, but their old
//! names `rotary_emb_base` and `rotary_pct`.

use serde::Deserialize;

use crate::ModelError;
use crate::attention::Attention;
use crate::checkpoint::Checkpoint;
use crate::comparison::Comparison;
use crate::config_keys::{Keys, Neutral};
use crate::decoder::{Block, Decoder, Dimensions, Gelu, Mlp, Norms, Positions};
use crate::device::Place;
use crate::head::{EMBEDDINGS, Head, embedding_name, unembedding_name};
use crate::linear::Linear;
use crate::norm::Norm;
use crate::rotary::{Rotary, RotaryConfig};

/// The base of the rotary embedding where config.json names none.
const DEFAULT_THETA: f64 = 10_000.0;

/// The share of a head that is rotated where config.json names none.
const DEFAULT_ROTARY_SHARE: f64 = 0.25;

/// The name of the embedding.
const EMBEDDING: &str = EMBEDDINGS[2];

/// What is done with the keys of config.json.
pub(crate) const KEYS: Keys = Keys {
    read: &[&[
        "attention_bias",
        "hidden_act",
        "hidden_size",
        "intermediate_size",
        "layer_norm_eps",
        "max_position_embeddings",
        "num_attention_heads",
        "num_hidden_layers",
        "original_max_position_embeddings",
        "rope_parameters",
        "rope_scaling",
        "rotary_emb_base",
        "rotary_pct",
        "tie_word_embeddings",
        "use_parallel_residual",
        "vocab_size",
    ]],
    harmless: &[],
    neutral: &[("rope_theta", Neutral::Ignored)],
    defaults: r#"{
        "attention_bias": true, "hidden_act": "gelu", "layer_norm_eps": 1e-5, "max_position_embeddings": 2048,
        "use_parallel_residual": true
    }"#,
    rotary_by_kind: false,
};

/// config.json of a GPT-NeoX.
#[derive(Debug, Clone, Deserialize)]
struct Config {
    vocab_size: i64,
    hidden_size: i64,
    intermediate_size: i64,
    num_hidden_layers: usize,
    num_attention_heads: i64,
    max_position_embeddings: i64,
    layer_norm_eps: f64,
    hidden_act: String,
    use_parallel_residual: bool,
    attention_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    rotary_pct: Option<f64>,
    rotary_emb_base: Option<f64>,
    #[serde(flatten)]
    rotary: RotaryConfig,
}

impl Config {
    fn read(checkpoint: &Checkpoint, keys: &Keys) -> Result<Self, ModelError> {
        let mut config: Self = checkpoint.parse_config(keys)?;
        let wrong = |reason: String| Err(ModelError::checkpoint(checkpoint.path(), reason));
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        if heads < 1 || hidden % heads != 0 || config.num_hidden_layers == 0 {
            return wrong(format!(
                "{hidden} values do not divide into {heads} heads, or there are no blocks"
            ));
        }
        let theta = config.rotary_emb_base.unwrap_or(DEFAULT_THETA);
        config.rotary.set_defaults(theta, config.rotary_pct.unwrap_or(DEFAULT_ROTARY_SHARE));
        config.rotary.check(checkpoint.path(), checkpoint.config())?;
        config.gelu(checkpoint)?;
        Ok(config)
    }

    fn gelu(&self, checkpoint: &Checkpoint) -> Result<Gelu, ModelError> {
        Gelu::named(&self.hidden_act).ok_or_else(|| {
            let reason = format!(
                "hidden_act '{}' is not supported; known: gelu, gelu_new, gelu_fast, gelu_pytorch_tanh",
                self.hidden_act
            );
            ModelError::checkpoint(checkpoint.path(), reason)
        })
    }

    fn dimensions(&self) -> Dimensions {
        Dimensions {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            blocks: self.num_hidden_layers,
            context: self.max_position_embeddings,
        }
    }
}

/// The sizes of a GPT-NeoX.
pub(crate) fn dimensions(checkpoint: &Checkpoint, keys: &Keys) -> Result<Dimensions, ModelError> {
    Ok(Config::read(checkpoint, keys)?.dimensions())
}

pub(crate) fn decoder(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Decoder, ModelError> {
    let config = Config::read(checkpoint, keys)?;
    let name = embedding_name(checkpoint, EMBEDDING, config.tie_word_embeddings);
    let embedding = checkpoint.tensor(name, &[config.vocab_size, config.hidden_size], place)?;
    let blocks = (0..config.num_hidden_layers)
        .map(|index| block(checkpoint, &config, index, place))
        .collect::<Result<_, _>>()?;
    let width = config.hidden_size / config.num_attention_heads;
    let rotary = Rotary::new(&config.rotary, width, config.max_position_embeddings, true, place)?;
    let dimensions = config.dimensions();
    Ok(Decoder {
        dimensions,
        embedding,
        embedding_scale: None,
        positions: Positions::Rotary(vec![rotary]),
        blocks,
    })
}

fn block(
    checkpoint: &mut Checkpoint,
    config: &Config,
    index: usize,
    place: Place,
) -> Result<Block, ModelError> {
    let (hidden, heads, inner) = (config.hidden_size, config.num_attention_heads, config.intermediate_size);
    let (width, bias, gelu) = (hidden / heads, config.attention_bias, config.gelu(checkpoint)?);
    let name = |part: &str| format!("gpt_neox.layers.{index}.{part}");
    let mut norm = |part: &str| Norm::layer(checkpoint, &name(part), hidden, config.layer_norm_eps, place);
    let attention_norms = Norms::before(norm("input_layernorm")?);
    let mlp_norms = Norms::before(norm("post_attention_layernorm")?);
    let qkv_proj =
        Linear::load_interleaved(checkpoint, &name("attention.query_key_value"), heads, width, bias, place)?;
    let mut linear = |part: &str, inputs, outputs, bias| {
        Linear::load(checkpoint, &[(name(part), outputs)], inputs, bias, place)
    };
    let o_proj = linear("attention.dense", hidden, hidden, bias)?;
    let fc = linear("mlp.dense_h_to_4h", hidden, inner, true)?;
    let proj = linear("mlp.dense_4h_to_h", inner, hidden, true)?;
    Ok(Block {
        attention_norms,
        attention: Attention {
            qkv_proj,
            o_proj,
            query_key_norm: None,
            heads,
            groups: heads,
            width,
            comparison: Comparison::default(),
        },
        mlp_norms,
        mlp: Mlp::Plain { fc, gelu, proj },
        parallel: config.use_parallel_residual,
        rotary: Some(0),
    })
}

/// Loads the final norm and the unembedding, without the blocks.
pub(crate) fn head(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Head, ModelError> {
    let config = Config::read(checkpoint, keys)?;
    let (hidden, eps) = (config.hidden_size, config.layer_norm_eps);
    let norm = Norm::layer(checkpoint, "gpt_neox.final_layer_norm", hidden, eps, place)?;
    let name = unembedding_name(checkpoint, EMBEDDING, config.tie_word_embeddings)?;
    let unembedding = checkpoint.tensor(name, &[config.vocab_size, hidden], place)?;
    Ok(Head { norm, unembedding, soft_cap: None })
}
