#!/usr/bin/env python3
"""An independent witness in float64 NumPy: everything downstream of stored hidden states, recomputed
from the paper (Seshadri 2025, "One Jump Is All You Need") and the file formats alone.

    python witness.py check RUN_DIR --model M     compare a run's files with this recomputation
    python witness.py tiny --out DIR              write tiny.safetensors and tiny.json

`check` reads hidden/{train,test}/part-*.parquet, shortcuts/*.safetensors, scores*.parquet and
results/per_level.parquet, and prints the largest difference per table.  It is written for clarity, not
speed: a full check of 9,000 + 3,000 samples of a 135M-parameter model takes tens of minutes on two cores
(`--levels` restricts the expensive part).

The files hold float32 work, so differences around 1e-6 are expected.  `mat_surprisal` asks for the
shortcut's own top token: where two tokens tie within float32, the mean over n samples jumps by 1/n of
the difference between them.

Conventions: N samples, K blocks, H hidden size, V tokens; a state is a row vector; level K is the final
hidden state before the final norm.  A loss is Eq. 2: the mean over samples of the squared error summed
over H.
"""

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

EPS = 1e-5  # BatchNorm
TEMPERATURE = 5e-4  # Fig. 3
PRECISIONS = (1, 5, 10)


# ---------------------------------------------------------------------------------- shortcuts


@dataclass
class Affine:
    """A shortcut as ĥ = ((h - mean) / sqrt(var + EPS) * weight + bias) · a · b; no norm: mean is None;
    full rank: b is None."""

    a: np.ndarray
    b: np.ndarray | None = None
    mean: np.ndarray | None = None
    var: np.ndarray | None = None
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None

    def __call__(self, h):
        h = np.asarray(h, np.float64)
        if self.mean is not None:
            h = (h - self.mean) / np.sqrt(self.var + EPS) * self.weight + self.bias
        h = h @ self.a
        return h if self.b is None else h @ self.b


@dataclass
class Residual:
    """α·x + ((x · a) * scale + shift) · b of x = h / ‖h‖."""

    alpha: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    a: np.ndarray
    b: np.ndarray

    def __call__(self, h):
        h = np.asarray(h, np.float64)
        x = h / np.linalg.norm(h, axis=-1, keepdims=True)
        return self.alpha * x + ((x @ self.a) * self.scale + self.shift) @ self.b


def identity(h):
    return np.asarray(h, np.float64)


def loss(shortcut, x, y):
    """Eq. 2"""
    return float(((shortcut(x) - y) ** 2).sum(1).mean())


def least_squares(xx, xy):
    """The W that minimises ‖X·W - Y‖², from XᵀX and XᵀY; the smallest one where it is not unique."""
    values, vectors = np.linalg.eigh(xx)
    keep = values > values[-1] * len(values) * np.finfo(np.float64).eps
    vectors = vectors[:, keep]
    return vectors @ ((vectors.T @ xy) / values[keep, None])


def reduced_rank(xx, xy, rank):
    """A [p, rank] and B [rank, H] that minimise ‖X·A·B - Y‖²: ordinary least squares, then the fitted
    values projected on their leading principal directions (not centred: a constant is a column of X)."""
    w = least_squares(xx, xy)
    fitted = xy.T @ w  # ŶᵀŶ
    _, vectors = np.linalg.eigh((fitted + fitted.T) / 2)
    v = vectors[:, ::-1][:, :rank]
    return w @ v, v.T


def fit_jtc(x, y):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return Affine(least_squares(x.T @ x, x.T @ y))


def fit_njtc(x, y, rank):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return Affine(*reduced_rank(x.T @ x, x.T @ y, rank))


def fit_n_njtc(xs, ys, rank):
    """xs, ys: lists of [N, H] blocks, taken together: one block for n-njtc, K blocks for joint.
    The constant row a0 of the regression on [standardised x, 1] becomes BatchNorm's bias: the smallest
    bias with bias · A = a0."""
    n = sum(len(x) for x in xs)
    mean = sum(x.sum(0, dtype=np.float64) for x in xs) / n
    var = sum(((x - mean) ** 2).sum(0) for x in xs) / n
    h = len(mean)
    xx, xy = np.zeros((h + 1, h + 1)), np.zeros((h + 1, ys[0].shape[1]))
    for x, y in zip(xs, ys):
        z = np.hstack([(x - mean) / np.sqrt(var + EPS), np.ones((len(x), 1))])
        xx += z.T @ z
        xy += z.T @ y.astype(np.float64)
    a, b = reduced_rank(xx, xy, rank)
    bias = np.linalg.lstsq(a[:h].T, a[h], rcond=None)[0]
    return Affine(a[:h], b, mean, var, np.ones(h), bias)


def fit_one_jump(xs, final, head, rank):
    """The closed-form one-jump: unit states regressed on final states after the final norm (without its
    gain), in the metric of the rows of the unembedding under the mean true distribution.  Returns the map
    up to a factor, and the error relative to the targets' square.  The metric enters as a Cholesky factor:
    M = L·Lᵀ, targets y·L."""
    p = np.exp(head(final) - log_sum_exp(head(final))[:, None]).mean(0)
    x = np.vstack([x / np.linalg.norm(x, axis=1, keepdims=True) for x in np.asarray(xs, np.float64)])
    y, e = final.astype(np.float64), head.unembedding.astype(np.float64) * head.weight
    if head.bias is not None:
        y, e = y - y.mean(1, keepdims=True), e - e.mean(1, keepdims=True)
    y = y / np.sqrt((y**2).mean(1, keepdims=True) + head.eps)
    factor = np.linalg.cholesky(np.cov(e.T, aweights=p, bias=True))
    y = np.tile(y @ factor, (len(xs), 1))
    a, b = reduced_rank(x.T @ x, x.T @ y, rank)
    error = ((x @ a @ b - y) ** 2).sum() / (y**2).sum()
    return a @ b @ np.linalg.inv(factor), float(error)


def fit_residual(xs, final, head, rank, rounds=10):
    """The closed-form residual: α of each level, A·B (up to the same factor), and the error relative to the targets'
    square.  In turn, from α = 0: A·B for what α leaves of the targets, and α for what A·B leaves, by least squares on the
    rows themselves."""
    p = np.exp(head(final) - log_sum_exp(head(final))[:, None]).mean(0)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in np.asarray(xs, np.float64)]
    y, e = final.astype(np.float64), head.unembedding.astype(np.float64) * head.weight
    y = y / np.sqrt((y**2).mean(1, keepdims=True) + head.eps)
    factor = np.linalg.cholesky(np.cov(e.T, aweights=p, bias=True))
    y, seen = y @ factor, [x @ factor for x in unit]
    x, alpha = np.vstack(unit), np.zeros(len(xs))
    for _ in range(rounds):
        rest = np.vstack([y - a * s for a, s in zip(alpha, seen)])
        a, b = reduced_rank(x.T @ x, x.T @ rest, rank)
        left = [y - u @ a @ b for u in unit]
        alpha = np.array([(s * t).sum() / (s**2).sum() for s, t in zip(seen, left)])
    error = sum(((t - a * s) ** 2).sum() for a, s, t in zip(alpha, seen, left)) / (len(xs) * (y**2).sum())
    return alpha, a @ b @ np.linalg.inv(factor), float(error)


# ------------------------------------------------------------------------- scores, the choice


def cosines(x, y):
    """Row by row; 0 where a row is zero."""
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return np.divide((x * y).sum(1), norms, out=np.zeros_like(norms), where=norms > 0)


def scores(jumps, states):
    """(mean cosine, mean signed square), both [jumps, K+1], of every jump applied at every level.
    `states(k)` gives level k, [N, H]."""
    k_last = len(jumps)
    final = states(k_last).astype(np.float64)
    cosine, square = np.zeros((len(jumps), k_last + 1)), np.zeros((len(jumps), k_last + 1))
    for level in range(k_last + 1):
        h = states(level)
        for m, jump in enumerate(jumps):
            c = cosines(jump(h), final)
            cosine[m, level] = c.mean()
            square[m, level] = (np.sign(c) * c**2).mean()
    return cosine, square


def d_scores(square):
    """Eq. 5 in both readings: over the exit levels 0..K-1, and literally over 1..K."""
    return {"exit": square[:, :-1].mean(1), "eq5": square[:, 1:].mean(1)}


def redrawn(jumps, states, texts, draws=100_000, seed=5):
    """How sure the choice over the exit levels is: the share of draws of texts, each with all of its samples, that
    choose a jump, and the 95 % interval of every D.  A draw is a multinomial count of each text."""
    final = states(len(jumps)).astype(np.float64)
    at = [[cosines(jump(states(level)), final) for jump in jumps] for level in range(len(jumps))]
    square = np.mean([[np.sign(c) * c**2 for c in row] for row in at], 0)  # [jumps, N]
    member = (np.unique(texts)[:, None] == texts).astype(np.float64)  # [texts, N]
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(member), np.full(len(member), 1 / len(member)), draws)
    d = (counts @ (member @ square.T)) / (counts @ member.sum(1))[:, None]  # [draws, jumps]
    shares = np.bincount(d.argmax(1), minlength=len(jumps)) / draws
    low, high = np.quantile(d, [0.025, 0.975], 0)
    return {"texts": texts.tolist(), "shares": shares.tolist(), "d_low": low.tolist(), "d_high": high.tolist()}


def softmax(d, temperature=TEMPERATURE):
    e = np.exp((d - d.max()) / temperature)
    return e / e.sum()


# -------------------------------------------------------------------------------- the metrics


@dataclass
class Head:
    """Final norm (RMSNorm, or LayerNorm where there is a bias), then unembedding."""

    weight: np.ndarray
    unembedding: np.ndarray  # [V, H]
    eps: float
    bias: np.ndarray | None = None

    def __call__(self, h):
        h = np.asarray(h, np.float64)
        if self.bias is not None:
            h = h - h.mean(1, keepdims=True)
        h = h / np.sqrt((h**2).mean(1, keepdims=True) + self.eps) * self.weight
        if self.bias is not None:
            h = h + self.bias
        dtype = self.unembedding.dtype
        return (h.astype(dtype, copy=False) @ self.unembedding.T).astype(np.float64, copy=False)


def log_sum_exp(logits):
    top = logits.max(1, keepdims=True)
    return top[:, 0] + np.log(np.exp(logits - top).sum(1))


def chunks(n, size=256):
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


def top_tokens(head, final):
    return np.concatenate([head(final[c]).argmax(1) for c in chunks(len(final))])


def summarise(positions, **per_sample):
    """Means over all samples, and over those with position > 0."""
    rest = np.asarray(positions) > 0
    row = {}
    for suffix, keep in (("", np.ones(len(rest), bool)), ("_without_0", rest)):
        values = {name: v[keep] for name, v in per_sample.items()}
        for p in PRECISIONS:
            row[f"precision_{p}{suffix}"] = float((values["rank"] < p).mean())
        row[f"surprisal{suffix}"] = float(values["surprisal"].mean())
        row[f"mat_surprisal{suffix}"] = float(values["mat_surprisal"].mean())
        if "approx" in values:
            error, final = values["approx"] - values["final"], values["final"]
            row[f"cosine{suffix}"] = float(cosines(values["approx"], final).mean())
            row[f"relative_mse{suffix}"] = float((error**2).sum() / ((final - final.mean(0)) ** 2).sum())
        else:
            row[f"cosine{suffix}"] = row[f"relative_mse{suffix}"] = None
    return row


def metrics(head, shortcut, h, final, positions):
    """One row of per_level.parquet.  A token's rank: how many tokens have strictly greater logits."""
    return metrics_of_many(head, [shortcut], h, final, positions)[0]


def metrics_of_many(head, shortcuts, h, final, positions):
    """The same for several shortcuts at one level: the true distribution is computed once."""
    final = final.astype(np.float64)
    out = [{"rank": [], "surprisal": [], "mat_surprisal": [], "approx": []} for _ in shortcuts]
    for c in chunks(len(final)):
        truth = head(final[c])
        top, rows = truth.argmax(1), np.arange(len(truth))
        truth_lse = log_sum_exp(truth)
        for shortcut, o in zip(shortcuts, out):
            approx = shortcut(h[c])
            logits = head(approx)
            at_top = logits[rows, top]
            o["rank"].append((logits > at_top[:, None]).sum(1))
            o["surprisal"].append(log_sum_exp(logits) - at_top)
            o["mat_surprisal"].append(truth_lse - truth[rows, logits.argmax(1)])
            o["approx"].append(approx)
    return [summarise(positions, final=final, **{k: np.concatenate(v) for k, v in o.items()}) for o in out]


def constant_distribution(train_tops, vocabulary):
    """Witten-Bell: c / (N+T) for a token seen c times, T / (N+T) shared equally by the V-T unseen."""
    counts = np.bincount(train_tops, minlength=vocabulary)
    n, seen = counts.sum(), (counts > 0).sum()
    unseen = seen / (n + seen) / max(vocabulary - seen, 1)
    return np.where(counts > 0, counts / (n + seen), unseen)


def constant_metrics(p, head, final, positions):
    """Rank: how many tokens come before it, by probability, then by id."""
    rank_of = np.empty(len(p), np.int64)
    order = np.lexsort((np.arange(len(p)), -p))
    rank_of[order] = np.arange(len(p))
    rank, surprisal, mat = [], [], []
    for c in chunks(len(final)):
        truth = head(final[c])
        top = truth.argmax(1)
        rank.append(rank_of[top])
        surprisal.append(-np.log(p[top]))
        mat.append(log_sum_exp(truth) - truth[:, order[0]])
    joined = {k: np.concatenate(v) for k, v in dict(rank=rank, surprisal=surprisal, mat_surprisal=mat).items()}
    return summarise(positions, **joined)


# -------------------------------------------------------------------------------- file formats


class Hidden:
    """hidden/train or hidden/test: one level at a time, in the files' own order."""

    def __init__(self, folder):
        import pyarrow.parquet as pq

        self.files = [pq.ParquetFile(p) for p in sorted(Path(folder).glob("part-*.parquet"))]
        if not self.files:
            sys.exit(f"{folder}: no part-*.parquet")
        names = self.files[0].schema_arrow.names
        self.levels = sorted(n for n in names if re.fullmatch(r"level_\d+", n))
        self.blocks = len(self.levels) - 1
        self.positions = np.concatenate([f.read(["position"]).column(0).to_numpy() for f in self.files])
        self.cache = {}

    def __call__(self, level):
        parts = []
        for f in self.files:
            for chunk in f.read([self.levels[level]]).column(0).chunks:
                flat = chunk.flatten().to_numpy(zero_copy_only=False)
                if flat.dtype == np.uint16:  # The upper halves of float32: --store-dtype bf16.
                    flat = (flat.astype(np.uint32) << 16).view(np.float32)
                parts.append(flat.reshape(len(chunk), -1).astype(np.float32))
        return np.concatenate(parts)


def load_shortcuts(path):
    """({level or None: Affine}, metadata)"""
    from safetensors import safe_open

    with safe_open(path, "np") as f:
        metadata = f.metadata() or {}
        tensors = {name: f.get_tensor(name).astype(np.float64) for name in f.keys()}
    groups = {}
    for name, tensor in tensors.items():
        level, rest = re.fullmatch(r"(?:level\.(\d+)\.)?(.+)", name).groups()
        groups.setdefault(None if level is None else int(level), {})[rest] = tensor
    # What levels with numbers of their own share.
    shared = groups.pop(None) if None in groups and len(groups) > 1 else {}
    out = {}
    for level, own in groups.items():
        g = shared | own
        if "alpha" in g:
            out[level] = Residual(**g)
            continue
        norm = [g.get(f"norm.{n}") for n in ("running_mean", "running_var", "weight", "bias")]
        out[level] = Affine(g["w"]) if "w" in g else Affine(g["a"], g["b"], *norm)
    return dict(sorted(out.items(), key=lambda kv: -1 if kv[0] is None else kv[0])), metadata


def load_head(path, dtype=np.float64):
    path = Path(path)
    if path.suffix == ".gguf":
        import gguf

        reader = gguf.GGUFReader(path)
        tensors = {t.name: t for t in reader.tensors}

        def get(name):
            return gguf.dequantize(tensors[name].data, tensors[name].tensor_type)

        arch = reader.get_field("general.architecture").contents()
        layer_norm = reader.get_field(f"{arch}.attention.layer_norm_epsilon")
        eps = (layer_norm or reader.get_field(f"{arch}.attention.layer_norm_rms_epsilon")).contents()
        unembedding = get("output.weight" if "output.weight" in tensors else "token_embd.weight")
        bias = get("output_norm.bias") if "output_norm.bias" in tensors else None
        weight = get("output_norm.weight")
    else:
        from safetensors import safe_open

        config = json.loads((path / "config.json").read_text())
        tensors = {}
        for file in path.glob("*.safetensors"):
            with safe_open(file, "np") as f:
                for name in f.keys():
                    if re.search(r"(^|\.)(norm|ln_f)\.(weight|bias)$|(lm_head|embed_tokens|wte)\.weight$", name):
                        tensors[re.sub(r"^(model|transformer)\.", "", name)] = f.get_tensor(name)
        eps = config.get("rms_norm_eps") or config["layer_norm_epsilon"]
        weight = tensors.get("norm.weight", tensors.get("ln_f.weight"))
        bias = tensors.get("norm.bias", tensors.get("ln_f.bias"))
        names = [n for n in ("lm_head.weight", "embed_tokens.weight", "wte.weight") if n in tensors]
        unembedding = tensors[names[0]]
    return Head(weight.astype(np.float64), unembedding.astype(dtype), float(eps), None if bias is None else bias.astype(np.float64))


# -------------------------------------------------------------------------------------- check


def read_table(path):
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pylist()


def compare(rows, expected, keys, name):
    """Largest |difference| per column over the rows that `expected` knows (by `keys`)."""
    worst, compared = {}, 0
    for row in rows:
        want = expected.get(tuple(row[k] for k in keys))
        if want is None:
            continue
        compared += 1
        for column, value in want.items():
            got = row.get(column)
            if (got is None) != (value is None):
                worst[column] = (float("inf"), row)
            elif value is not None and abs(got - value) > worst.get(column, (-1,))[0]:
                worst[column] = (abs(got - value), row)
    print(f"{name}: {compared} of {len(rows)} rows compared")
    for column, (difference, row) in worst.items():
        print(f"    {column:28} max |difference| {difference:.3g}  at {[row[k] for k in keys]}")


def card(metadata):
    return ", ".join(f"{k} {metadata[k]}" for k in ("kind", "solver", "rank", "level", "ridge", "adam") if k in metadata)


def check(args):
    run = Path(args.run)
    train, test = Hidden(run / "hidden" / "train"), Hidden(run / "hidden" / "test")
    blocks = train.blocks
    levels = range(blocks) if args.levels is None else [int(v) for v in args.levels.split(",")]
    print(f"K = {blocks}, {len(train.positions)} training and {len(test.positions)} test samples")

    # 1. Trained shortcuts against the global optimum.  A·B is compared by what it does, not entry by entry.
    shortcuts = {p.stem: load_shortcuts(p) for p in sorted((run / "shortcuts").glob("*.safetensors"))}
    final = train(blocks)
    for stem, (maps, metadata) in shortcuts.items():
        kind = metadata.get("kind", stem)
        print(f"shortcuts/{stem}.safetensors: {card(metadata)}")
        if kind in ("one-jump", "residual"):
            continue  # Eq. 2 is not what it minimises; `tiny` has its closed form.
        for level, shortcut in maps.items():
            rank = shortcut.a.shape[1]
            if level is None:
                xs, where = [train(k) for k in range(blocks)], "all"
                best = fit_n_njtc(xs, [final] * blocks, rank)
                got, want = (np.mean([loss(s, x, final) for x in xs]) for s in (shortcut, best))
                apart = max(np.abs(shortcut(x) - best(x)).max() for x in xs)
            elif level in levels:
                x, where = train(level), level
                best = {
                    "jtc": lambda: fit_jtc(x, final),
                    "njtc": lambda: fit_njtc(x, final, rank),
                    "n-njtc": lambda: fit_n_njtc([x], [final], rank),
                }[kind]()
                got, want = loss(shortcut, x, final), loss(best, x, final)
                apart = np.abs(shortcut(x) - best(x)).max()
            else:
                continue
            print(
                f"    level {where}: training loss {got:.6f}, optimum {want:.6f}, excess {got / want - 1:+.2e}; "
                f"predictions apart by at most {apart:.3g}"
            )

    # 2. Scores and the choice.
    chosen = {}
    for path in sorted(run.glob("scores*.parquet")):
        stem = "n-njtc" + path.stem.removeprefix("scores")
        if stem not in shortcuts:
            print(f"{path.name}: no shortcuts/{stem}.safetensors")
            continue
        jumps = list(shortcuts[stem][0].values())
        cosine, square = scores(jumps, train)
        expected = {
            (m, k): {"mean_cosine": cosine[m, k], "mean_signed_square": square[m, k]}
            for m in range(blocks)
            for k in range(blocks + 1)
        }
        compare(read_table(path), expected, ("jump", "level"), path.name)
        for convention, d in d_scores(square).items():
            m = int(d.argmax())
            chosen[path.stem.removeprefix("scores"), convention] = m
            runner_up = np.sort(d)[-2]
            print(f"    {convention}: jump {m}, D = {d[m]:.6f} (next best {runner_up:.6f}), softmax {softmax(d)[m]:.4f}")
    chosen_files = {p.stem: load_shortcuts(p) for p in sorted(run.glob("ojfa*.safetensors"))}
    for name, (maps, metadata) in chosen_files.items():
        print(f"{name}.safetensors: {card(metadata)}")
        stem = "n-njtc" + name.removeprefix("ojfa")
        m = chosen.get((name.removeprefix("ojfa"), "exit"))
        if stem in shortcuts and m is not None:
            ours, theirs = shortcuts[stem][0][m], maps[None]
            same = all(np.array_equal(getattr(ours, f), getattr(theirs, f)) for f in ("a", "b", "mean", "var", "weight", "bias"))
            print(f"    equal to jump {m} of {stem}: {same}")

    # 3. The metrics.
    path = run / "results" / "per_level.parquet"
    if not path.exists():
        return
    rows = read_table(path)
    keys = ("method", "solver", "rank", "jump", "level")
    for row in rows:
        for key in keys:
            row.setdefault(key, None)
    head = load_head(args.model, np.dtype(args.head_dtype))
    final, positions = test(blocks), test.positions
    expected = {}
    for level in levels:
        wanted, maps = [], []
        for row in rows:
            if row["level"] == level and row["method"] != "constant":
                found = shortcut_of(row, shortcuts, chosen_files, level)
                if found is None:
                    print(f"    no shortcut for {[row[k] for k in keys]}")
                    continue
                wanted.append(tuple(row[k] for k in keys))
                maps.append(found)
        for key, result in zip(wanted, metrics_of_many(head, maps, test(level), final, positions)):
            expected[key] = result
    constants = [row for row in rows if row["method"] == "constant"]
    if constants:
        p = constant_distribution(top_tokens(head, train(blocks)), len(head.unembedding))
        result = constant_metrics(p, head, final, positions)
        expected |= {tuple(row[k] for k in keys): result for row in constants}
    compare(rows, expected, keys, "results/per_level.parquet")
    for method in sorted({k[0] for k in expected}):
        compare([r for r in rows if r["method"] == method], expected, keys, f"  {method}")


def shortcut_of(row, shortcuts, chosen_files, level):
    """The map that a row of per_level.parquet is about.  `jump` names a jump of an n-njtc file, applied at
    every level; without it, `ojfa` is the ojfa file's own map.  `solver` and `rank` pick among several
    files of one kind."""
    method = row["method"]
    if method == "identity":
        return identity
    files, at, kind = shortcuts, level, method
    if row["jump"] is not None and method not in ("jtc", "njtc", "joint"):
        kind, at = "n-njtc", row["jump"]
    elif method == "ojfa":
        files, at = chosen_files, None
    elif method in ("joint", "one-jump"):
        at = None
    for stem, (maps, _) in files.items():
        if re.sub(r"(-adam|-r\d+)*$", "", stem) != kind or (row["solver"] == "adam") != ("-adam" in stem):
            continue
        found = maps.get(at)
        if found is not None and (kind == "jtc" or row["rank"] is None or found.a.shape[1] == row["rank"]):
            return found
    return None


# --------------------------------------------------------------------------------------- tiny


def tiny_states(rng, n, blocks, maps):
    """Synthetic states [n, K+1, H]: residual updates, and rows at position 0 with a huge coordinate from
    level 1 on that the last block takes back, like an attention sink."""
    width = maps[0].shape[0]
    positions = rng.integers(1, 25, n)
    positions[rng.permutation(n)[: max(n // 12, 2)]] = 0
    h = rng.normal(size=(n, width)) * 0.5
    levels = [h]
    for k in range(blocks):
        h = h + 0.6 * np.tanh(h @ maps[k]) + 0.25 * rng.normal(size=h.shape) + 0.15
        levels.append(h)
    states = np.stack(levels, 1)
    states[positions == 0, 1:blocks, 3] += 400.0
    states[positions == 0, 1:blocks, 7] -= 90.0
    return states.astype(np.float32), positions.astype(np.int32)


def tiny(args):
    """A golden small enough to read: inputs in float32, expectations in float64."""
    width, blocks, vocabulary, rank, eps, n_train, n_test = 16, 4, 50, 3, 1e-5, 60, 40
    rng = np.random.default_rng(args.seed)
    maps = [rng.normal(size=(width, width)) * (0.3 + 0.25 * k) for k in range(blocks)]
    train, train_positions = tiny_states(rng, n_train, blocks, maps)
    test, test_positions = tiny_states(rng, n_test, blocks, maps)
    weight = rng.uniform(0.5, 1.5, width).astype(np.float32)
    unembedding = rng.normal(size=(vocabulary, width)).astype(np.float32)
    head = Head(weight.astype(np.float64), unembedding.astype(np.float64), eps)

    final = train[:, blocks]
    exits = [train[:, k] for k in range(blocks)]
    fitted = {
        "jtc": [fit_jtc(x, final) for x in exits],
        "njtc": [fit_njtc(x, final, rank) for x in exits],
        "n-njtc": [fit_n_njtc([x], [final], rank) for x in exits],
    }
    joint = fit_n_njtc(exits, [final] * blocks, rank)
    one_jump, one_jump_loss = fit_one_jump(exits, final, head, rank)
    cosine, square = scores(fitted["n-njtc"], lambda k: train[:, k])
    d = d_scores(square)
    alpha, residual, residual_loss = fit_residual(exits, final, head, rank)
    choice = {convention: int(values.argmax()) for convention, values in d.items()}
    texts = np.repeat(np.arange(n_train), 1 + np.arange(n_train) % 4)[:n_train]
    p = constant_distribution(top_tokens(head, final), vocabulary)

    rows = []
    for level in range(blocks):
        at = {kind: (None, maps[level]) for kind, maps in fitted.items()}
        at |= {"identity": (None, identity), "joint": (None, joint)}
        for convention, name in (("exit", "ojfa"), ("eq5", "ojfa-eq5")):
            at[name] = (choice[convention], fitted["n-njtc"][choice[convention]])
        for method, (jump, shortcut) in at.items():
            row = metrics(head, shortcut, test[:, level], test[:, blocks], test_positions)
            rows.append({"method": method, "jump": jump, "level": level} | row)
        constant = constant_metrics(p, head, test[:, blocks], test_positions)
        rows.append({"method": "constant", "jump": None, "level": level} | constant)

    def affine(shortcut):
        """As ĥ = h · m + c: unique, unlike A, B and bias."""
        c = shortcut(np.zeros((1, width)))
        return shortcut(np.eye(width)) - c, c[0]

    tensors = {
        "train.hidden": train,
        "train.position": train_positions,
        "test.hidden": test,
        "test.position": test_positions,
        "norm.weight": weight,
        "unembedding": unembedding,
    }
    for kind, shortcuts in fitted.items():
        for level, shortcut in enumerate(shortcuts):
            tensors[f"{kind}.level.{level}.m"], tensors[f"{kind}.level.{level}.c"] = affine(shortcut)
    tensors["joint.m"], tensors["joint.c"] = affine(joint)
    tensors["one-jump.m"] = one_jump / np.linalg.norm(one_jump)
    size = np.linalg.norm(residual)
    tensors["residual.alpha"], tensors["residual.m"] = alpha / size, residual / size
    golden = {
        "about": "expected values in float64 for the inputs in tiny.safetensors; made by `witness.py tiny`",
        "seed": args.seed,
        "blocks": blocks,
        "hidden_size": width,
        "vocabulary": vocabulary,
        "rank": rank,
        "head_norm": "rms",
        "head_norm_eps": eps,
        "batch_norm_eps": EPS,
        "training_loss": {k: [loss(s, x, final) for s, x in zip(v, exits)] for k, v in fitted.items()}
        | {"joint": float(np.mean([loss(joint, x, final) for x in exits])), "one-jump": one_jump_loss, "residual": residual_loss},
        "mean_cosine": cosine.tolist(),
        "mean_signed_square": square.tolist(),
        "d": {k: v.tolist() for k, v in d.items()},
        "softmax": {k: softmax(v).tolist() for k, v in d.items()},
        "choice": choice,
        "redrawn": [
            redrawn(fitted["n-njtc"], lambda k: train[:, k], t) for t in (np.arange(n_train), texts)
        ],
        "train_top_tokens": top_tokens(head, final).tolist(),
        "test_top_tokens": top_tokens(head, test[:, blocks]).tolist(),
        "constant_p": p.tolist(),
        "per_level": rows,
    }
    from safetensors.numpy import save_file

    args.out.mkdir(parents=True, exist_ok=True)
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, args.out / "tiny.safetensors")
    text = json.dumps(golden, indent=1)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda m: re.sub(r"\s+", " ", m[0]), text)  # one line per inner list
    (args.out / "tiny.json").write_text(text + "\n")
    print(f"choice {choice}, D {d}")
    return golden, head, fitted, joint, test


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    c = commands.add_parser("check", help="compare a run with this recomputation")
    c.add_argument("run")
    c.add_argument("--model", required=True, help=".gguf file, or Hugging Face directory")
    c.add_argument("--levels", help="exit levels of the training losses and metrics to check, e.g. 0,7,29; all if not given")
    c.add_argument("--head-dtype", default="float64", choices=["float32", "float64"], help="of the unembedding product")
    t = commands.add_parser("tiny", help="write tiny.safetensors and tiny.json")
    t.add_argument("--out", type=Path, default=Path(__file__).parent)
    t.add_argument("--seed", type=int, default=14, help="14: no near-ties at the ranks that decide a precision")
    args = parser.parse_args()
    {"check": check, "tiny": tiny}[args.command](args)


if __name__ == "__main__":
    main()
