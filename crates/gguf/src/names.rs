//! Hugging Face's tensor names and llama.cpp's.

/// How the rows of a tensor are ordered in GGUF, compared with Hugging Face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The same.
    Same,
    /// Query projection: each head's rows are interleaved for llama.cpp's rotary embedding.
    RotaryQuery,
    /// Key projection, likewise.
    RotaryKey,
}

/// Tensors of a block, below `model.layers.N.` and `blk.N.`.
const BLOCK: [(&str, &str); 9] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// Tensors outside the blocks.
const OUTSIDE: [(&str, &str); 3] = [
    ("model.embed_tokens.weight", "token_embd.weight"),
    ("model.norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
];

/// llama.cpp's name for a Hugging Face name, for `llama` files.
pub(crate) fn gguf_name(name: &str) -> Option<String> {
    if let Some((_, gguf)) = OUTSIDE.iter().find(|(hf, _)| *hf == name) {
        return Some((*gguf).to_owned());
    }
    let (block, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (module, suffix) = rest.rsplit_once('.')?;
    let (_, gguf) = BLOCK.iter().find(|(hf, _)| *hf == module)?;
    Some(format!("blk.{block}.{gguf}.{suffix}"))
}

/// How the rows of this Hugging Face tensor are ordered in the file.
pub(crate) fn layout(name: &str) -> Layout {
    if name.contains(".self_attn.q_proj.") {
        Layout::RotaryQuery
    } else if name.contains(".self_attn.k_proj.") {
        Layout::RotaryKey
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
        assert_eq!(gguf_name("transformer.wte.weight"), None);
    }
}
