//! `onejump-generate tune` and `bench`: what drafts pay, and what `--level auto` makes of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use onejump_tests::{fail, run, succeed};
use serde_json::{Value, json};

const MODEL: &str = "smollm2-135m";

#[test]
fn auto_drafts_what_pays_by_the_card() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let card = path("card.json");
    fs::write(path("prompts.txt"), "Once upon a time\n\nWater boils").unwrap();
    let (prompts, texts) = (path("prompts.txt"), path("texts.jsonl"));
    let table = succeed(
        "onejump-generate",
        &[
            &["tune", "-m", MODEL, "--levels", "0,28", "--prompts", &prompts, "-n", "12", "--out", &card][..],
            &["--texts", &texts],
        ]
        .concat(),
    );
    // What the model wrote can be captured.
    let written = fs::read_to_string(&texts).unwrap();
    let written: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(written.len(), 2);
    assert!(written[0]["text"].as_str().unwrap().starts_with("Once upon a time"), "{written:?}");
    let length = |text: &Value| text["input_ids"].as_array().unwrap().len() as u64;
    assert!(written.iter().all(|text| Some(length(text)) == text["prompt_tokens"].as_u64().map(|n| n + 12)));
    assert!(table.contains("the model's own head") && table.lines().count() >= 6, "{table}");
    let measured: Value = serde_json::from_slice(&fs::read(&card).unwrap()).unwrap();
    assert_eq!(measured["tokens"], 24);
    let costs = &measured["costs"];
    assert_eq!((costs["rows"].as_array().unwrap().len(), &costs["rows"][0]), (6, &json!(1.0)));
    // All blocks and the head are the token.
    let blocks = costs["block_share"].as_f64().unwrap() * 30.0;
    assert!(blocks > 0.4 && blocks < 1.0, "{costs}");
    let readings = measured["readings"].as_array().unwrap();
    let right = |index: usize| readings[index]["acceptance"][0].as_f64().unwrap();
    assert!(
        readings.len() == 2 && right(1) > right(0),
        "two blocks before the end more is known: {readings:?}"
    );

    let text = |prompt: &str, card: &str, more: &[&str]| -> Value {
        let arguments = ["-m", MODEL, "-p", prompt, "-n", "24", "--mode", "speculative", "--check", "--json"];
        let auto = ["--level", "auto", "--card", card];
        serde_json::from_str(&succeed("onejump-generate", &[&arguments[..], &auto, more].concat())).unwrap()
    };
    let auto = |card: &str| text("The University of Oxford is", card, &[]);
    let with = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut changed = measured.clone();
        change(&mut changed);
        fs::write(path(name), changed.to_string()).unwrap();
        path(name)
    };
    let slow = with("slow.json", &|card| {
        card["readings"][0]["speedup"] = json!(0.9);
        card["readings"][1]["speedup"] = json!(0.5);
    });
    assert_eq!(auto(&slow)["drafts"]["drafted"], 0);
    // What stood in the text before is drafted all the same.
    let drafts = text("one two one two one", &slow, &["--ngram"])["drafts"].clone();
    assert!(drafts["accepted"].as_u64() > Some(5), "{drafts}");
    let fast = with("fast.json", &|card| {
        card["readings"][1]["acceptance"] = json!([0.99]);
        card["readings"][1]["speedup"] = json!(1.9);
        card["readings"][1]["shape"] = json!({"chain": 1});
    });
    let drafts = auto(&fast)["drafts"].clone();
    assert!(drafts["accepted"].as_u64() > Some(5), "{drafts}");

    let other = with("other.json", &|card| card["model_sha256"] = json!("0"));
    let rounded = with("rounded.json", &|card| card["weights"] = json!("q8"));
    for (card, line) in [
        (other.as_str(), "is about another model"),
        (rounded.as_str(), "is about another precision or device"),
        (prompts.as_str(), "prompts.txt"),
    ] {
        let arguments = ["-m", MODEL, "-p", "x", "--mode", "speculative", "--level", "auto", "--card", card];
        let said = fail("onejump-generate", &arguments);
        assert!(said.contains(line), "{said}");
    }
    let said =
        fail("onejump-generate", &["-m", MODEL, "-p", "x", "--mode", "speculative", "--level", "auto"]);
    assert!(said.contains("--level auto needs a card"), "{said}");
}

/// Trained on states of the model's own text, looked at by `tune`, and the text is that in full.
#[test]
fn a_jump_that_reads_the_token_before_drafts() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (texts, hidden, jump, card) = (path("own.txt"), path("own"), path("jump.safetensors"), path("card"));
    // What the model itself says behind the first four words, to be learned by heart.
    let own = "The old lighthouse had been abandoned for decades, its crumbling";
    fs::write(&texts, format!("{own}\nWater boils when it is hot.\n")).unwrap();
    let capture = ["--model", MODEL, "--text", &texts, "--levels", "0,1,30", "--out", &hidden];
    succeed("onejump-capture", &[&capture[..], &["--positions", "all"]].concat());
    let train =
        ["--hidden", &hidden, "--model", MODEL, "--kind", "one-jump", "--levels", "0..1", "--out", &jump];
    let said = succeed(
        "onejump-train",
        &[&train[..], &["--previous", "--rank", "16", "--solver", "closed-form"]].concat(),
    );
    // 3·H·r + 4·H.
    assert!(said.contains("29,952 parameters"), "{said}");
    let tune = ["tune", "-m", MODEL, "--jump", &jump, "--levels", "0..1", "-n", "4", "--out", &card];
    succeed("onejump-generate", &tune);
    let begun = ["-m", MODEL, "-p", "The old lighthouse had", "-n", "8", "--jump", &jump];
    let speculative = [&begun[..], &["--mode", "speculative", "--level", "1"]].concat();
    for shape in [&["--siblings", "3"][..], &[]] {
        let arguments = [&speculative[..], shape, &["--check", "--json"]].concat();
        let outcome: Value = serde_json::from_str(&succeed("onejump-generate", &arguments)).unwrap();
        // Measured: 3 of 4 and 4; a jump that has learned nothing has none.
        assert!(outcome["drafts"]["accepted"].as_u64() > Some(1), "{outcome}");
        assert!(outcome["check"]["differs_at"].is_null(), "{outcome}");
    }
    for (more, line) in [
        (&["--mode", "speculative", "--level", "1", "--draft-max", "2"][..], "--draft-max above 1"),
        (&["--mode", "exit", "--level", "1"], "--mode exit"),
    ] {
        let said = fail("onejump-generate", &[&begun[..], more].concat());
        assert!(
            said.contains("the jump reads where the token before ended") && said.contains(line),
            "{said}"
        );
    }
    let score =
        ["--hidden", &hidden, "--shortcuts", &jump, "--out", &path("scores"), "--ojfa", &path("ojfa")];
    let said = fail("onejump-score", &score);
    assert!(said.contains("jump.safetensors: is for drafts alone"), "{said}");
}

#[test]
fn bench_times_pairs() {
    let arguments = [
        "bench",
        "-m",
        MODEL,
        "-p",
        "8",
        "-n",
        "6",
        "-r",
        "2",
        "--mode",
        "speculative",
        "--ngram=2",
        "--also",
        "--mode speculative --level 2 --draft-max '1'",
        "--also",
        "--mode exit --threshold 0.9",
    ];
    let rates: Value =
        serde_json::from_str(&succeed("onejump-generate", &[&arguments[..], &["--json"]].concat())).unwrap();
    let modes = rates["modes"].as_array().unwrap();
    let names: Vec<&str> = modes.iter().map(|mode| mode["mode"].as_str().unwrap()).collect();
    assert_eq!(names, ["speculative", "speculative", "exit"]);
    let timed = modes.iter().flat_map(|mode| [&mode["rate"], &mode["ratio"]]);
    for rate in [&rates["prompt"], &rates["full"]].into_iter().chain(timed) {
        assert!(rate["mean"].as_f64() > Some(0.0), "{rates}");
    }
    let wrong = run("onejump-generate", &["bench", "-m", MODEL, "--also", "--mode full --ngram"]);
    assert_eq!(wrong.status.code(), Some(2));
    let output = run("onejump-generate", &["bench", "-m", MODEL, "--mode", "none"]);
    assert_eq!(output.status.code(), Some(2));
}
