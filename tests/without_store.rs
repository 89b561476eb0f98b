//! Scores and evaluation in shares of the samples, whose states are never all in one place: what they come to is, to the
//! byte, what all states together do.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use onejump_tests::synthetic::{Sizes, write_model, write_texts, write_tokenizer};
use onejump_tests::{binary, fail, succeed};
use rustix::process::{Pid, Signal, kill_process};

/// Few enough levels that a test is quick, and wide enough that 8,192 rows are a part.
const SIZES: Sizes = Sizes { hidden: 512, blocks: 3, vocabulary: 256 };

/// Texts of 4.5 tokens; all of them are rows.
const TEXTS: [(&str, usize); 2] = [("train", 4200), ("test", 2000)];

/// A model, texts, and everything made with a store.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        let model = bench.folder.path().join("model");
        write_model(&model, SIZES);
        write_tokenizer(&model, SIZES);
        fs::create_dir(bench.folder.path().join("text")).unwrap();
        for (split, texts) in TEXTS {
            write_texts(&bench.folder.path().join(format!("text/{split}.txt")), SIZES, texts);
        }
        bench
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Paths begin with `@`.
    fn arguments(&self, words: &str) -> Vec<String> {
        let path = |word: &str| word.strip_prefix('@').map_or(word.to_owned(), |name| self.path(name));
        words.split_whitespace().map(path).collect()
    }

    fn run(&self, program: &str, words: &str) -> String {
        let arguments = self.arguments(words);
        succeed(program, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn refusal(&self, program: &str, words: &str) -> String {
        let arguments = self.arguments(words);
        fail(program, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn same(&self, one: &str, other: &str) {
        let read = |name: &str| fs::read(self.path(name)).unwrap();
        assert!(read(one) == read(other), "{one} {other}");
    }
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

const SETS: [&str; 4] = ["jtc", "njtc", "n-njtc", "joint"];

#[test]
fn shares_of_the_samples_come_to_the_bytes_of_the_whole() {
    let bench = Bench::new();
    let reproduce =
        "--model @model --sentences @text --out @run --rank 5 --positions all --device cpu --no-states 3";
    // Stopped in the middle of a pass, the same command goes on.
    let mut child = Command::new(binary("onejump-reproduce"))
        .args(bench.arguments(reproduce))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let first = bench.folder.path().join("run/shard-0-of-3/scores.safetensors");
    while !first.is_file() && child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
    assert!(first.is_file() && !bench.folder.path().join("run/scores.parquet").is_file());
    let said = bench.run("onejump-reproduce", reproduce);
    assert!(said.contains("evaluate") && said.contains("score-n-njtc.2-of-3"), "{said}");
    // No states are left, only what says what they were.
    let left = files(&bench.folder.path().join("run/hidden"));
    let manifests = left.iter().filter(|file| file.ends_with("manifest.json")).count();
    assert_eq!((left.len(), manifests), (7, 6), "{left:?}");
    let again = bench.run("onejump-reproduce", &format!("{reproduce} --publish @hub"));
    assert!(!again.contains("pass-train.0-of-3"), "{again}");
    assert!(bench.folder.path().join("run/report.html").is_file());
    assert!(bench.folder.path().join("hub/config.json").is_file());
    for (shards, line) in [("1", "give 2 or more"), ("2", "holds 3 shards; give 3")] {
        let said =
            bench.refusal("onejump-reproduce", &reproduce.replace("states 3", &format!("states {shards}")));
        assert!(said.contains(line), "{said}");
    }

    // With a store, from the same shortcuts.
    for (split, _) in TEXTS {
        let words = format!(
            "--model @model --device cpu --positions all --sentences @text/{split}.txt --out @hidden/{split}"
        );
        bench.run("onejump-capture", &words);
    }
    let score =
        "--shortcuts @run/shortcuts/n-njtc.safetensors --out @scores.parquet --ojfa @ojfa.safetensors";
    bench.run("onejump-score", &format!("--hidden @hidden/train {score}"));
    bench.same("scores.parquet", "run/scores.parquet");
    bench.same("ojfa.safetensors", "run/ojfa.safetensors");
    let shortcuts = SETS.map(|set| format!("@run/shortcuts/{set}.safetensors")).join(" ");
    let evaluate = format!("--model @model --shortcuts {shortcuts} --ojfa @run/ojfa.safetensors");
    let evaluate = |hidden: &str, more: &str| format!("--hidden {hidden} {evaluate} {more}");
    bench.run("onejump-evaluate", &evaluate("@hidden/test", "--out @results"));
    for file in ["per_level.parquet", "summary.json", "truth-train.parquet"] {
        bench.same(&format!("results/{file}"), &format!("run/results/{file}"));
    }

    // Shares of the levels come to the same.
    for shard in ["1/2", "0/2"] {
        bench.run("onejump-evaluate", &evaluate("@hidden/test", &format!("--out @levels --shard {shard}")));
    }
    bench.run("onejump-evaluate", &evaluate("@hidden/test", "--out @levels --join 2"));
    for file in ["per_level.parquet", "summary.json"] {
        bench.same(&format!("results/{file}"), &format!("levels/{file}"));
    }
    refusals(&bench, score, &evaluate);
}

/// What does not belong together, or is not there, is named.
fn refusals(bench: &Bench, score: &str, evaluate: &dyn Fn(&str, &str) -> String) {
    let capture =
        "--model @model --device cpu --positions all --sentences @text/test.txt --out @apart --shard 0/2";
    bench.run("onejump-capture", capture);
    let shard = "--hidden @apart/shard-0-of-2";
    let said = bench.refusal("onejump-score", &format!("{shard} {score} --first 9"));
    assert!(said.contains("leave out --first"), "{said}");
    let said = bench.refusal(
        "onejump-evaluate",
        &evaluate("@apart/shard-0-of-2", "--train-hidden @hidden/train --out @apart/results --shard 0/2"),
    );
    assert!(said.contains("its samples are the share"), "{said}");
    let said = bench.refusal("onejump-score", &format!("--hidden @apart {score} --join 2"));
    assert!(said.contains("shard 1/2 is missing"), "{said}");
    let said = bench.refusal("onejump-score", &format!("--hidden @run/hidden/train {score} --join 2"));
    assert!(said.contains("not there") && said.contains("onejump-score for shard 0/2"), "{said}");
    let fewer =
        "--hidden @run/hidden/test --train-hidden @hidden/train --model @model --out @run/results --join 3";
    let said = bench.refusal("onejump-evaluate", fewer);
    assert!(said.contains("of other states, shortcuts or options"), "{said}");
    let other =
        "--hidden @run/hidden/test --shortcuts @run/shortcuts/n-njtc.safetensors --out @run/scores.parquet";
    let said = bench.refusal("onejump-score", &format!("{other} --join 3"));
    assert!(said.contains("of other states, shortcuts or options"), "{said}");
    // Without the predictions of the training samples there is no constant to compare with.
    let said = bench.refusal(
        "onejump-evaluate",
        &evaluate("@hidden/test", "--train-hidden @run/hidden/train --out @elsewhere"),
    );
    assert!(said.contains("onejump-evaluate --truth"), "{said}");
}
