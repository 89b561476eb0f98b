"""Golden values for `cases_config.rs`: what transformers computes from small checkpoints with odd configurations.

    python make_config.py > config.json

A case is one of the checkpoints in `../parity/cases` with changes to its config.json and its tensors; `cases_config.rs`
makes the same folder again. Hidden states are at the last token, levels 0..K, level K before the final norm.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))
from parity import states

BASES = Path(__file__).parent.parent / "parity/cases"
LINEAR = {"rope_type": "linear", "factor": 4.0}
LONG = json.loads((BASES / "phi3-longrope/config.json").read_text())["rope_parameters"]
EMBED = "model.embed_tokens.weight"
Q, KV, O = "model.layers.{}.self_attn.{}_proj.bias", 20, 36


def biases(blocks=3):
    for block in range(blocks):
        yield from {Q.format(block, "q"): [60], Q.format(block, "k"): [KV], Q.format(block, "v"): [KV], Q.format(block, "o"): [O]}.items()


def case(name, base, set=None, without=(), add=None, rename=None, strip="", length=20):
    return dict(name=name, base=base, set=set or {}, without=list(without), add=add or {}, rename=rename or {},
                strip=strip, length=length)


CASES = [
    case("the rope type under both names", "llama-grouped-tied", {"rope_theta": 10000.0, "rope_scaling": {**LINEAR, "type": "linear"}}, ["rope_parameters"]),
    case("the rope type under its old name", "mistral-no-window", {"rope_theta": 5000.0, "rope_scaling": {"type": "linear", "factor": 2.0}}, ["rope_parameters"]),
    case("rope_parameters with both names", "qwen3-norms", {"rope_parameters": {**LINEAR, "type": "linear", "rope_theta": 20000.0}}),
    case("rope_scaling beside rope_parameters", "qwen2-biases", {"rope_scaling": LINEAR}),
    case("rope_scaling beside scaled rope_parameters", "llama-linear-rope", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
    case("an empty rope_scaling beside rope_parameters", "llama-linear-rope", {"rope_scaling": {}}),
    case("the base beside rope_parameters", "llama-grouped-tied", {"rope_theta": 500.0, "rope_parameters": {"rope_type": "default"}}),
    case("two bases", "llama-grouped-tied", {"rope_theta": 500.0}),
    case("longrope with a factor", "phi3-longrope", {"rope_parameters": {**LONG, "factor": 32.0}}),
    case("longrope with an attention factor", "phi3-longrope", {"rope_parameters": {**LONG, "factor": 32.0, "attention_factor": 1.5}}),
    case("longrope in llama", "llama-grouped-tied", {"rope_parameters": {**LONG, "factor": 8.0, "partial_rotary_factor": 1.0}}),
    case("two original lengths", "phi3-longrope", {"rope_parameters": {**LONG, "original_max_position_embeddings": 8}}),
    case("two original lengths in llama", "llama3-rope", {"original_max_position_embeddings": 8}),
    case("su is longrope", "phi3-longrope", {"rope_theta": 10000.0, "rope_scaling": {"type": "su", **{k: LONG[k] for k in ("short_factor", "long_factor", "original_max_position_embeddings")}}}, ["rope_parameters"]),
    case("mistral's window by default", "mistral-no-window", {"max_position_embeddings": 8192}, ["sliding_window"], length=4200),
    case("mistral without a window", "mistral-no-window", {"max_position_embeddings": 8192}, length=4200),
    case("windows from max_window_layers on", "qwen2-window", {"max_window_layers": 2}, ["layer_types"]),
    case("windows of qwen3 by default in no block", "qwen3-norms", {"use_sliding_window": True, "sliding_window": 5}, ["layer_types", "max_window_layers"]),
    case("windows that are not used", "qwen3-norms", {"sliding_window": 5}, ["layer_types"]),
    case("values by default", "phi3-window", {}, ["rms_norm_eps", "hidden_act", "original_max_position_embeddings"]),
    case("values by default in gpt2", "gpt2", {"max_position_embeddings": 64}, ["layer_norm_epsilon", "activation_function", "tie_word_embeddings"]),
    case("attention without a scale in gpt2", "gpt2", {"scale_attn_weights": False}),
    case("attention with a scale per block in gpt2", "gpt2", {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True}),
    case("attention with both switches in gpt2", "gpt2-bare", {"scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True}),
    case("head_dim is null", "llama-grouped-tied", {"head_dim": None}),
    case("as many groups as heads", "llama-linear-rope", {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 18}, add={
        name.format(block): [36, 36] for block in range(3) for name in ("model.layers.{}.self_attn.k_proj.weight", "model.layers.{}.self_attn.v_proj.weight")}),
    case("biases in qwen3", "qwen3-norms", {"attention_bias": True}, add=dict(biases())),
    case("a flag for biases that qwen2 does not read", "qwen2-biases", {"attention_bias": True}),
    case("tied, and another head in llama", "llama-grouped-tied", add={"lm_head.weight": [96, 36]}),
    case("tied, and another head in qwen2", "qwen2-biases", add={"lm_head.weight": [96, 36]}),
    case("tied, and another head in gpt2", "gpt2", add={"lm_head.weight": [96, 36]}),
    case("the head's name alone in llama", "llama-grouped-tied", rename={EMBED: "lm_head.weight"}),
    case("the head's name alone in qwen2", "qwen2-biases", rename={EMBED: "lm_head.weight"}),
    case("the head's name alone in gpt2", "gpt2", rename={"transformer.wte.weight": "lm_head.weight"}),
    *(case(f"names without a prefix in {base}", base, {"tie_word_embeddings": True}, strip="model.") for base in
      ("llama-grouped-tied", "mistral-window", "phi3-window", "qwen2-biases", "qwen3-norms")),
    *(case(f"a leftover share in {base}", base, {"partial_rotary_factor": 0.5}) for base in
      ("llama-grouped-tied", "mistral-window", "qwen2-biases", "qwen3-norms")),
    case("a leftover share in rope_parameters", "llama-grouped-tied", {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}}),
    case("tables of old files in gpt2", "gpt2", add={"transformer.h.0.attn.bias": [1, 1, 64, 64], "transformer.h.2.attn.masked_bias": [1]}),
    case("tables of old files in llama", "llama-grouped-tied", add={f"model.layers.{block}.self_attn.rotary_emb.inv_freq": [3] for block in range(3)}),
    case("an unused head for values", "llama-linear-rope", add={"v_head.summary.weight": [1, 36]}),
]


def values(shape):
    """Numbers that the test makes again: multiples of 0.1 from -0.5 to 0.5."""
    count = torch.Size(shape).numel()
    return (((torch.arange(count) * 37) % 11 - 5).float() / 10).reshape(shape)


def make(case, folder):
    config = json.loads((BASES / case["base"] / "config.json").read_text())
    config = {key: value for key, value in {**config, **case["set"]}.items() if key not in case["without"]}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(BASES / case["base"] / "model.safetensors")
    # lm_head.weight goes where the head is to be tied.
    tensors = {case["rename"].get(name, name).removeprefix(case["strip"]): tensor for name, tensor in tensors.items()
               if not (case["strip"] and name == "lm_head.weight")}
    tensors |= {name: values(shape) for name, shape in case["add"].items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def golden(case):
    with tempfile.TemporaryDirectory() as folder:
        make(case, Path(folder))
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        ids = [(7 * i * i + 3 * i + 5) % 96 for i in range(case["length"])]
        hidden, logits = states(model, ids, case["length"] - 1)
        numbers = lambda tensor: [float(f"{value:.8g}") for value in tensor.flatten().tolist()]
        return {**case, "hidden": numbers(hidden), "logits": numbers(logits)}


json.dump([golden(case) for case in CASES], sys.stdout)
print()
