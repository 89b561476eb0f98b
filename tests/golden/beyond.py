#!/usr/bin/env python3
"""What the further analyses should say of the states in tiny.safetensors, in float64 NumPy: the transfer
matrix with KL from the whole distributions, what each criterion chooses, sets of jumps, how sure each level is
under both exit rules, one A·B behind a BatchNorm per level.

    python beyond.py            write beyond.json

`witness.py` beside it has the shortcuts, the head and the metrics.
"""

import itertools
import json
import re
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from witness import EPS, Affine, Head, cosines, fit_jtc, fit_n_njtc, identity, log_sum_exp, loss, reduced_rank

HERE = Path(__file__).parent


def fit_joint_norms(xs, y, rank):
    """n-njtc for several levels with the same targets, A and B in common."""
    h = xs[0].shape[1]
    xx, xy, stats = np.zeros((h + 1, h + 1)), np.zeros((h + 1, h)), []
    for x in xs:
        x = x.astype(np.float64)
        mean, var = x.mean(0), x.var(0)
        z = np.hstack([(x - mean) / np.sqrt(var + EPS), np.ones((len(x), 1))])
        xx, xy = xx + z.T @ z, xy + z.T @ y.astype(np.float64)
        stats.append((mean, var))
    a, b = reduced_rank(xx, xy, rank)
    bias = np.linalg.lstsq(a[:h].T, a[h], rcond=None)[0]
    return [Affine(a[:h], b, mean, var, np.ones(h), bias) for mean, var in stats]


def outcomes(head, shortcut, h, final):
    """Of every sample: does the top token agree, both surprisals, KL, the two largest probabilities."""
    truth, approx = head(final), shortcut(h)
    logits = head(approx)
    log_p = truth - log_sum_exp(truth)[:, None]
    log_q = logits - log_sum_exp(logits)[:, None]
    rows, top = np.arange(len(truth)), truth.argmax(1)
    largest = np.sort(np.exp(log_q), 1)[:, ::-1]
    return {
        "agrees": (logits > logits[rows, top][:, None]).sum(1) == 0,
        "surprisal": -log_q[rows, top],
        "mat_surprisal": -log_p[rows, log_q.argmax(1)],
        "kl": (np.exp(log_p) * (log_p - log_q)).sum(1),
        "cosine": cosines(approx, final),
        "squared_error": ((approx - final) ** 2).sum(1),
        "first": largest[:, 0],
        "second": largest[:, 1],
    }


def of_classes(t, ours, theirs, train_top, top, vocab):
    """One method beside another over classes of test samples, at each level and on average."""
    position = t["test.position"].astype(int)
    order = sorted(range(vocab), key=lambda token: (-int((train_top == token).sum()), token))
    rank = np.array([order.index(token) for token in top])
    # Tiny states' texts are multiples of 7 (tiny.rs).
    before = np.array([token in [7 * place % vocab for place in range(end + 1)] for token, end in zip(top, position)])
    band = lambda values, low, high: (values >= low) & (values < high)  # noqa: E731
    classes = {"all samples": position >= 0}
    for name, low, high in (("position 0", 0, 1), ("positions 1–3", 1, 4), ("positions 4–7", 4, 8), ("positions 8–15", 8, 16),
                            ("positions 16–31", 16, 32), ("positions from 32 on", 32, 10**9)):
        classes[name] = band(position, low, high)
    for name, low, high in (("the 10 commonest tokens", 0, 10), ("tokens 11 to 100", 10, 100), ("tokens 101 to 1,000", 100, 1000),
                            ("rarer tokens", 1000, 10**9)):
        classes[name] = band(rank, low, high)
    classes |= {"stands in the text before": before, "is new in the text": ~before}
    rows = []
    for name, chosen in classes.items():
        for level in [*range(len(ours)), None] if chosen.any() else []:
            at = range(len(ours)) if level is None else [level]
            mean = lambda levels, key: float(np.mean([levels[k][key][chosen].mean() for k in at]))  # noqa: E731
            rows.append({"class": name, "level": level, "samples": int(chosen.sum()),
                         "precision_1": mean(ours, "agrees"), "other_precision_1": mean(theirs, "agrees"),
                         "surprisal": mean(ours, "surprisal"), "other_surprisal": mean(theirs, "surprisal")})
    return rows


def main():
    golden, t = json.loads((HERE / "tiny.json").read_text()), load_file(HERE / "tiny.safetensors")
    blocks, rank = golden["blocks"], golden["rank"]
    head = Head(t["norm.weight"].astype(np.float64), t["unembedding"].astype(np.float64), golden["head_norm_eps"])
    train, test = t["train.hidden"], t["test.hidden"]
    final, final_test = train[:, blocks].astype(np.float64), test[:, blocks].astype(np.float64)
    jumps = [fit_n_njtc([train[:, k]], [final], rank) for k in range(blocks)]

    def pairs(states, final):
        return [[outcomes(head, jump, states[:, k], final) for k in range(blocks)] for jump in jumps]

    at_train, at_test = pairs(train, final), pairs(test, final_test)

    def average(pair, value):
        return np.array([[float(value(o).mean()) for o in levels] for levels in pair])

    signed = lambda o: np.sign(o["cosine"]) * o["cosine"] ** 2  # noqa: E731
    transfer = {name: average(at_test, lambda o: o[name]) for name in ("surprisal", "mat_surprisal", "kl", "cosine")}
    transfer |= {"precision_1": average(at_test, lambda o: o["agrees"]), "signed_square": average(at_test, signed)}
    square, kl = average(at_train, signed), average(at_train, lambda o: o["kl"])
    # Tiny states have no sentences: a sample's position is the last token.
    tokens = t["train.position"].astype(np.float64) + 1
    criteria = {
        "signed-square": square.mean(1),
        "cosine": average(at_train, lambda o: o["cosine"]).mean(1),
        "mse": -average(at_train, lambda o: o["squared_error"]).mean(1),
        "kl": -kl.mean(1),
        "signed-square-by-tokens": average(at_train, lambda o: signed(o) * tokens / tokens.mean()).mean(1),
        "precision_1": average(at_train, lambda o: o["agrees"]).mean(1),
    }
    regret = []
    for criterion, score in criteria.items():
        for metric, sign in (("precision_1", 1), ("surprisal", -1), ("kl", -1)):
            value = sign * transfer[metric].mean(1)
            chosen = int(score.argmax())
            regret.append({"criterion": criterion, "metric": metric, "jump": chosen, "regret": float(value.max() - value[chosen])})
    subsets = []
    for criterion, score in (("signed-square", square), ("kl", -kl)):
        for size in range(1, blocks + 1):
            best = max(itertools.combinations(range(blocks), size), key=lambda s: score[list(s)].max(0).sum())
            at = [best[score[list(best), k].argmax()] for k in range(blocks)]
            quality = {m: float(np.mean([transfer[m][at[k], k] for k in range(blocks)])) for m in ("precision_1", "surprisal", "kl")}
            subsets.append({"criterion": criterion, "size": size, "jumps": list(best)} | quality)

    position = t["test.position"].astype(np.float64)
    place = position / (position + 1)
    rules = {
        "probability": lambda o: o["first"],
        "gap": lambda o: (o["first"] - o["second"] - 0.1 * np.exp(-4 * place)) / 0.9,
    }
    methods = {
        "identity": [outcomes(head, identity, test[:, k], final_test) for k in range(blocks)],
        "jtc": [outcomes(head, fit_jtc(train[:, k], final), test[:, k], final_test) for k in range(blocks)],
        "n-njtc": [at_test[k][k] for k in range(blocks)],
    }
    joint = fit_n_njtc([train[:, k] for k in range(blocks)], [final] * blocks, rank)
    of_joint = [outcomes(head, joint, test[:, k], final_test) for k in range(blocks)]
    scores = {m: {rule: [of(o) for o in levels] for rule, of in rules.items()} for m, levels in methods.items()}
    norms = fit_joint_norms([train[:, k] for k in range(blocks)], final, rank)
    result = {
        "about": "float64 expectations for tiny.safetensors; made by `beyond.py`",
        "transfer": {name: values.tolist() for name, values in transfer.items()},
        "train_kl": kl.mean(1).tolist(),
        "train_mse": (-criteria["mse"]).tolist(),
        "train_signed_square_by_tokens": criteria["signed-square-by-tokens"].tolist(),
        "train_precision_1": criteria["precision_1"].tolist(),
        "regret": regret,
        "subsets": subsets,
        "scores": {m: {r: [s.tolist() for s in levels] for r, levels in of.items()} for m, of in scores.items()},
        "agrees": {m: [o["agrees"].tolist() for o in levels] for m, levels in methods.items()},
        "classes": of_classes(t, of_joint, methods["jtc"], head(final).argmax(1), head(final_test).argmax(1), len(t["unembedding"])),
        "joint_norms_loss": [loss(s, train[:, k], final) for k, s in enumerate(norms)],
    }
    text = re.sub(r"\[[^\[\]{}]*\]", lambda m: re.sub(r"\s+", " ", m[0]), json.dumps(result, indent=1))
    (HERE / "beyond.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
