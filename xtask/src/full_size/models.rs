//! Models of published configurations: their config.json, and the names and shapes of their tensors.

use serde_json::json;

use super::checkpoint::Checkpoint;

/// How many of [`all`] are the paper's.
pub const OF_THE_PAPER: usize = 3;

/// The three models of the paper (§4), and one of a usual size of each other family, with the configurations that are
/// published with them.
pub fn all() -> [Checkpoint; 9] {
    [
        gpt2_xl(),
        phi3_mini(),
        llama2_7b(),
        pythia(),
        olmo2_1b(),
        olmo3_7b(),
        gemma2_2b(),
        gemma3_1b(),
        smollm3_3b(),
    ]
}

/// Llama's norms, in front of each part.
const NORMS: [&str; 2] = ["input_layernorm", "post_attention_layernorm"];

/// OLMo's, behind each part, and over all queries and all keys.
const OLMO_NORMS: [&str; 4] =
    ["post_attention_layernorm", "post_feedforward_layernorm", "self_attn.q_norm", "self_attn.k_norm"];

/// Gemma's, around each part.
const GEMMA_NORMS: [&str; 4] = [
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
];

fn gpt2_xl() -> Checkpoint {
    let (h, v, t) = (1600, 50257, 1024);
    let config = json!({
        "model_type": "gpt2", "vocab_size": v, "n_embd": h, "n_layer": 48, "n_head": 25, "n_positions": t,
        "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new",
    });
    let mut tensors = vec![("wte.weight".to_owned(), vec![v, h]), ("wpe.weight".to_owned(), vec![t, h])];
    for block in 0..48 {
        for (module, input, output) in [
            ("attn.c_attn", h, 3 * h),
            ("attn.c_proj", h, h),
            ("mlp.c_fc", h, 4 * h),
            ("mlp.c_proj", 4 * h, h),
        ] {
            tensors.push((format!("h.{block}.{module}.weight"), vec![input, output]));
            tensors.push((format!("h.{block}.{module}.bias"), vec![output]));
        }
        for norm in ["ln_1", "ln_2"] {
            tensors.extend(["weight", "bias"].map(|part| (format!("h.{block}.{norm}.{part}"), vec![h])));
        }
    }
    tensors.extend(["weight", "bias"].map(|part| (format!("ln_f.{part}"), vec![h])));
    Checkpoint { name: "gpt2-xl", dtype: "f32", config, tensors }
}

fn phi3_mini() -> Checkpoint {
    let (h, inner, v) = (3072, 8192, 32064);
    let config = json!({
        "model_type": "phi3", "vocab_size": v, "hidden_size": h, "intermediate_size": inner, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "sliding_window": 2047, "hidden_act": "silu", "tie_word_embeddings": false,
    });
    let modules = [
        ("self_attn.qkv_proj", 3 * h, h),
        ("self_attn.o_proj", h, h),
        ("mlp.gate_up_proj", 2 * inner, h),
        ("mlp.down_proj", h, inner),
    ];
    let tensors = llama_like(32, h, v, &modules, &NORMS.map(|norm| (norm, h)), true);
    Checkpoint { name: "phi3-mini", dtype: "bf16", config, tensors }
}

fn llama2_7b() -> Checkpoint {
    let (h, inner, v) = (4096, 11008, 32000);
    let config = json!({
        "model_type": "llama", "vocab_size": v, "hidden_size": h, "intermediate_size": inner, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": false, "bos_token_id": 1,
    });
    let tensors = llama_like(32, h, v, &modules(h, h, h, inner), &NORMS.map(|norm| (norm, h)), true);
    Checkpoint { name: "llama2-7b", dtype: "bf16", config, tensors }
}

fn pythia() -> Checkpoint {
    let (h, v) = (2560, 50304);
    let config = json!({
        "model_type": "gpt_neox", "vocab_size": v, "hidden_size": h, "intermediate_size": 4 * h, "num_hidden_layers": 32,
        "num_attention_heads": 32, "max_position_embeddings": 2048, "layer_norm_eps": 1e-5, "hidden_act": "gelu",
        "rotary_pct": 0.25, "rotary_emb_base": 10000, "use_parallel_residual": true, "tie_word_embeddings": false,
    });
    let mut tensors = vec![("gpt_neox.embed_in.weight".to_owned(), vec![v, h])];
    for block in 0..32 {
        let name = |module: &str| format!("gpt_neox.layers.{block}.{module}");
        for (module, output, input) in [
            ("attention.query_key_value", 3 * h, h),
            ("attention.dense", h, h),
            ("mlp.dense_h_to_4h", 4 * h, h),
            ("mlp.dense_4h_to_h", h, 4 * h),
        ] {
            tensors.push((format!("{}.weight", name(module)), vec![output, input]));
            tensors.push((format!("{}.bias", name(module)), vec![output]));
        }
        for norm in NORMS {
            tensors.extend(["weight", "bias"].map(|part| (format!("{}.{part}", name(norm)), vec![h])));
        }
    }
    tensors.extend(["weight", "bias"].map(|part| (format!("gpt_neox.final_layer_norm.{part}"), vec![h])));
    tensors.push(("embed_out.weight".to_owned(), vec![v, h]));
    Checkpoint { name: "pythia-2.8b", dtype: "f32", config, tensors }
}

fn olmo2_1b() -> Checkpoint {
    let (h, inner, v) = (2048, 8192, 100_352);
    let config = json!({
        "model_type": "olmo2", "vocab_size": v, "hidden_size": h, "intermediate_size": inner, "num_hidden_layers": 16,
        "num_attention_heads": 16, "num_key_value_heads": 16, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6,
        "rope_theta": 500_000, "hidden_act": "silu", "tie_word_embeddings": false,
    });
    let tensors = llama_like(16, h, v, &modules(h, h, h, inner), &OLMO_NORMS.map(|norm| (norm, h)), true);
    Checkpoint { name: "olmo2-1b", dtype: "f32", config, tensors }
}

fn olmo3_7b() -> Checkpoint {
    let (h, inner, v) = (4096, 11008, 100_278);
    let config = json!({
        "model_type": "olmo3", "vocab_size": v, "hidden_size": h, "intermediate_size": inner, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 65536, "rms_norm_eps": 1e-6,
        "rope_theta": 500_000, "hidden_act": "silu", "sliding_window": 4096, "tie_word_embeddings": false,
        "rope_scaling": {
            "rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 8192, "beta_fast": 32, "beta_slow": 1,
            "attention_factor": 1.207_944_154_167_983_6,
        },
    });
    let tensors = llama_like(32, h, v, &modules(h, h, h, inner), &OLMO_NORMS.map(|norm| (norm, h)), true);
    Checkpoint { name: "olmo3-7b", dtype: "bf16", config, tensors }
}

fn gemma2_2b() -> Checkpoint {
    let (h, inner, v, width) = (2304, 9216, 256_000, 256);
    let config = json!({
        "model_type": "gemma2", "vocab_size": v, "hidden_size": h, "intermediate_size": inner, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": width, "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_activation": "gelu_pytorch_tanh", "sliding_window": 4096,
        "query_pre_attn_scalar": 256, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
    });
    let modules = modules(h, 8 * width, 4 * width, inner);
    let tensors = llama_like(26, h, v, &modules, &GEMMA_NORMS.map(|norm| (norm, h)), false);
    Checkpoint { name: "gemma2-2b", dtype: "f32", config, tensors }
}

fn gemma3_1b() -> Checkpoint {
    let (h, inner, v, width) = (1152, 6912, 262_144, 256);
    let config = json!({
        "model_type": "gemma3_text", "vocab_size": v, "hidden_size": h, "intermediate_size": inner,
        "num_hidden_layers": 26, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": width,
        "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1_000_000, "rope_local_base_freq": 10000,
        "hidden_activation": "gelu_pytorch_tanh", "sliding_window": 512, "sliding_window_pattern": 6,
        "query_pre_attn_scalar": 256,
    });
    let modules = modules(h, 4 * width, width, inner);
    let heads = ["self_attn.q_norm", "self_attn.k_norm"].map(|norm| (norm, width));
    let norms = [&GEMMA_NORMS.map(|norm| (norm, h))[..], &heads].concat();
    Checkpoint {
        name: "gemma3-1b",
        dtype: "f32",
        config,
        tensors: llama_like(26, h, v, &modules, &norms, false),
    }
}

fn smollm3_3b() -> Checkpoint {
    let (h, inner, v) = (2048, 11008, 128_256);
    let config = json!({
        "model_type": "smollm3", "vocab_size": v, "hidden_size": h, "intermediate_size": inner, "num_hidden_layers": 36,
        "num_attention_heads": 16, "num_key_value_heads": 4, "max_position_embeddings": 65536, "rms_norm_eps": 1e-6,
        "rope_theta": 5_000_000.0, "hidden_act": "silu", "no_rope_layer_interval": 4, "tie_word_embeddings": true,
    });
    let tensors = llama_like(36, h, v, &modules(h, h, h / 4, inner), &NORMS.map(|norm| (norm, h)), false);
    Checkpoint { name: "smollm3-3b", dtype: "f32", config, tensors }
}

/// The matrices of a block with as many queries and keys.
fn modules(h: u64, queries: u64, keys: u64, inner: u64) -> [(&'static str, u64, u64); 7] {
    [
        ("self_attn.q_proj", queries, h),
        ("self_attn.k_proj", keys, h),
        ("self_attn.v_proj", keys, h),
        ("self_attn.o_proj", h, queries),
        ("mlp.gate_proj", inner, h),
        ("mlp.up_proj", inner, h),
        ("mlp.down_proj", h, inner),
    ]
}

/// The tensors of a model with Llama's names: `modules` and `norms` in each block, and a head of its own or not.
fn llama_like(
    blocks: u64,
    h: u64,
    v: u64,
    modules: &[(&str, u64, u64)],
    norms: &[(&str, u64)],
    has_head: bool,
) -> Vec<(String, Vec<u64>)> {
    let mut tensors = vec![("model.embed_tokens.weight".to_owned(), vec![v, h])];
    for block in 0..blocks {
        let name = |module: &str| format!("model.layers.{block}.{module}.weight");
        tensors.extend(modules.iter().map(|(module, output, input)| (name(module), vec![*output, *input])));
        tensors.extend(norms.iter().map(|(norm, width)| (name(norm), vec![*width])));
    }
    tensors.push(("model.norm.weight".to_owned(), vec![h]));
    if has_head {
        tensors.push(("lm_head.weight".to_owned(), vec![v, h]));
    }
    tensors
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameter counts that are published with the models.
    #[test]
    fn the_models_have_their_published_sizes() {
        let counts = all().map(|model| model.parameters());
        let paper = [1_557_611_200, 3_821_079_552, 6_738_415_616];
        let others = [2_775_208_960, 1_484_916_736, 7_298_011_136, 2_614_341_888, 999_885_952, 3_075_098_624];
        assert_eq!(counts, *[&paper[..], &others].concat());
    }
}
