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

/// Tensors outside the blocks.
const OUTSIDE: [(&str, &str); 7] = [
    ("model.embed_tokens.weight", EMBEDDING),
    ("model.norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
    ("transformer.wte.weight", EMBEDDING),
    ("transformer.wpe.weight", "position_embd.weight"),
    ("transformer.ln_f.weight", "output_norm.weight"),
    ("transformer.ln_f.bias", "output_norm.bias"),
];

/// llama.cpp's name for the embedding, (V, H).
pub(crate) const EMBEDDING: &str = "token_embd.weight";

/// llama.cpp's name for a Hugging Face name.
pub(crate) fn gguf_name(name: &str) -> Option<String> {
    if let Some((_, gguf)) = OUTSIDE.iter().find(|(hf, _)| *hf == name) {
        return Some((*gguf).to_owned());
    }
    let (modules, rest) = match name.strip_prefix("model.layers.") {
        Some(rest) => (LLAMA_BLOCK.as_slice(), rest),
        None => (GPT2_BLOCK.as_slice(), name.strip_prefix("transformer.h.")?),
    };
    let (block, rest) = rest.split_once('.')?;
    let (module, suffix) = rest.rsplit_once('.')?;
    let (_, gguf) = modules.iter().find(|(hf, _)| *hf == module)?;
    Some(format!("blk.{block}.{gguf}.{suffix}"))
}

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
    if architecture == "gpt2" {
        let outside = OUTSIDE.iter().any(|(_, gguf)| *gguf == name);
        let module = name.strip_suffix(".weight").or(name.strip_suffix(".bias"));
        return outside || GPT2_BLOCK.iter().any(|(_, gguf)| Some(*gguf) == module);
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
    let outside = OUTSIDE.iter().any(|(hf, gguf)| !hf.starts_with("transformer.") && *gguf == name);
    let module = name.strip_suffix(".weight");
    let split = ["attn_q", "attn_k", "attn_v", "ffn_gate"];
    let fits = |module: &str| match module {
        "attn_qkv" => architecture == "phi3",
        "attn_q_norm" | "attn_k_norm" => architecture == "qwen3",
        module => architecture != "phi3" || !split.contains(&module),
    };
    outside || LLAMA_BLOCK.iter().any(|(_, gguf)| Some(*gguf) == module && fits(gguf))
}

/// How this Hugging Face tensor is laid out in a file of an architecture. llama.cpp's converter reorders
/// the rotary projections of `llama` alone.
pub(crate) fn layout(name: &str, architecture: &str) -> Layout {
    let conv1d = ["attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight"];
    if architecture == "llama" && name.contains(".self_attn.q_proj.") {
        Layout::RotaryQuery
    } else if architecture == "llama" && name.contains(".self_attn.k_proj.") {
        Layout::RotaryKey
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
        let name = |hf| gguf_name(hf).unwrap();
        assert_eq!(name("model.embed_tokens.weight"), "token_embd.weight");
        assert_eq!(name("model.layers.12.self_attn.o_proj.weight"), "blk.12.attn_output.weight");
        assert_eq!(name("model.layers.0.mlp.down_proj.weight"), "blk.0.ffn_down.weight");
        assert_eq!(name("transformer.h.3.mlp.c_proj.bias"), "blk.3.ffn_down.bias");
        assert_eq!(gguf_name("transformer.h.3.mlp.gate_proj.bias"), None);
        assert_eq!(gguf_name("wte.weight"), None);
    }

    #[test]
    fn only_llamas_rotary_rows_are_reordered() {
        let query = "model.layers.0.self_attn.q_proj.weight";
        assert_eq!(layout(query, "llama"), Layout::RotaryQuery);
        assert_eq!(layout(query, "qwen2"), Layout::Same);
        assert_eq!(layout("transformer.h.0.attn.c_proj.weight", "gpt2"), Layout::Transposed);
        assert_eq!(layout("transformer.h.0.attn.c_proj.bias", "gpt2"), Layout::Same);
    }
}
