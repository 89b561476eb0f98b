"""Token ids of transformers' AutoTokenizer (transformers 5.23, see tests/golden/requirements.txt) for every family's
model_type, class of tokenizer and add_prefix_space, into ids.json: python make.py. metaspace.json is made here too."""

import copy
import json
import tempfile
from pathlib import Path

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer

transformers.logging.set_verbosity_error()
HERE = Path(__file__).parent
TEXT = ["The fox", "fox<s>The brown"]


def metaspace():
    """As Llama 2 has it: a tokenizer of SentencePiece, converted."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    trainer = trainers.BpeTrainer(vocab_size=90, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.train_from_iterator(["The quick brown fox jumps", "The fox"] * 4, trainer)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = None
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.save(str(HERE / "metaspace.json"))


def prefixed(tokenizer, space):
    """tokenizer.json with the space before the first word, or without."""
    tokenizer = copy.deepcopy(tokenizer)
    if tokenizer["pre_tokenizer"]:
        tokenizer["pre_tokenizer"]["add_prefix_space"] = space
    elif not space:
        tokenizer["normalizer"] = tokenizer["normalizer"]["normalizers"][1]
    return tokenizer


def cases():
    classes = ["GPT2TokenizerFast", "PreTrainedTokenizerFast", "LlamaTokenizerFast", "Qwen2Tokenizer",
               "GPTNeoXTokenizerFast"]
    for kind in ["byte-level", "metaspace"]:
        for model_type in ["gpt2", "llama", "mistral", "phi3", "qwen2", "qwen3", "gpt_neox", "olmo2", "olmo3"]:
            known = classes if kind == "byte-level" else ["LlamaTokenizer", "TokenizersBackend"]
            if kind == "metaspace" and model_type not in ["llama", "mistral", "phi3"]:
                continue
            for space in [False, True]:
                yield kind, model_type, space, None
                for name in [None, *known]:
                    for add in [None, False, True]:
                        for legacy in [None, True] if kind == "metaspace" else [None]:
                            config = {"tokenizer_class": name, "add_prefix_space": add, "legacy": legacy}
                            yield kind, model_type, space, {k: v for k, v in config.items() if v is not None}


def main():
    metaspace()
    found, answers = [], []
    for kind, model_type, space, config in cases():
        tokenizer = prefixed(json.loads((HERE / f"{kind}.json").read_text()), space)
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
            (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
            if config is not None:
                (folder / "tokenizer_config.json").write_text(json.dumps(config))
            theirs = AutoTokenizer.from_pretrained(folder)
            ids = [theirs(text, add_special_tokens=False).input_ids for text in TEXT]
        if ids not in answers:
            answers.append(ids)
        case = {"tokenizer": kind, "model_type": model_type, "space": space, "config": config}
        found.append(case | {"answer": answers.index(ids)})
    lines = ",\n".join(json.dumps(case) for case in found)
    head = f'"text": {json.dumps(TEXT)},\n"answers": {json.dumps(answers)}'
    (HERE / "ids.json").write_text(f'{{{head},\n"cases": [\n{lines}\n]}}\n')


main()
