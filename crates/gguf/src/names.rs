//! Hugging Face's tensor names and llama.cpp's, and how the layouts differ.

/// How the values of a tensor are ordered in GGUF, compared with Hugging Face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The same.
    Same,
    /// Query projection: each head's rows are interleaved for llama.cpp's rotary embedding.
    RotaryQuery,
    /// Key projection, likewise.
    RotaryKey,
    /// GPT-NeoX's projection to queries, keys and values: all queries first in the file, head by head in Hugging Face.
    HeadByHead,
    /// A weight of GPT-2's `Conv1D`: (out, in) in the file, (in, out) in Hugging Face.
    Transposed,
}

/// Tensors of a block of Llama and its relatives, below `model.layers.N.` and `blk.N.`.
const LLAMA_BLOCK: [(&str, &str); 13] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// Tensors of a block of GPT-2, below `transformer.h.N.` and `blk.N.`.
const GPT2_BLOCK: [(&str, &str); 6] = [
    ("ln_1", "attn_norm"),
    ("attn.c_attn", "attn_qkv"),
    ("attn.c_proj", "attn_output"),
    ("ln_2", "ffn_norm"),
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
];

/// Tensors of a block of OLMo 2 and 3.
const OLMO2_BLOCK: [(&str, &str); 11] = [
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("post_attention_layernorm", "post_attention_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
];

/// Tensors of a block of Gemma 2 and 3.
const GEMMA_BLOCK: [(&str, &str); 13] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("post_attention_layernorm", "post_attention_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
];

/// Tensors of a block of GPT-NeoX, below `gpt_neox.layers.N.` and `blk.N.`.
const NEOX_BLOCK: [(&str, &str); 6] = [
    ("input_layernorm", "attn_norm"),
    ("attention.query_key_value", "attn_qkv"),
    ("attention.dense", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.dense_h_to_4h", "ffn_up"),
    ("mlp.dense_4h_to_h", "ffn_down"),
];

/// Tensors outside the blocks.
const OUTSIDE: [(&str, &str); 11] = [
    ("model.embed_tokens.weight", EMBEDDING),
    ("model.norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
    ("transformer.wte.weight", EMBEDDING),
    ("transformer.wpe.weight", "position_embd.weight"),
    ("transformer.ln_f.weight", "output_norm.weight"),
    ("transformer.ln_f.bias", "output_norm.bias"),
    ("gpt_neox.embed_in.weight", EMBEDDING),
    ("gpt_neox.final_layer_norm.weight", "output_norm.weight"),
    ("gpt_neox.final_layer_norm.bias", "output_norm.bias"),
    ("embed_out.weight", "output.weight"),
];

/// llama.cpp's name for the embedding, (V, H).
pub(crate) const EMBEDDING: &str = "token_embd.weight";

/// llama.cpp's name for a Hugging Face name in a file of an architecture.
pub(crate) fn gguf_name(name: &str, architecture: &str) -> Option<String> {
    if let Some((_, gguf)) = OUTSIDE.iter().find(|(hf, _)| *hf == name) {
        return Some((*gguf).to_owned());
    }
    let (modules, blocks) = match architecture {
        "gpt2" => (GPT2_BLOCK.as_slice(), "transformer.h."),
        "gptneox" => (NEOX_BLOCK.as_slice(), "gpt_neox.layers."),
        "gemma2" | "gemma3" => (GEMMA_BLOCK.as_slice(), "model.layers."),
        "olmo2" => (OLMO2_BLOCK.as_slice(), "model.layers."),
        _ => (LLAMA_BLOCK.as_slice(), "model.layers."),
    };
    let rest = name.strip_prefix(blocks)?;
    let (block, rest) = rest.split_once('.')?;
    let (module, suffix) = rest.rsplit_once('.')?;
    let (_, gguf) = modules.iter().find(|(hf, _)| *hf == module)?;
    Some(format!("blk.{block}.{gguf}.{suffix}"))
}

/// Norms that some families have and others not.
const QUERY_KEY_NORMS: [&str; 2] = ["attn_q_norm", "attn_k_norm"];

/// Tensors that a model does not read under a Hugging Face name: tables of the rotary embedding, which the
/// configuration has, and a buffer of files of 2023.
const ROTARY: [&str; 5] = [
    "rope_freqs.weight",
    "rope_factors_short.weight",
    "rope_factors_long.weight",
    "attn_rot_embd.weight",
    "attn_rot_embd",
];

/// Whether a model of an architecture reads a tensor. The name is llama.cpp's, without `blk.N.`. Norms of Llama's
/// relatives have no biases; q/k norms are Qwen 3's; the biases of the projections are counted elsewhere.
pub(crate) fn is_read(name: &str, architecture: &str) -> bool {
    let outside = |prefix: &str| OUTSIDE.iter().any(|(hf, gguf)| hf.starts_with(prefix) && *gguf == name);
    let unembedding = name == "output.weight";
    let module = name.strip_suffix(".weight").or(name.strip_suffix(".bias"));
    let is_of = |block: &[(&str, &str)]| block.iter().any(|(_, gguf)| Some(*gguf) == module);
    match architecture {
        "gpt2" => return outside("transformer.") || unembedding || is_of(&GPT2_BLOCK),
        "gptneox" => return outside("gpt_neox.") || unembedding || is_of(&NEOX_BLOCK),
        "gemma2" | "gemma3" | "olmo2" => {
            let weight = !name.ends_with(".bias");
            let of_block = if architecture == "olmo2" { is_of(&OLMO2_BLOCK) } else { is_of(&GEMMA_BLOCK) };
            let own_norm =
                architecture == "gemma2" && module.is_some_and(|module| QUERY_KEY_NORMS.contains(&module));
            return outside("model.") || unembedding || weight && of_block && !own_norm;
        }
        _ => {}
    }
    if ROTARY.contains(&name) {
        return true;
    }
    if let Some(module) = name.strip_suffix(".bias") {
        return match architecture {
            "phi3" => false,
            "qwen2" => ["attn_q", "attn_k", "attn_v"].contains(&module),
            _ => {
                !module.ends_with("_norm")
                    && module != "attn_qkv"
                    && LLAMA_BLOCK.iter().any(|(_, gguf)| *gguf == module)
            }
        };
    }
    let module = name.strip_suffix(".weight");
    let split = ["attn_q", "attn_k", "attn_v", "ffn_gate"];
    let fits = |module: &str| match module {
        "attn_qkv" => architecture == "phi3",
        module if QUERY_KEY_NORMS.contains(&module) => architecture == "qwen3",
        module => architecture != "phi3" || !split.contains(&module),
    };
    let known = LLAMA_BLOCK.iter().any(|(_, gguf)| Some(*gguf) == module && fits(gguf));
    outside("model.") || unembedding || known
}

/// How this Hugging Face tensor is laid out in a file of an architecture. llama.cpp's converter reorders
/// the rotary projections of `llama` and of `smollm3`, which is converted as one.
pub(crate) fn layout(name: &str, architecture: &str) -> Layout {
    let conv1d = ["attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"];
    let reordered = ["llama", "smollm3"].contains(&architecture);
    if reordered && name.contains(".self_attn.q_proj.") {
        Layout::RotaryQuery
    } else if reordered && name.contains(".self_attn.k_proj.") {
        Layout::RotaryKey
    } else if architecture == "gptneox" && name.contains(".attention.query_key_value.") {
        Layout::HeadByHead
    } else if architecture == "gpt2" && conv1d.iter().any(|end| name.ends_with(end)) {
        Layout::Transposed
    } else {
        Layout::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_llama_cpps() {
        let name = |hf, architecture| gguf_name(hf, architecture).unwrap();
        assert_eq!(name("model.embed_tokens.weight", "llama"), "token_embd.weight");
        assert_eq!(name("model.layers.12.self_attn.o_proj.weight", "llama"), "blk.12.attn_output.weight");
        assert_eq!(name("model.layers.0.mlp.down_proj.weight", "llama"), "blk.0.ffn_down.weight");
        assert_eq!(name("transformer.h.3.mlp.c_proj.bias", "gpt2"), "blk.3.ffn_down.bias");
        assert_eq!(name("gpt_neox.layers.3.mlp.dense_4h_to_h.bias", "gptneox"), "blk.3.ffn_down.bias");
        // The same name of Hugging Face stands before the feed-forward part in Llama, behind attention in OLMo 2.
        let norm = "model.layers.1.post_attention_layernorm.weight";
        assert_eq!(name(norm, "llama"), "blk.1.ffn_norm.weight");
        assert_eq!(name(norm, "olmo2"), "blk.1.post_attention_norm.weight");
        assert_eq!(gguf_name("transformer.h.3.mlp.gate_proj.bias", "gpt2"), None);
        assert_eq!(gguf_name("wte.weight", "gpt2"), None);
    }

    #[test]
    fn each_architecture_reads_its_own_tensors() {
        for (name, architecture, read) in [
            ("attn_qkv.bias", "gptneox", true),
            ("output_norm.bias", "gptneox", true),
            ("output_norm.bias", "llama", false),
            ("position_embd.weight", "gptneox", false),
            ("post_ffw_norm.weight", "olmo2", true),
            ("post_ffw_norm.weight", "llama", false),
            ("attn_norm.weight", "olmo2", false),
            ("attn_q.bias", "olmo2", false),
            ("rope_freqs.weight", "olmo2", false),
            ("rope_freqs.weight", "smollm3", true),
            ("output.weight", "olmo2", true),
            ("post_ffw_norm.weight", "gemma2", true),
            ("attn_k_norm.weight", "gemma3", true),
            ("attn_k_norm.weight", "gemma2", false),
            ("attn_q.bias", "gemma3", false),
            ("rope_freqs.weight", "gemma3", false),
        ] {
            assert_eq!(is_read(name, architecture), read, "{name} in {architecture}");
        }
    }

    #[test]
    fn only_llamas_rotary_rows_are_reordered() {
        let query = "model.layers.0.self_attn.q_proj.weight";
        assert_eq!(layout(query, "llama"), Layout::RotaryQuery);
        assert_eq!(layout(query, "smollm3"), Layout::RotaryQuery);
        assert_eq!(layout(query, "qwen2"), Layout::Same);
        assert_eq!(layout(query, "olmo2"), Layout::Same);
        assert_eq!(layout("transformer.h.0.attn.c_proj.weight", "gpt2"), Layout::Transposed);
        assert_eq!(layout("transformer.h.0.attn.c_proj.bias", "gpt2"), Layout::Same);
    }
}
