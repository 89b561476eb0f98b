#!/usr/bin/env python3
"""Small random checkpoints of every architecture, run by transformers and by Onejump.

    python parity.py make DIR              one folder per case: the checkpoint, samples.jsonl, golden.safetensors
    onejump-capture --model DIR/CASE --samples DIR/CASE/samples.jsonl --out DIR/CASE/hidden     for each case,
    and with --model DIR/CASE/model.gguf --out DIR/CASE/hidden-gguf where there is such a file
    python parity.py compare DIR           a table; exit status 1 if a case is worse than TOLERANCE

`cargo xtask parity` does all three.  The cases that the ordinary tests read are made by the same script:
`python parity.py make tests/parity/cases`.

golden.safetensors: hidden [N, K+1, H] at the sampled position, level K before the final norm (taken by
hooks: transformers' own `hidden_states[-1]` comes after it), and logits [N, V].
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

import gguf_file

# Sums over a few dozen values in another order: a few roundings of f32 (6e-8) per block.
TOLERANCE = 1e-5

SIZES = dict(vocab_size=96, hidden_size=36, intermediate_size=52, num_hidden_layers=3, max_position_embeddings=64)
HEADS = dict(num_attention_heads=6, num_key_value_heads=2)
TRUNCATED = "the length up to the sampled token decides which rotary factors are used"


def cases():
    """(name, configuration, what is special)"""
    auto = transformers.AutoConfig.for_model
    llama = SIZES | HEADS
    yield "gpt2", auto("gpt2", vocab_size=96, n_embd=36, n_layer=3, n_head=4, n_positions=64), None
    yield "gpt2-bare", auto("gpt2", vocab_size=96, n_embd=36, n_layer=3, n_head=2, n_positions=64, n_inner=50), "bare"
    yield "llama-grouped-tied", auto("llama", **llama, tie_word_embeddings=True), None
    yield "llama-untied-biases", auto(
        "llama", **SIZES, num_attention_heads=2, num_key_value_heads=2, attention_bias=True, mlp_bias=True, head_dim=10
    ), None
    yield "llama3-rope", auto("llama", **llama, rope_parameters=dict(
        rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=32)), None
    yield "llama-linear-rope", auto("llama", **llama, rope_parameters=dict(
        rope_type="linear", rope_theta=10000.0, factor=4.0)), None
    yield "mistral-window", auto("mistral", **llama, sliding_window=7), None
    yield "mistral-no-window", auto("mistral", **llama, sliding_window=None), None
    yield "phi3-window", auto("phi3", **llama, sliding_window=9, pad_token_id=0), None
    yield "phi3-longrope", auto("phi3", **llama, sliding_window=None, pad_token_id=0, original_max_position_embeddings=16,
        rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, original_max_position_embeddings=16,
                             short_factor=[1.0, 1.1, 1.3], long_factor=[1.5, 3.0, 9.0])), TRUNCATED
    yield "qwen2-biases", auto("qwen2", **llama, tie_word_embeddings=True), None
    yield "qwen2-window", auto("qwen2", **llama, use_sliding_window=True, sliding_window=5, max_window_layers=1), None
    yield "qwen3-norms", auto("qwen3", **llama, head_dim=10), None
    neox = SIZES | dict(num_attention_heads=2, bos_token_id=0, eos_token_id=0)
    yield "gpt_neox-parallel", auto("gpt_neox", **neox), None
    yield "gpt_neox-sequential", auto("gpt_neox", **neox, use_parallel_residual=False, rope_parameters=dict(
        rope_type="default", rope_theta=5000.0, partial_rotary_factor=0.6)), None
    yield "gpt_neox-tanh-no-biases", auto("gpt_neox", **neox, hidden_act="gelu_new", attention_bias=False,
        tie_word_embeddings=True), None
    yield "gpt_neox-old-file", auto("gpt_neox", **neox, rope_parameters=dict(
        rope_type="default", rope_theta=777.0, partial_rotary_factor=1.0)), "old"
    olmo = llama | dict(eos_token_id=0)
    yield "olmo2-norms", auto("olmo2", **olmo), None
    yield "olmo2-biases", auto("olmo2", **olmo, attention_bias=True), None
    four = olmo | dict(num_hidden_layers=4, sliding_window=7)
    yield "olmo3-window", auto("olmo3", **four, rope_parameters=dict(
        full_attention=dict(rope_type="linear", rope_theta=10000.0, factor=4.0),
        sliding_attention=dict(rope_type="default", rope_theta=10000.0))), None
    yield "olmo3-bases", auto("olmo3", **four, rope_parameters=dict(
        full_attention=dict(rope_type="default", rope_theta=10000.0),
        sliding_attention=dict(rope_type="default", rope_theta=300.0)),
        layer_types=["full_attention", "sliding_attention", "sliding_attention", "full_attention"]), None
    yield "olmo3-yarn", auto("olmo3", **(four | dict(head_dim=16)), rope_parameters=dict(
        full_attention=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16,
                            beta_fast=3.0, beta_slow=0.5),
        sliding_attention=dict(rope_type="default", rope_theta=10000.0))), None
    smol = four | dict(bos_token_id=0, pad_token_id=0)
    yield "smollm3-no-rope", auto("smollm3", **smol), None
    yield "smollm3-window", auto("smollm3", **smol, use_sliding_window=True, no_rope_layers=[0, 1, 1, 0],
        tie_word_embeddings=False), None
    gemma = llama | dict(num_hidden_layers=4, sliding_window=7, head_dim=10, query_pre_attn_scalar=7)
    # Caps so low that most products and logits are bent.
    yield "gemma2-caps", auto("gemma2", **(gemma | dict(query_pre_attn_scalar=10)), attn_logit_softcapping=0.5,
        final_logit_softcapping=1.5), None
    yield "gemma2-no-caps", auto("gemma2", **gemma, attn_logit_softcapping=None, final_logit_softcapping=None,
        attention_bias=True, layer_types=["full_attention", "sliding_attention", "sliding_attention", "full_attention"]), None
    bases = dict(full_attention=dict(rope_type="linear", rope_theta=10000.0, factor=4.0),
                 sliding_attention=dict(rope_type="default", rope_theta=300.0))
    yield "gemma3-bases", auto("gemma3_text", **gemma, sliding_window_pattern=3, rope_parameters=bases), None
    yield "gemma3-capped-head", auto("gemma3_text", **gemma, final_logit_softcapping=1.5,
        layer_types=["full_attention", "sliding_attention", "sliding_attention", "full_attention"]), None
    yield "gemma3-old-file", auto("gemma3_text", **gemma, sliding_window_pattern=3, rope_parameters=bases), "old gemma"
    # Deep enough for the pattern of six blocks, which GGUF files do not name.
    deep = gemma | dict(num_hidden_layers=7, head_dim=16, query_pre_attn_scalar=16)
    yield "gemma3-deep", auto("gemma3_text", **deep, rope_parameters=bases), None
    yield "gemma3-images", auto("gemma3", text_config=gemma | dict(rope_parameters=bases, pad_token_id=0), vision_config=dict(
        hidden_size=16, intermediate_size=20, num_attention_heads=2, num_hidden_layers=1, image_size=28, patch_size=14),
        mm_tokens_per_image=4, image_token_index=95, boi_token_index=94, eoi_token_index=93), None


def text(config):
    """The configuration of the language model."""
    return config.get_text_config()


def final_norm(base):
    return base.final_layer_norm if hasattr(base, "final_layer_norm") else base.norm


def as_saved_in_2023(case, config):
    """GPT-NeoX's old words in config.json, and the buffers that Pythia's files have."""
    keys = json.loads((case / "config.json").read_text())
    rotary = keys.pop("rope_parameters")
    keys |= dict(rotary_pct=rotary["partial_rotary_factor"], rotary_emb_base=rotary["rope_theta"])
    for new in ("attention_bias", "attention_dropout"):
        keys.pop(new)
    (case / "config.json").write_text(json.dumps(keys, indent=2) + "\n")
    weights, context = load_file(case / "model.safetensors"), config.max_position_embeddings
    for block in range(config.num_hidden_layers):
        attention = f"gpt_neox.layers.{block}.attention"
        weights[f"{attention}.bias"] = torch.ones(context, context).tril().bool()[None, None]
        weights[f"{attention}.masked_bias"] = torch.tensor(-1e9)
        weights[f"{attention}.rotary_emb.inv_freq"] = torch.full((9,), 0.5)  # not what the model computes with
    save_file(weights, case / "model.safetensors", metadata={"format": "pt"})


def gemma_as_saved_in_2025(case):
    """Gemma 3's words in config.json before transformers 5, and the names of the tensors in files of 2025 with images."""
    keys = json.loads((case / "config.json").read_text())
    rotary = keys.pop("rope_parameters")
    full, sliding = rotary["full_attention"], rotary["sliding_attention"]
    keys |= dict(rope_theta=full.pop("rope_theta"), rope_local_base_freq=sliding["rope_theta"], rope_scaling=full, sliding_window_pattern=3,
                 cache_implementation="hybrid")
    for new in ("layer_types", "_sliding_window_pattern"):
        keys.pop(new, None)
    weights = load_file(case / "model.safetensors")
    save_file({name.replace("model.", "model.language_model.", 1): value for name, value in weights.items()}, case / "model.safetensors",
              metadata={"format": "pt"})
    (case / "config.json").write_text(json.dumps(keys, indent=2) + "\n")


def states(model, ids, position):
    """The residual stream at one position, levels 0..K, and the logits there."""
    base = getattr(model.base_model, "language_model", model.base_model)
    blocks, norm = (base.h, base.ln_f) if hasattr(base, "h") else (base.layers, final_norm(base))
    seen = []
    hooks = [blocks[0].register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(args[0] if args else kwargs["hidden_states"]), with_kwargs=True)]
    hooks += [norm.register_forward_pre_hook(lambda module, args: seen.append(args[0]))]
    for block in list(blocks)[1:]:
        hooks.append(block.register_forward_pre_hook(
            lambda module, args, kwargs: seen.append(args[0] if args else kwargs["hidden_states"]), with_kwargs=True))
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits
    for hook in hooks:
        hook.remove()
    # Order of the calls: block 1, block 2, ..., block K, norm.
    return torch.stack([state[0, position] for state in seen]), logits[0, position]


def make(folder):
    for index, (name, config, special) in enumerate(cases()):
        torch.manual_seed(index)
        whole = transformers.AutoModelForImageTextToText if hasattr(config, "vision_config") else transformers.AutoModelForCausalLM
        model = whole.from_config(config, attn_implementation="eager").eval().float()
        for parameter in model.parameters():  # norms and biases too: 1 and 0 would hide mistakes
            parameter.data += 0.2 * torch.randn_like(parameter)
        case = folder / name
        case.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(case)
        if special == "bare":
            weights = load_file(case / "model.safetensors")
            save_file({k.removeprefix("transformer."): v for k, v in weights.items()}, case / "model.safetensors")
        if special == "old":
            as_saved_in_2023(case, config)
        if special == "old gemma":
            gemma_as_saved_in_2025(case)
        config = text(config)
        if name not in gguf_file.WITHOUT:
            gguf_file.write(case / "model.gguf", name, config, model.state_dict() if config.tie_word_embeddings is False else
                            {k: v for k, v in model.state_dict().items() if k != "lm_head.weight"})
            gguf_file.check(case, name, config, model)
        lengths = [1, 2, 3, 8, 16, 17, 30, 30, 41, 60]
        samples, hidden, logits = [], [], []
        for number, length in enumerate(lengths):
            ids = torch.randint(0, config.vocab_size, (length,)).tolist()
            position = length - 1 if number % 2 else int(torch.randint(0, length, (1,)))
            run = ids[: position + 1] if special == TRUNCATED else ids
            state, logit = states(model, run, position)
            samples.append(json.dumps({"input_ids": ids, "position": position}))
            hidden.append(state)
            logits.append(logit)
        (case / "samples.jsonl").write_text("\n".join(samples) + "\n")
        save_file({"hidden": torch.stack(hidden), "logits": torch.stack(logits)}, case / "golden.safetensors")
        (case / "generation_config.json").unlink(missing_ok=True)


def head(case, config, hidden):
    """Onejump stores states; its head is the checkpoint's final norm and unembedding."""
    whole = transformers.AutoModelForImageTextToText if "vision_config" in config else transformers.AutoModelForCausalLM
    model = whole.from_pretrained(case) if config["model_type"] != "gpt2" else None
    if model is None:
        weights = load_file(case / "model.safetensors")
        weights = {k.removeprefix("transformer."): v for k, v in weights.items()}
        norm = torch.nn.functional.layer_norm(
            hidden, hidden.shape[-1:], weights["ln_f.weight"], weights["ln_f.bias"], config["layer_norm_epsilon"])
        return norm @ weights["wte.weight"].T
    if "rope_local_base_freq" in config:
        # transformers' class of the language model alone does not know the tensors' names of files with images.
        weights = load_file(case / "model.safetensors")
        model.load_state_dict({name.replace("language_model.", "", 1): value for name, value in weights.items()}, strict=False)
        model.tie_weights()
    with torch.no_grad():
        base = getattr(model.base_model, "language_model", model.base_model)
        logits, cap = model.lm_head(final_norm(base)(hidden)), getattr(text(model.config), "final_logit_softcapping", None)
        return logits if cap is None else cap * torch.tanh(logits / cap)


def compare(folder):
    import pyarrow.parquet as pq

    print(f"{'case':<28} {'ids':<5} {'worst relative error per level':<44} {'logits':>8}")
    failed = False
    for case in sorted(path.parent for path in folder.glob("*/golden.safetensors")):
        golden, config = load_file(case / "golden.safetensors"), json.loads((case / "config.json").read_text())
        theirs = golden["hidden"]
        for out in ("hidden", "hidden-gguf"):
            if not (case / out).is_dir():
                continue
            table = pq.read_table(case / out / "part-00000.parquet")
            ours = torch.stack([torch.tensor(table[f"level_{k:02}"].to_pylist()) for k in range(theirs.shape[1])], 1)
            errors = ((ours - theirs).norm(dim=2) / theirs.norm(dim=2)).amax(0)
            logits = (head(case, config, ours[:, -1]) - golden["logits"]).abs().max() / golden["logits"].abs().max()
            expected = [json.loads(line)["input_ids"] for line in (case / "samples.jsonl").read_text().splitlines()]
            same = table["token_ids"].to_pylist() == expected
            bad = not same or errors.max() > TOLERANCE or logits > TOLERANCE
            failed |= bool(bad)
            levels = "  ".join(f"{error:.1e}" for error in errors)
            name = case.name + (" (gguf)" if out == "hidden-gguf" else "")
            print(f"{name:<28} {'same' if same else 'DIFFER':<5} {levels:<44} {logits:>8.1e}{'  FAILED' if bad else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    verb, target = sys.argv[1], Path(sys.argv[2])
    sys.exit(make(target) if verb == "make" else compare(target))
