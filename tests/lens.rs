//! `onejump-lens`: its values are those of float64 and of `onejump-evaluate`, every format says the same, and what cannot be
//! shown is one line.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lens_page;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use onejump_core::observe::Silent;
use onejump_core::shortcut::{BATCH_NORM_EPS, ShortcutKind, Solver};
use onejump_lens::{Cell, Config, Input, Metric, look};
use onejump_models::checkpoint::Checkpoint;
use onejump_shortcuts::card::{Card, Target};
use onejump_shortcuts::file::{Maps, ShortcutFile};
use onejump_shortcuts::map::Map;
use onejump_store::analyses::read_rows;
use onejump_store::lens::LensRow;
use onejump_store::tables::{PerLevel, read_per_level};
use onejump_tests::words::{WORDS, checkpoint};
use onejump_tests::{Tensors, fail, folder, run, succeed};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

/// An RMSNorm, and a LayerNorm with a bias.
const CASES: [&str; 2] = ["llama-grouped-tied", "gpt2"];

const H: usize = 36;
const K: usize = 3;
const V: usize = 96;

/// Logits of order 1 to 10 in f32 sums of 36 values, of states that differ from transformers' by 1e-5 of themselves.
const TOLERANCE: f64 = 2e-4;

/// A tuned lens for a model, with random translators: ĥ = h + h·Wᵀ + b in the package's words, h·(1 + Wᵀ) + b here.
fn tuned_lens(model: &Path, out: &Path) -> Vec<(Vec<f32>, Vec<f32>)> {
    tch::manual_seed(11);
    let random = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu)) * 0.2;
    let translators: Vec<(Tensor, Tensor)> =
        (0..K).map(|_| (random(&[H as i64, H as i64]), random(&[H as i64]))).collect();
    let eye = Tensor::eye(H as i64, (Kind::Float, Device::Cpu));
    let map = |(weight, bias): &(Tensor, Tensor)| Map::Full {
        w: &eye + weight.transpose(0, 1),
        bias: Some(bias.shallow_clone()),
    };
    let card = Card {
        kind: ShortcutKind::TunedLens,
        model: "case".into(),
        model_sha256: Checkpoint::open(&model.display().to_string()).unwrap().sha256().unwrap(),
        hidden_sha256: String::new(),
        samples: "all".into(),
        target: Target::PreNorm,
        label: None,
        hidden_size: H,
        blocks: K,
        rank: None,
        solver: Solver::Adam,
        seed: 0,
        ridge: 0.0,
        adam: None,
        norm_eps: BATCH_NORM_EPS,
        training_loss: vec![0.0; K],
        loss_curves: None,
        held_out_curve: None,
        previous: false,
        choice: None,
    };
    let maps = Maps::PerLevel(translators.iter().map(map).collect());
    ShortcutFile { card, maps, previous: None }.write(out).unwrap();
    let values = |tensor: &Tensor| Vec::<f32>::try_from(tensor.reshape([-1])).unwrap();
    translators.iter().map(|(weight, bias)| (values(weight), values(bias))).collect()
}

/// A model's head in f64, from the checkpoint's tensors.
struct Exact {
    /// Gain, bias where the norm is a LayerNorm, and the embedding, which is tied.
    norm: (Vec<f32>, Option<Vec<f32>>),
    embedding: Vec<f32>,
}

impl Exact {
    fn of(case: &Path) -> Self {
        let tensors = Tensors::read(&case.join("model.safetensors"));
        if case.ends_with("gpt2") {
            let norm = (tensors.f32("transformer.ln_f.weight"), Some(tensors.f32("transformer.ln_f.bias")));
            return Self { norm, embedding: tensors.f32("transformer.wte.weight") };
        }
        let norm = (tensors.f32("model.norm.weight"), None);
        Self { norm, embedding: tensors.f32("model.embed_tokens.weight") }
    }

    /// ln of the probabilities at a state (H): (V).
    fn ln_probabilities(&self, state: &[f64], eps: f64) -> Vec<f64> {
        let (gain, bias) = &self.norm;
        let mean = if bias.is_some() { state.iter().sum::<f64>() / H as f64 } else { 0.0 };
        let square = state.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / H as f64;
        let normed: Vec<f64> = (0..H)
            .map(|i| {
                let shift = bias.as_ref().map_or(0.0, |bias| f64::from(bias[i]));
                (state[i] - mean) / (square + eps).sqrt() * f64::from(gain[i]) + shift
            })
            .collect();
        let rows = self.embedding.chunks(H);
        let logits: Vec<f64> =
            rows.map(|row| row.iter().zip(&normed).map(|(&e, x)| f64::from(e) * x).sum()).collect();
        let total = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
        logits.iter().map(|logit| logit - total).collect()
    }
}

/// transformers' states of the golden samples, and the package tuned-lens' formula, through the head in f64.
#[test]
fn values_are_those_of_float64_on_transformers_states() {
    let made = tempfile::tempdir().unwrap();
    for name in CASES {
        let case = folder().join("parity/cases").join(name);
        let config: Value = serde_json::from_slice(&fs::read(case.join("config.json")).unwrap()).unwrap();
        let eps = config.get("rms_norm_eps").unwrap_or(&config["layer_norm_epsilon"]).as_f64().unwrap();
        let (exact, hidden) =
            (Exact::of(&case), Tensors::read(&case.join("golden.safetensors")).f32("hidden"));
        let file = made.path().join(format!("{name}.safetensors"));
        let translators = tuned_lens(&case, &file);
        let samples = fs::read_to_string(case.join("samples.jsonl")).unwrap();
        for (sample, line) in samples.lines().enumerate() {
            let sampled: Value = serde_json::from_str(line).unwrap();
            let position = sampled["position"].as_u64().unwrap() as usize;
            let ids: Vec<i64> = serde_json::from_value(sampled["input_ids"].clone()).unwrap();
            let config = Config {
                shortcuts: vec![file.clone()],
                last: Some(1),
                metric: Metric::Kl,
                ..Config::new(&case.display().to_string(), Input::Ids(ids[..=position].to_vec()))
            };
            let lens = look(&config, &Silent).unwrap();
            assert_eq!((lens.columns.len(), lens.columns[0].position), (1, position));
            let state = |level: usize| -> Vec<f64> {
                hidden[(sample * (K + 1) + level) * H..][..H].iter().map(|&x| f64::from(x)).collect()
            };
            let truth = exact.ln_probabilities(&state(K), eps);
            for level in 0..=K {
                let state = state(level);
                let translated = match translators.get(level) {
                    None => state.clone(),
                    Some((weight, bias)) => (0..H)
                        .map(|i| {
                            let row = weight[i * H..][..H].iter().zip(&state);
                            state[i] + row.map(|(&w, x)| f64::from(w) * x).sum::<f64>() + f64::from(bias[i])
                        })
                        .collect(),
                };
                for (method, state) in [(0, state), (1, translated)] {
                    let said = format!("{name}, sample {sample}, method {method}, level {level}");
                    let ours = &lens.methods[method].cells[level][0];
                    same(ours, &exact.ln_probabilities(&state, eps), &truth, &said);
                }
            }
        }
    }
}

/// A cell beside ln q and ln p in f64.
fn same(cell: &Cell, ln_q: &[f64], ln_p: &[f64], said: &str) {
    let near = |ours: f64, exact: f64, what: &str| {
        assert!((ours - exact).abs() < TOLERANCE * exact.abs().max(1.0), "{said}: {what} {ours} {exact}");
    };
    let order = |values: &[f64]| {
        let mut places: Vec<usize> = (0..V).collect();
        places.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        places
    };
    let (truth, best) = (order(ln_p)[0], order(ln_q));
    near(cell.surprisal, -ln_q[truth], "surprisal");
    near(cell.kl.unwrap(), ln_p.iter().zip(ln_q).map(|(p, q)| p.exp() * (p - q)).sum(), "KL");
    assert_eq!(cell.rank, best.iter().position(|&token| token == truth).unwrap() + 1, "{said}");
    for (likely, &token) in cell.best.iter().zip(&best) {
        near(likely.probability, ln_q[token].exp(), "probability");
        assert_eq!(likely.token as usize, token, "{said}");
    }
    assert_eq!(cell.best.len(), 5);
}

/// A model whose tokenizer knows six words, its states, and shortcuts that are trained on them.
struct Bench {
    folder: tempfile::TempDir,
    model: tempfile::TempDir,
}

/// Sentences of the model's words.
fn sentences() -> String {
    let words =
        |text: usize| (0..3 + text % 9).map(move |place| WORDS[3 + (text * 7 + place * place * 5) % 3]);
    (0..60).map(|text| words(text).collect::<Vec<_>>().join(" ") + "\n").collect()
}

const TEXT: &str = "the quick fox the fox quick quick the";

impl Bench {
    fn new() -> Self {
        let model = checkpoint("llama-grouped-tied", &WORDS, [Some("<s>"), None]);
        let bench = Self { folder: tempfile::tempdir().unwrap(), model };
        bench.write("train.txt", &sentences());
        let (model, path) = (bench.model(), |name: &str| bench.path(name));
        let capture = [
            "--device",
            "cpu",
            "--model",
            &model,
            "--sentences",
            &path("train.txt"),
            "--out",
            &path("train"),
        ];
        succeed("onejump-capture", &capture);
        let train =
            ["--hidden", &path("train"), "--kind", "n-njtc,jtc,joint", "--rank", "2", "--out", &path("maps")];
        succeed("onejump-train", &train);
        let jumps = path("maps/n-njtc-r2.safetensors");
        let score = ["--hidden", &path("train"), "--shortcuts", &jumps, "--out", &path("scores.parquet")];
        succeed("onejump-score", &[&score[..], &["--ojfa", &path("ojfa.safetensors")]].concat());
        tuned_lens(bench.model.path(), path("maps/tuned-lens.safetensors").as_ref());
        bench
    }

    fn model(&self) -> String {
        self.model.path().display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn shortcuts(&self) -> Vec<String> {
        let maps = ["n-njtc-r2", "jtc", "joint-r2", "tuned-lens"];
        let maps = maps.map(|kind| self.path(&format!("maps/{kind}.safetensors")));
        maps.into_iter().chain([self.path("ojfa.safetensors")]).collect()
    }

    /// Arguments for the text with all shortcuts.
    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let files = self.shortcuts();
        let fixed = ["--model", &self.model(), "--text", TEXT, "--shortcuts"].map(str::to_owned);
        fixed.into_iter().chain(files).chain(more.iter().map(|&argument| argument.to_owned())).collect()
    }

    fn lens(&self, more: &[&str]) -> String {
        succeed("onejump-lens", &strs(&self.arguments(more)))
    }

    fn table(&self, more: &[&str]) -> Vec<LensRow> {
        let out = self.path("lens.parquet");
        self.lens(&[&["--out", &out], more].concat());
        read_rows(out.as_ref()).unwrap().unwrap()
    }
}

fn strs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// The same positions through capture, whose samples are computed one by one, and evaluate. Precisions are shares of a few
/// positions; f32 sums in another order.
#[test]
fn means_are_those_of_evaluate_at_the_same_positions() {
    let bench = Bench::new();
    let rows = bench.table(&["--metric", "kl"]);
    let ids: Vec<i64> = rows[..9].iter().map(|row| row.input_id).collect();
    assert_eq!(ids, [1, 3, 4, 5, 3, 5, 4, 4, 3]);
    let sample = |position| format!("{}\n", json!({"input_ids": ids, "position": position}));
    bench.write("positions.jsonl", &(0..ids.len()).map(sample).collect::<String>());
    let (model, path) = (bench.model(), |name: &str| bench.path(name));
    let samples = path("positions.jsonl");
    let capture = ["--device", "cpu", "--model", &model, "--samples", &samples, "--out", &path("test")];
    succeed("onejump-capture", &capture);
    let files = bench.shortcuts();
    let (one, others) = files.split_last().unwrap();
    let evaluate = [
        "--hidden",
        &path("test"),
        "--model",
        &model,
        "--out",
        &path("results"),
        "--ojfa",
        one,
        "--shortcuts",
    ];
    succeed("onejump-evaluate", &[&evaluate[..], &strs(others)].concat());
    let evaluated = read_per_level(path("results/per_level.parquet").as_ref()).unwrap();
    let mut compared = 0;
    for PerLevel { method, level, all, without_0 } in &evaluated {
        let name = method.name.to_string();
        let of_level =
            |row: &&LensRow| row.level as usize == *level && row.method.split(' ').next() == Some(&name);
        let ours: Vec<&LensRow> = rows.iter().filter(of_level).collect();
        if ours.is_empty() {
            assert!(name == "constant" || name.starts_with("jump-"), "{name}");
            continue;
        }
        assert_eq!(ours.len(), ids.len(), "{name}");
        for (rows, theirs) in [(&ours[..], Some(*all)), (&ours[1..], *without_0)] {
            let (theirs, mean) = (theirs.unwrap(), |value: &dyn Fn(&LensRow) -> f64| {
                rows.iter().map(|row| value(row)).sum::<f64>() / rows.len() as f64
            });
            let share = |most: u32| mean(&|row| f64::from(u8::from(row.rank <= most)));
            for (share, theirs) in [
                (share(1), theirs.precision_1),
                (share(5), theirs.precision_5),
                (share(10), theirs.precision_10),
            ] {
                assert!((share - theirs).abs() < 1e-12, "{name}, level {level}: {share} {theirs}");
            }
            let right = mean(&|row| f64::from(u8::from(row.token_id == row.true_id)));
            assert!((right - theirs.precision_1).abs() < 1e-12, "{name}, level {level}");
            let surprisal = mean(&|row| row.surprisal);
            let near = (surprisal - theirs.surprisal).abs() < 1e-5 * theirs.surprisal.max(1.0);
            assert!(near, "{name}, level {level}: {surprisal} {}", theirs.surprisal);
            compared += 1;
        }
    }
    assert_eq!(compared, 6 * K * 2, "identity, n-njtc, jtc, joint, tuned-lens, ojfa");
}

#[test]
fn every_format_says_the_same() {
    let bench = Bench::new();
    let more = ["--levels", "0,2", "--last", "5", "--threshold", "0.2", "--metric", "kl"];
    let rows = bench.table(&more);
    assert_eq!(rows.len(), 6 * 3 * 5);
    let said = bench.lens(&[&more[..], &["--format", "json"]].concat());
    let document: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&document["levels"], &document["blocks"]), (&json!([0, 2, 3]), &json!(3)));
    let mut expected = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        let (method, level, place) = (index / 15, index / 5 % 3, index % 5);
        let (read, position) = (&document["methods"][method], &document["positions"][place]);
        let cell = &read["cells"][level][place];
        for (ours, theirs) in [
            (json!(row.method), &read["method"]),
            (json!(row.level), &document["levels"][level]),
            (json!(row.position), &position["position"]),
            (json!(row.input), &position["input"]),
            (json!(row.true_token), &position["true_token"]),
            (json!(row.next), &position["next"]),
            (json!(row.rank), &cell["rank"]),
            (json!(row.stays_from), &read["stays_from"][place]),
            (json!(row.exit_level), &read["exit_level"][place]),
        ] {
            assert_eq!(&ours, theirs, "row {index}");
        }
        // serde_json reads numbers to one rounding.
        let near = |ours: f64, theirs: &Value| {
            assert!(
                (ours - theirs.as_f64().unwrap()).abs() < 1e-12 * ours.abs().max(1.0),
                "{index}: {ours} {theirs}"
            );
        };
        near(row.surprisal, &cell["surprisal"]);
        near(row.kl.unwrap(), &cell["kl"]);
        assert_eq!(row.next_probability.is_some(), !cell["next_probability"].is_null());
        for (best, (id, probability)) in row.top_ids.iter().zip(&row.top_probabilities).enumerate() {
            assert_eq!(json!(id), cell["top"][best]["id"]);
            near(*probability, &cell["top"][best]["probability"]);
        }
        expected.insert((method, level, place), row.clone());
    }
    // Words of the text, and what follows each; the last level is the model whatever the method.
    let texts: Vec<&str> = rows[..5].iter().map(|row| row.input.as_str()).collect();
    assert_eq!((texts, rows[4].next.as_deref()), (vec!["the", "fox", "quick", "quick", "the"], None));
    for ((method, _, place), row) in expected.iter().filter(|((_, level, _), _)| *level == 2) {
        assert_eq!(row.top_ids, expected[&(0, 2, *place)].top_ids, "method {method}");
        assert_eq!((row.level, row.rank, row.kl, row.token_id), (3, 1, Some(0.0), row.true_id));
    }
    // What a position's columns say follows from its levels.
    for ((method, level, place), row) in &expected {
        let at = |level: usize| &expected[&(*method, level, *place)];
        let stays = (0..3).find(|&from| (from..3).all(|level| at(level).token_id == row.true_id)).unwrap();
        assert_eq!(row.stays_from, at(stays).level, "{method} {level} {place}");
        let exit = (0..2).find(|&level| at(level).probability > 0.2).unwrap_or(2);
        assert_eq!(row.exit_level, at(exit).level, "{method} {level} {place}");
    }
    // Equal inputs give equal bytes; text is the default.
    for format in ["html", "svg", "json", "txt", "parquet"] {
        let (one, two) = (bench.path(&format!("one.{format}")), bench.path(&format!("two.{format}")));
        for out in [&one, &two] {
            let said = bench.lens(&[&more[..], &["--out", out]].concat());
            assert_eq!(said, format!("{out}: 5 × 3 × 6 cells, positions × levels × methods\n"));
        }
        assert!(fs::read(&one).unwrap() == fs::read(&two).unwrap(), "{format}");
    }
    let text = bench.lens(&more);
    assert_eq!(text, fs::read_to_string(bench.path("one.txt")).unwrap());
    assert!(text.lines().all(|line| line.chars().count() <= 100) && !text.contains('\u{1b}'), "{text}");
    let html = fs::read_to_string(bench.path("one.html")).unwrap();
    assert_eq!(html.matches("<td tabindex").count(), rows.len());
}

#[test]
fn what_cannot_be_shown_is_one_line() {
    let bench = Bench::new();
    let (model, jumps) = (bench.model(), bench.path("ojfa.safetensors"));
    bench.write("long.txt", &"fox ".repeat(70));
    bench.write("empty.txt", " \n");
    fs::write(bench.path("latin.txt"), b"Z\xfcrich").unwrap();
    let (long, empty, latin) = (bench.path("long.txt"), bench.path("empty.txt"), bench.path("latin.txt"));
    let other = checkpoint("llama-grouped-tied", &WORDS, [None, None]);
    let other = other.path().display().to_string();
    for (arguments, words) in [
        (&["--model", &model, "--file", &long][..], "the text has 71 tokens, and the model takes 64 at most"),
        (&["--model", &model, "--file", &empty], "the text is empty"),
        (&["--model", &model, "--text", ""], "the text is empty"),
        (&["--model", &model, "--file", &latin], "latin.txt: line 1 is not UTF-8 text"),
        (&["--model", &model, "--text", "fox", "--levels", "0..4"], "there is no level 4"),
        (&["--model", &model, "--text", "fox", "--last", "0"], "--last 0 keeps no position"),
        (&["--model", &model, "--text", "fox", "--threshold", "1.5"], "the threshold is 1.5"),
        (&["--model", &model, "--text", "fox", "--format", "parquet"], "needs a file"),
        (&["--model", &model, "--text", "fox", "--out", "lens.png"], "say --format"),
        (&["--model", &model, "--ids", "3,96"], "token id 96"),
        (&["--model", &model, "--text", "fox", "--shortcuts", "nothing.safetensors"], "nothing.safetensors"),
        (&["--model", &other, "--text", "fox", "--shortcuts", &jumps], "was trained on another checkpoint"),
    ] {
        let said = fail("onejump-lens", arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    let many = vec![jumps.as_str(); 30];
    let ids = vec!["5"; 64].join(",");
    let arguments = ["--model", &model, "--ids", &ids, "--format", "svg", "--shortcuts"];
    let said = fail("onejump-lens", &[&arguments[..], &many].concat());
    let words = "64 positions × 4 levels × 31 methods are 7,936 cells, and this format shows 6,000 at most: keep the last \
                 positions with --last 48, or fewer levels with --levels 0..3/2";
    assert!(said.contains(words), "{said}");
    succeed("onejump-lens", &[&arguments[..], &many, &["--last", "48"]].concat());
    for wrong in [
        &["--text", "fox", "--ids", "3"][..],
        &["--ids", "3", "--bos", "never"],
        &[],
        &["--text", "fox", "--metric", "cosine"],
    ] {
        let output = run("onejump-lens", &[&["--model", &model][..], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
