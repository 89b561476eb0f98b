#!/usr/bin/env python3
"""Texts of a fixed length by transformers or llama.cpp, always the most likely token, one text at a time.

    texts.py    transformers MODEL.gguf PROMPTS.txt COUNT TOKENS [--chat] [--early-exit LEVEL] [--lookup DRAFTS]
    texts.py    llama.cpp    MODEL.gguf PROMPTS.txt COUNT TOKENS [--chat]
    texts.py    rewrite      MODEL.gguf OUT.gguf [--type F32]      the same model with matrices of this type; prints what it is

Prints one line of JSON: tokens per second of what is added to the prompts, without imports and loading the model.
End tokens do not end a text.
"""

import argparse
import json
import os
import time
from pathlib import Path


def prompts(options):
    lines = [line for line in Path(options.prompts).read_text().splitlines() if line]
    return lines[: options.count]


def transformers(options):
    import torch
    import transformers

    model = Path(options.model)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    load = dict(gguf_file=model.name)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model.parent, **load)
    network = transformers.AutoModelForCausalLM.from_pretrained(model.parent, dtype=torch.float32, **load).eval()
    network.generation_config.eos_token_id = None
    more = {}
    if options.early_exit is not None:
        more["assistant_early_exit"] = options.early_exit
    if options.lookup:
        more["prompt_lookup_num_tokens"] = options.lookup
    seconds, tokens = 0.0, 0
    for prompt in [None, *prompts(options)]:
        text = prompt or "A first text is not timed."
        if options.chat:
            text = tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=not options.chat)
        with torch.inference_mode():
            def write(count):
                started = time.perf_counter()
                out = network.generate(**ids, max_new_tokens=count, do_sample=False, pad_token_id=0, **more)
                assert out.shape[1] == ids.input_ids.shape[1] + count
                return time.perf_counter() - started
            if prompt is None:
                write(8)
                continue
            # What the first token takes is the prompt's.
            first = write(1) if not more else 0.0
            seconds += write(options.tokens) - first
            tokens += options.tokens - (1 if not more else 0)
    return tokens / seconds


def llama_cpp(options):
    import xllamacpp

    threads = int(os.environ["OMP_NUM_THREADS"])
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.warmup = options.model, 1024, 1, True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    milliseconds, tokens = 0.0, 0
    for prompt in [None, *prompts(options)]:
        wanted = dict(temperature=0, ignore_eos=True, cache_prompt=False, stream=False)
        count = options.tokens if prompt else 8
        text = prompt or "A first text is not timed."
        if options.chat:
            wanted |= dict(messages=[{"role": "user", "content": text}], max_tokens=count)
            answer = server.handle_chat_completions(wanted)
        else:
            answer = server.handle_completions(wanted | dict(prompt=text, n_predict=count))
        if prompt:
            timings = answer["timings"]
            milliseconds, tokens = milliseconds + timings["predicted_ms"], tokens + timings["predicted_n"]
    return tokens / milliseconds * 1e3


def rewrite(source, target, kind):
    """Matrices in numbers of one kind, norms widened, every key as it is."""
    import gguf
    import numpy as np

    matrices = gguf.GGMLQuantizationType[kind]

    reader = gguf.GGUFReader(source)
    field = lambda name: reader.fields[name].contents()
    writer = gguf.GGUFWriter(target, field("general.architecture"))
    for name, value in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type", "general.quantization_version"):
            continue
        form = value.types[0]
        writer.add_key_value(name, value.contents(), form, value.types[-1] if form == gguf.GGUFValueType.ARRAY else None)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        values = values.reshape([int(size) for size in reversed(tensor.shape)])
        form = matrices if values.ndim > 1 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(tensor.name, gguf.quants.quantize(values, form), raw_dtype=form)
    writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.write_tensors_to_file()
    writer.close()
    architecture = field("general.architecture")
    print(json.dumps({"blocks": field(f"{architecture}.block_count"), "hidden": field(f"{architecture}.embedding_length")}))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("how", choices=("transformers", "llama.cpp", "rewrite"))
    parser.add_argument("model")
    parser.add_argument("prompts")
    parser.add_argument("count", type=int, nargs="?")
    parser.add_argument("tokens", type=int, nargs="?")
    parser.add_argument("--chat", action="store_true")
    parser.add_argument("--early-exit", type=int)
    parser.add_argument("--lookup", type=int)
    parser.add_argument("--type", default="F32")
    options = parser.parse_args()
    if options.how == "rewrite":
        return rewrite(options.model, options.prompts, options.type)
    rate = transformers(options) if options.how == "transformers" else llama_cpp(options)
    print(json.dumps({"tokens_per_second": rate}))


if __name__ == "__main__":
    main()
