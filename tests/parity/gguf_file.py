"""A small checkpoint as a GGUF file, laid out as llama.cpp's converter lays it out.

Names come from the gguf package's own tables. What they do not say: the converter interleaves the rows of Llama's
rotary projections, turns GPT-2's Conv1D weights round, sorts GPT-NeoX's fused projection by part instead of by head,
and writes rotary scalings as tensors of divisors.
`check` has transformers read the file back: its reader was written for llama.cpp's own files.
"""

import math

import gguf
import numpy as np
import torch
import transformers

# What a GGUF file cannot say: Qwen2's and SmolLM3's windows, names without their prefix, which gelu GPT-NeoX has, OLMo's
# biases; Gemma's kinds of blocks and scales of queries; YaRN, which is refused; and Mistral, whose files are Llama's.
WITHOUT = {"gpt2-bare", "mistral-window", "mistral-no-window", "qwen2-window", "gpt_neox-tanh-no-biases", "gpt_neox-old-file",
           "olmo2-biases", "olmo3-yarn", "smollm3-window", "gemma2-no-caps", "gemma3-bases", "gemma3-capped-head", "gemma3-old-file",
           "gemma3-images"}
# llama.cpp's names of architectures, where they differ.
ARCHITECTURES = {"gpt_neox": "gptneox", "olmo3": "olmo2", "gemma3_text": "gemma3"}
# transformers' reader leaves rotary scalings out; of Llama it reads neither biases nor a head size of its own.
UNREAD = {"llama3-rope", "llama-linear-rope", "phi3-longrope", "llama-untied-biases", "gemma3-deep"}
UNREAD_FAMILIES = {"gpt_neox", "olmo2", "olmo3", "smollm3"}


def interleaved(rows, heads):
    """(2, d/2) within each head becomes (d/2, 2)."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def write(path, name, config, weights):
    family = config.model_type
    own = ARCHITECTURES.get(family, family)
    arch = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == own)
    blocks, heads = config.num_hidden_layers, config.num_attention_heads
    names = gguf.get_tensor_name_map(arch, blocks)
    file = gguf.GGUFWriter(path, own)
    file.add_context_length(config.max_position_embeddings)
    file.add_embedding_length(config.hidden_size)
    file.add_block_count(blocks)
    file.add_head_count(heads)
    if family == "gpt2":
        file.add_feed_forward_length(config.n_inner or 4 * config.n_embd)
        file.add_layer_norm_eps(config.layer_norm_epsilon)
    elif family == "gpt_neox":
        file.add_feed_forward_length(config.intermediate_size)
        share = config.rope_parameters["partial_rotary_factor"]
        file.add_rope_dimension_count(int(share * (config.hidden_size // heads)))
        if config.rope_parameters["rope_theta"] != 10000.0:
            file.add_rope_freq_base(config.rope_parameters["rope_theta"])
        file.add_parallel_residual(config.use_parallel_residual)
        file.add_layer_norm_eps(config.layer_norm_eps)
    else:
        rope, width = config.rope_parameters, getattr(config, "head_dim", None) or config.hidden_size // heads
        if family == "olmo3":
            sliding, rope = rope["sliding_attention"], rope["full_attention"]
            file.add_sliding_window(config.sliding_window)
            file.add_sliding_window_pattern([kind == "sliding_attention" for kind in config.layer_types])
            if sliding["rope_theta"] != rope["rope_theta"]:
                file.add_rope_freq_base_swa(sliding["rope_theta"])
        if family.startswith("gemma"):
            file.add_sliding_window(config.sliding_window)
            file.add_value_length(width)
        if family == "gemma2":
            file.add_attn_logit_softcapping(config.attn_logit_softcapping)
            file.add_final_logit_softcapping(config.final_logit_softcapping)
        if family == "gemma3_text":
            sliding, rope = rope["sliding_attention"], rope["full_attention"]
            if sliding["rope_theta"] != 10000.0:
                file.add_rope_freq_base_swa(sliding["rope_theta"])
        file.add_feed_forward_length(config.intermediate_size)
        file.add_head_count_kv(config.num_key_value_heads)
        file.add_layer_norm_rms_eps(config.rms_norm_eps)
        file.add_rope_freq_base(rope["rope_theta"])
        file.add_rope_dimension_count(width)
        file.add_key_length(width)
        if family == "phi3" and config.sliding_window:
            file.add_sliding_window(config.sliding_window)
        scaling(file, rope, config, width)
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list([f"t{i}" for i in range(config.vocab_size)])
    file.add_token_types([1] * config.vocab_size)
    file.add_token_merges([])
    for key, value in weights.items():
        value = value.float().numpy()
        if family in ("llama", "smollm3") and ".q_proj." in key:
            value = interleaved(value, heads)
        if family in ("llama", "smollm3") and ".k_proj." in key:
            value = interleaved(value, config.num_key_value_heads)
        if family == "gpt2" and key.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            value = value.T
        if family.startswith("gemma") and key.endswith("norm.weight"):
            value = value + 1  # the gain itself
        if ".query_key_value." in key:
            value = value.reshape(heads, 3, -1, *value.shape[1:]).swapaxes(0, 1).reshape(value.shape)
        file.add_tensor(names.get_name(key, try_suffixes=(".weight", ".bias")), np.ascontiguousarray(value))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def scaling(file, rope, config, width):
    kind = rope.get("rope_type", "default")
    if kind == "linear":
        file.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        file.add_rope_scaling_factor(rope["factor"])
    if kind == "longrope":
        file.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        factor = config.max_position_embeddings / rope["original_max_position_embeddings"]
        attention = math.sqrt(1 + math.log(factor) / math.log(rope["original_max_position_embeddings"]))
        file.add_rope_scaling_attn_factors(attention)
        for length in ("short", "long"):
            factors = np.array(rope[f"{length}_factor"], dtype=np.float32)
            file.add_tensor(f"rope_factors_{length}.weight", factors)
    if kind == "llama3":
        plain = 1.0 / rope["rope_theta"] ** (np.arange(0, width, 2) / width)
        scaled = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")[0].double().numpy()
        file.add_tensor("rope_freqs.weight", (plain / scaled).astype(np.float32))


def check(case, name, config, model):
    """The weights that transformers reads from the file are those of the model."""
    if name in UNREAD or config.model_type in UNREAD_FAMILIES:
        return
    read = transformers.AutoModelForCausalLM.from_pretrained(case, gguf_file="model.gguf", config=config, dtype=torch.float32)
    ids = torch.arange(20)[None]
    with torch.no_grad():
        ours, theirs = read.eval()(ids).logits, model(ids).logits
    error = (ours - theirs).abs().max() / theirs.abs().max()
    assert error < 1e-5, f"{name}: transformers reads other weights from the GGUF file ({error})"
