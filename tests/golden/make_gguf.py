#!/usr/bin/env python3
"""What GGUF files hold, read by their own library: `python make_gguf.py` writes, beside itself,

quants.gguf, quants.safetensors        a tensor of every quantisation; its values by the gguf package
sentencepiece.gguf, sentencepiece.json a SentencePiece vocabulary; token ids by the sentencepiece package
qwen2.gguf, qwen2.json                 a byte-level vocabulary; token ids by transformers' Qwen2 tokenizer
gpt_neox.gguf, gpt_neox.json           the same vocabulary; token ids by transformers' GPT-NeoX tokenizer
"""

import io
import json
from pathlib import Path

import gguf
import numpy as np
import sentencepiece
import tokenizers
import transformers
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import save_file

HERE = Path(__file__).parent
SENTENCES = (HERE / "../../data/wikipedia/test.txt").read_text().splitlines()
EDGES = ["", " ", "  two  blanks ", "tab\there", "naïve café", "e\u0301 composed?", "日本語 text", "🙂🙂", "1234567 89", "don't DON'T",
         "a\u2581b", "end.\n", "snake_case __init__", "x" * 40]
ROWS, COLUMNS = 4, 256


def quants():
    random = np.random.default_rng(0)
    file, golden = gguf.GGUFWriter(HERE / "quants.gguf", "llama"), {}
    types = [Type.F32, Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0,
             Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K]
    for index, kind in enumerate(types):
        values = random.normal(size=(ROWS, COLUMNS)).astype(np.float32)
        try:
            raw = gguf.quantize(values, kind)
        except NotImplementedError:
            raw = random_blocks(random, kind)  # the package reads K-quants, and does not write them
        name = f"blk.{index}.ffn_up.weight"
        shape = (ROWS, COLUMNS) if kind in (Type.F32, Type.F16) else None
        file.add_tensor(name, raw if shape is None else raw.reshape(shape), raw_dtype=kind)
        golden[f"{index:02}.{kind.name}"] = gguf.dequantize(raw, kind).astype(np.float32).reshape(ROWS, COLUMNS)
    finish(file)
    save_file(golden, HERE / "quants.safetensors")


def random_blocks(random, kind):
    """Any bytes are blocks, as long as their f16 scales are finite and of a usual size."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    assert block == COLUMNS
    rows = []
    while len(rows) < ROWS:
        raw = random.integers(0, 256, (1, size), dtype=np.uint8)
        values = gguf.dequantize(raw, kind)
        if np.isfinite(values).all() and 1e-3 < np.abs(values).max() < 1e4:
            rows.append(raw[0])
    return np.stack(rows)


def vocabulary(name, model, pre, tokens, types, **more):
    file = gguf.GGUFWriter(HERE / f"{name}.gguf", "llama")
    file.add_tokenizer_model(model)
    file.add_tokenizer_pre(pre)
    file.add_token_list(tokens)
    file.add_token_types(types)
    for key, value in more.items():
        getattr(file, key)(value)
    finish(file)


def finish(file):
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def golden(name, encode):
    texts = EDGES + SENTENCES[:100]
    rows = [{"text": text, "ids": list(encode(text))} for text in texts]
    (HERE / f"{name}.json").write_text(json.dumps(rows, ensure_ascii=False, indent=0) + "\n")


def sentence_piece():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES[:1000]), model_writer=model, model_type="bpe", vocab_size=700, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.995, num_threads=1)
    spm = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    ids = range(spm.vocab_size())
    kind = lambda i: (2 if spm.is_unknown(i) else 3 if spm.is_control(i) else 6 if spm.is_byte(i) else 1)
    vocabulary("sentencepiece", "llama", "default", [spm.id_to_piece(i) for i in ids], [kind(i) for i in ids],
               add_token_scores=[spm.get_score(i) for i in ids], add_bos_token_id=spm.bos_id())
    golden("sentencepiece", lambda text: [spm.bos_id()] + spm.encode(text))


def byte_level(name, pre, family):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(SENTENCES[:1000], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    theirs = family(vocab=model["vocab"], merges=merges)
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    vocabulary(name, "gpt2", pre, tokens, [1] * len(tokens), add_token_merges=[" ".join(m) for m in merges])
    golden(name, lambda text: theirs(text)["input_ids"])


quants()
sentence_piece()
byte_level("qwen2", "qwen2", transformers.Qwen2Tokenizer)
byte_level("gpt_neox", "olmo", transformers.GPTNeoXTokenizer)
