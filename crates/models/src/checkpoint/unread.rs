//! Tensors that nobody read. In a block, or in place of a head, they mean that the model is another one than its
//! configuration says.

/// What the names of a model's tensors begin with. A model that was saved without its head has them without it.
pub(super) const BASES: [&str; 6] =
    [WRAPPED[0], WRAPPED[1], WRAPPED[2], "model.", "transformer.", "gpt_neox."];

/// What the names of a language model inside a larger model begin with, today and in older files.
pub(super) const WRAPPED: [&str; 3] = ["model.language_model.", "language_model.model.", "language_model."];

/// Tables that old versions of transformers saved, and that are computed here: masks and rotary frequencies.
const BUFFERS: [&str; 9] = [
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
    "rotary_emb.inv_freq",
    "rotary_emb.original_inv_freq",
    "rotary_emb.cos_cached",
    "rotary_emb.sin_cached",
    "position_ids",
];

/// Heads for other tasks than the next token.
const OTHER_HEADS: [&str; 9] = [
    "score",
    "classifier",
    "v_head",
    "value_head",
    "reward_head",
    "rm_head",
    "regression_head",
    "qa_outputs",
    "multiple_choice_head",
];

/// Where in a model a tensor belongs, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// In block N, counted from 0.
    Block(usize),
    /// Beside the embedding.
    Input,
    /// In the final norm or the unembedding.
    Head,
    /// In a head for another task.
    OtherHead,
    /// A table that is computed here.
    Buffer,
    /// Elsewhere, such as in an image encoder.
    Elsewhere,
}

impl Part {
    pub fn of(name: &str) -> Self {
        if BUFFERS.iter().any(|end| name.ends_with(end)) {
            return Self::Buffer;
        }
        let bare = BASES.iter().find_map(|base| name.strip_prefix(base));
        let rest = bare.unwrap_or(name);
        let mut parts = rest.split('.');
        match (parts.next().unwrap_or_default(), parts.next(), parts.next()) {
            ("layers" | "h", Some(number), Some(_)) if number.parse::<usize>().is_ok() => {
                Self::Block(number.parse().unwrap_or_default())
            }
            ("norm" | "ln_f" | "final_layer_norm" | "lm_head" | "embed_out", ..) => Self::Head,
            (head, ..) if OTHER_HEADS.contains(&head) => Self::OtherHead,
            ("wte" | "wpe", ..) => Self::Input,
            (module, Some("weight" | "bias"), None) if bare.is_some() || module.contains("embed") => {
                Self::Input
            }
            _ => Self::Elsewhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_have_their_parts() {
        for (name, part) in [
            ("model.layers.12.self_attn.q_proj.bias", Part::Block(12)),
            ("layers.0.mlp.up_proj.weight", Part::Block(0)),
            ("transformer.h.3.attn.c_attn.bias", Part::Block(3)),
            ("transformer.h.3.crossattention.q_attn.weight", Part::Block(3)),
            // The hub's gpt2-xl, old Llama and old Pythia.
            ("h.0.attn.bias", Part::Buffer),
            ("transformer.h.0.attn.masked_bias", Part::Buffer),
            ("model.layers.0.self_attn.rotary_emb.inv_freq", Part::Buffer),
            ("gpt_neox.layers.0.attention.bias", Part::Buffer),
            ("gpt_neox.layers.0.attention.masked_bias", Part::Buffer),
            ("gpt_neox.layers.0.attention.rotary_emb.inv_freq", Part::Buffer),
            ("gpt_neox.layers.0.attention.dense.bias", Part::Block(0)),
            ("model.layers.0.self_attn.bias", Part::Block(0)),
            ("model.norm.bias", Part::Head),
            ("lm_head.bias", Part::Head),
            ("score.weight", Part::OtherHead),
            ("v_head.summary.weight", Part::OtherHead),
            ("model.embed_norm.weight", Part::Input),
            ("embed_tokens.bias", Part::Input),
            ("transformer.wpe.weight", Part::Input),
            ("vision_tower.encoder.layers.0.mlp.fc1.weight", Part::Elsewhere),
            ("model.mtp.layers.0.mlp.up_proj.weight", Part::Elsewhere),
            ("multi_modal_projector.linear.weight", Part::Elsewhere),
            ("model.language_model.layers.3.mlp.up_proj.weight", Part::Block(3)),
            ("language_model.model.norm.weight", Part::Head),
            ("language_model.lm_head.weight", Part::Head),
            ("model.vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias", Part::Elsewhere),
        ] {
            assert_eq!(Part::of(name), part, "{name}");
        }
    }
}
