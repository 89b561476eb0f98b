//! GPT-2 (Radford et al. 2019): LayerNorm, learned positions, a plain feed-forward part with the tanh
//! approximation of gelu, tied head. Weight names are those of Hugging Face's `GPT2LMHeadModel`, with or
//! without the prefix `transformer.`; its `Conv1D` stores (in, out).

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

/// The name of the embedding.
const EMBEDDING: &str = EMBEDDINGS[1];

/// What is done with the keys of config.json. transformers takes the other families' names of sizes too.
pub(crate) const KEYS: Keys = Keys {
    read: &[&[
        "activation_function",
        "layer_norm_epsilon",
        "n_embd",
        "n_head",
        "n_inner",
        "n_layer",
        "n_positions",
        "scale_attn_by_inverse_layer_idx",
        "scale_attn_weights",
        "tie_word_embeddings",
        "vocab_size",
    ]],
    harmless: &[
        "n_ctx",
        "n_special",
        "predict_special_tokens",
        "reorder_and_upcast_attn", // The order and the type of one product.
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
    ],
    neutral: &[
        ("hidden_size", Neutral::As("n_embd")),
        ("max_position_embeddings", Neutral::As("n_positions")),
        ("num_attention_heads", Neutral::As("n_head")),
        ("num_hidden_layers", Neutral::As("n_layer")),
    ],
    defaults: r#"{
        "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "n_positions": 1024, "tie_word_embeddings": true
    }"#,
    rotary_by_kind: false,
};

/// config.json of a GPT-2.
#[derive(Debug, Clone, Deserialize)]
struct Config {
    vocab_size: i64,
    n_embd: i64,
    n_layer: usize,
    n_head: i64,
    n_positions: i64,
    n_inner: Option<i64>,
    layer_norm_epsilon: f64,
    activation_function: String,
    /// GGUF files do not say it.
    #[serde(default = "yes")]
    tie_word_embeddings: bool,
    #[serde(default = "yes")]
    scale_attn_weights: bool,
    #[serde(default)]
    scale_attn_by_inverse_layer_idx: bool,
}

fn yes() -> bool {
    true
}

impl Config {
    fn read(checkpoint: &Checkpoint, keys: &Keys) -> Result<Self, ModelError> {
        let config: Self = checkpoint.parse_config(keys)?;
        let wrong = |reason: String| Err(ModelError::checkpoint(checkpoint.path(), reason));
        let activation = config.activation_function.as_str();
        if !["gelu_new", "gelu_pytorch_tanh"].contains(&activation) {
            return wrong(format!("activation_function '{activation}' is not supported; known: gelu_new"));
        }
        if config.n_head < 1 || config.n_embd % config.n_head != 0 || config.n_layer == 0 {
            return wrong(format!(
                "{} values do not divide into {} heads, or there are no blocks",
                config.n_embd, config.n_head
            ));
        }
        Ok(config)
    }

    /// What the scores of a block, counted from 0, are multiplied by beside the usual 1/√d.
    fn score_factor(&self, block: usize) -> f64 {
        let width = (self.n_embd / self.n_head) as f64;
        let unscaled = if self.scale_attn_weights { 1.0 } else { width.sqrt() };
        if self.scale_attn_by_inverse_layer_idx { unscaled / (block + 1) as f64 } else { unscaled }
    }

    fn dimensions(&self) -> Dimensions {
        Dimensions {
            vocab_size: self.vocab_size,
            hidden_size: self.n_embd,
            blocks: self.n_layer,
            context: self.n_positions,
        }
    }
}

/// The sizes of a GPT-2.
pub(crate) fn dimensions(checkpoint: &Checkpoint, keys: &Keys) -> Result<Dimensions, ModelError> {
    Ok(Config::read(checkpoint, keys)?.dimensions())
}

pub(crate) fn decoder(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Decoder, ModelError> {
    let config = Config::read(checkpoint, keys)?;
    let (hidden, context) = (config.n_embd, config.n_positions);
    let name = embedding_name(checkpoint, EMBEDDING, config.tie_word_embeddings);
    let embedding = checkpoint.tensor(name, &[config.vocab_size, hidden], place)?;
    let positions = checkpoint.tensor("transformer.wpe.weight", &[context, hidden], place)?;
    let blocks = (0..config.n_layer)
        .map(|index| block(checkpoint, &config, index, place))
        .collect::<Result<_, _>>()?;
    let dimensions = config.dimensions();
    Ok(Decoder {
        dimensions,
        embedding,
        embedding_scale: None,
        positions: Positions::Learned(positions),
        blocks,
    })
}

fn block(
    checkpoint: &mut Checkpoint,
    config: &Config,
    index: usize,
    place: Place,
) -> Result<Block, ModelError> {
    let (hidden, eps) = (config.n_embd, config.layer_norm_epsilon);
    let inner = config.n_inner.unwrap_or(4 * hidden);
    let name = |part: &str| format!("transformer.h.{index}.{part}");
    // The queries carry what multiplies the scores.
    let queries = (hidden, config.score_factor(index));
    let attention = Attention {
        qkv_proj: Linear::load_conv1d_scaled(
            checkpoint,
            &name("attn.c_attn"),
            hidden,
            3 * hidden,
            queries,
            place,
        )?,
        o_proj: Linear::load_conv1d(checkpoint, &name("attn.c_proj"), hidden, hidden, place)?,
        query_key_norm: None,
        heads: config.n_head,
        groups: config.n_head,
        width: hidden / config.n_head,
        comparison: Comparison::default(),
    };
    Ok(Block {
        attention_norms: Norms::before(Norm::layer(checkpoint, &name("ln_1"), hidden, eps, place)?),
        attention,
        mlp_norms: Norms::before(Norm::layer(checkpoint, &name("ln_2"), hidden, eps, place)?),
        mlp: Mlp::Plain {
            fc: Linear::load_conv1d(checkpoint, &name("mlp.c_fc"), hidden, inner, place)?,
            gelu: Gelu::Tanh,
            proj: Linear::load_conv1d(checkpoint, &name("mlp.c_proj"), inner, hidden, place)?,
        },
        parallel: false,
        rotary: None,
    })
}

/// Loads the final norm and the unembedding, without the blocks.
pub(crate) fn head(checkpoint: &mut Checkpoint, keys: &Keys, place: Place) -> Result<Head, ModelError> {
    let config = Config::read(checkpoint, keys)?;
    let (hidden, eps) = (config.n_embd, config.layer_norm_epsilon);
    let norm = Norm::layer(checkpoint, "transformer.ln_f", hidden, eps, place)?;
    let name = unembedding_name(checkpoint, EMBEDDING, config.tie_word_embeddings)?;
    let unembedding = checkpoint.tensor(name, &[config.vocab_size, hidden], place)?;
    Ok(Head { norm, unembedding, soft_cap: None })
}
