//! Texts in every format, many positions of a text, chunks, and some levels alone. The files in `cases/texts` come
//! from pyarrow and gzip (`make.py` there).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod data_sets;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use onejump_core::manifest::HiddenManifest;
use onejump_shortcuts::file::ShortcutFile;
use onejump_store::hidden::HiddenStates;
use onejump_store::part::{read_chunks, read_positions, read_text_ids, read_token_ids};
use onejump_tests::words::{WORDS, checkpoint, configure};
use onejump_tests::{fail, folder, relative_error, run, succeed};
use serde_json::{Value, json};
use tch::Tensor;

/// Sums of a few dozen f32 in another order, through three blocks.
const TOLERANCE: f64 = 1e-5;

/// Token ids of the texts in `cases/texts`, of which the third is empty: fox is 5, quick 4, the 3.
const IDS: [&[i32]; 5] =
    [&[3, 4, 5], &[5], &[3, 5, 3, 4, 4, 5, 3, 5], &[4, 3], &[5, 4, 5, 3, 3, 3, 4, 5, 5, 4, 3, 5]];

/// A model and a folder for what is captured.
struct Bench {
    folder: tempfile::TempDir,
    model: tempfile::TempDir,
}

impl Bench {
    fn new(around: [Option<&str>; 2]) -> Self {
        let model = checkpoint("llama-grouped-tied", &WORDS, around);
        Self { folder: tempfile::tempdir().unwrap(), model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn arguments(&self, out: &str, more: &[&str]) -> Vec<String> {
        let (model, out) = (self.model.path().display().to_string(), self.path(out).display().to_string());
        let fixed = ["--device", "cpu", "--model", &model, "--out", &out];
        fixed.iter().chain(more).map(|&argument| argument.to_owned()).collect()
    }

    fn capture(&self, out: &str, more: &[&str]) -> Captured {
        let arguments = self.arguments(out, more);
        succeed("onejump-capture", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        succeed("onejump-store", &["verify", &self.path(out).display().to_string()]);
        Captured { dir: self.path(out) }
    }

    fn refusal(&self, more: &[&str]) -> String {
        let arguments = self.arguments("refused", more);
        fail("onejump-capture", &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Writes a file of texts.
    fn text(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).display().to_string()
    }
}

/// A folder of one part.
struct Captured {
    dir: PathBuf,
}

impl Captured {
    fn part(&self) -> PathBuf {
        self.dir.join("part-00000.parquet")
    }

    fn ids(&self) -> Vec<Vec<i32>> {
        read_token_ids(&self.part()).unwrap()
    }

    fn positions(&self) -> Vec<u32> {
        read_positions(&self.part()).unwrap()
    }

    fn states(&self) -> HiddenStates {
        HiddenStates::open(&self.dir).unwrap()
    }

    fn inputs(&self) -> Value {
        serde_json::to_value(HiddenManifest::read(&self.dir).unwrap().inputs).unwrap()
    }
}

fn case(name: &str) -> String {
    folder().join("cases/texts").join(name).display().to_string()
}

/// The positions are those that the version before many positions drew; bytes of states differ between processors.
#[test]
fn one_position_of_a_sentence_is_drawn_and_stored_as_ever() {
    let bench = Bench::new([None, None]);
    let sentences = ["--sentences", &case("plain.txt")];
    for (seed, positions) in [("0", [2, 0, 5, 0, 5]), ("7", [0, 0, 2, 0, 2])] {
        let captured = bench.capture(seed, &[&sentences[..], &["--seed", seed]].concat());
        assert_eq!(captured.ids(), IDS);
        assert_eq!(captured.positions(), positions);
        let explicit = [&sentences[..], &["--seed", seed, "--positions", "1", "--levels", "0..3"]].concat();
        let explicit = bench.capture(&format!("{seed}-explicit"), &explicit);
        assert!(fs::read(captured.part()).unwrap() == fs::read(explicit.part()).unwrap());
        assert_eq!(captured.inputs(), explicit.inputs());
        assert!(read_text_ids(&captured.part()).is_err() && read_chunks(&captured.part()).is_err());
        let inputs = captured.inputs();
        let keys: Vec<&String> = inputs.as_object().unwrap().keys().collect();
        let known = [
            "model",
            "architecture",
            "model_sha256",
            "hidden_size",
            "blocks",
            "vocab_size",
            "sentences",
            "sentences_sha256",
            "samples",
            "truncated",
            "seed",
            "position_0",
            "bos",
            "dtype",
            "store_dtype",
            "device",
            "batch_tokens",
            "onejump",
            "libtorch",
        ];
        assert_eq!(keys, known);
        assert_eq!(captured.states().text_ids().unwrap(), [0, 1, 2, 3, 4]);
    }
}

#[test]
fn every_format_has_the_same_texts() {
    let bench = Bench::new([None, None]);
    let sentences = bench.capture("sentences", &["--sentences", &case("plain.txt")]);
    let expected = fs::read(sentences.part()).unwrap();
    for file in
        ["plain.txt", "lines.jsonl", "lines.jsonl.gz", "lines.jsonl.zst", "snappy.parquet", "gzip.parquet"]
    {
        let captured = bench.capture(file, &["--text", &case(file), "--column", "body"]);
        assert_eq!(captured.ids(), IDS, "{file}");
        assert!(fs::read(captured.part()).unwrap() == expected, "{file}");
        let inputs = captured.inputs();
        assert_eq!((&inputs["sentences"], &inputs["chunk_tokens"]), (&json!(file), &json!(64)));
    }
    // Files one after another, as many texts as are wanted; text_id counts the empty ones.
    let files = ["--text", &case("plain.txt"), &case("snappy.parquet"), "--column", "body"];
    let both = bench.capture("both", &[&files[..], &["--positions", "2", "--limit", "9"]].concat());
    assert_eq!(both.states().text_ids().unwrap(), [0, 0, 1, 3, 3, 4, 4, 5, 5, 6, 6, 7]);
    assert_eq!(both.inputs()["sentences"], "plain.txt, snappy.parquet");
    // A folder has its files by name, and a file of text can be one text.
    fs::create_dir_all(bench.path("folder/b")).unwrap();
    fs::write(bench.path("folder/b/2.txt"), "\u{feff}the fox\r\nquick\r\n").unwrap();
    fs::write(bench.path("folder/1.txt"), "fox").unwrap();
    fs::write(bench.path("folder/LICENSE"), "not a text").unwrap();
    let folder = bench.path("folder").display().to_string();
    let lines = bench.capture("lines", &["--text", &folder]);
    assert_eq!(lines.ids(), [&[5][..], &[3, 5], &[4]]);
    let whole = bench.capture("whole", &["--text", &folder, "--whole-files"]);
    assert_eq!(whole.ids(), [&[5][..], &[3, 5, 4]]);
}

#[test]
fn many_positions_have_the_states_of_one_at_a_time() {
    let bench = Bench::new([None, None]);
    let sentences = ["--sentences", &case("plain.txt"), "--seed", "7"];
    let one = bench.capture("one", &sentences).positions();
    for (positions, batches) in [
        ("3", &[][..]),
        ("3", &["--batch-parts", "2", "--batch-tokens", "12"]),
        ("8", &[]),
        ("all", &[]),
        ("all", &["--batch-parts", "2"]),
    ] {
        let name = format!("{positions}-{}", batches.len());
        let many = bench.capture(&name, &[&sentences[..], &["--positions", positions], batches].concat());
        let texts = read_text_ids(&many.part()).unwrap();
        let rows: Vec<(u64, u32)> = texts.iter().copied().zip(many.positions()).collect();
        let most = positions.parse().unwrap_or(usize::MAX);
        for ((text, ids), one) in [0, 1, 3, 4, 5].into_iter().zip(IDS).zip(&one) {
            let of_text: Vec<u32> = rows.iter().filter(|row| row.0 == text).map(|row| row.1).collect();
            assert_eq!(of_text.len(), most.min(ids.len()));
            assert!(of_text.windows(2).all(|pair| pair[0] < pair[1]) && of_text.contains(one));
        }
        assert!(rows.is_sorted() && read_chunks(&many.part()).unwrap().iter().all(|&chunk| chunk == 0));
        let inputs = many.inputs();
        assert_eq!((&inputs["positions"], &inputs["texts"]), (&json!(positions), &json!(5)));
        assert_eq!(inputs["samples"], rows.len());
        // Each row by itself, from its exact ids.
        let lines = many.ids().into_iter().zip(many.positions());
        let lines: String = lines
            .map(|(ids, position)| format!("{}\n", json!({"input_ids": ids, "position": position})))
            .collect();
        let samples = bench.text(&format!("{name}.jsonl"), &lines);
        let single = bench.capture(&format!("{name}-single"), &["--samples", &samples]).states();
        let many = many.states();
        for level in 0..=3 {
            let (ours, expected) = (many.level(level).unwrap(), single.level(level).unwrap());
            for (row, (ours, expected)) in ours.chunks(36).zip(expected.chunks(36)).enumerate() {
                let error = relative_error(ours, expected);
                assert!(error < TOLERANCE, "{name}, level {level}, row {row}: {error}");
            }
        }
    }
    // Another number of positions is another capture.
    let arguments = bench.arguments("3-0", &sentences);
    let output = run("onejump-capture", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("holds another capture"), "{said}");
}

/// What comes after a capture takes a row for a sample. (That intervals draw texts is tested beside the bootstrap.)
#[test]
fn stages_go_on_with_many_positions() {
    let bench = Bench::new([None, None]);
    let words =
        |text: usize| (0..3 + text % 9).map(move |place| WORDS[3 + (text * 7 + place * place * 5) % 3]);
    let text = |text| words(text).collect::<Vec<_>>().join(" ") + "\n";
    let sentences = bench.text("sentences.txt", &(0..90).map(text).collect::<String>());
    let sentences = ["--sentences", &sentences];
    let train = bench.capture("train", &[&sentences[..], &["--positions", "4"]].concat());
    bench.capture("test", &[&sentences[..], &["--positions", "4", "--seed", "1"]].concat());
    let path = |name: &str| bench.path(name).display().to_string();
    let (hidden, test, jumps) = (path("train"), path("test"), path("n-njtc.safetensors"));
    succeed("onejump-train", &["--hidden", &hidden, "--kind", "n-njtc", "--rank", "2", "--out", &jumps]);
    let (scores, one) = (path("scores.parquet"), path("ojfa.safetensors"));
    succeed("onejump-score", &["--hidden", &hidden, "--shortcuts", &jumps, "--out", &scores, "--ojfa", &one]);
    let (model, out) = (bench.model.path().display().to_string(), path("results"));
    let evaluate =
        ["--hidden", &test, "--model", &model, "--shortcuts", &jumps, "--ojfa", &one, "--out", &out];
    succeed("onejump-evaluate", &evaluate);
    succeed("onejump-evaluate", &[&evaluate[..], &["--analyses", "averages"]].concat());
    let summary: Value =
        serde_json::from_slice(&fs::read(bench.path("results/summary.json")).unwrap()).unwrap();
    let rows = train.positions().len();
    assert_eq!((&summary["train_samples"], &summary["test_samples"]), (&json!(rows), &json!(rows)));
    assert!(bench.path("results/averages.parquet").is_file());
}

#[test]
fn long_texts_are_cut_and_each_piece_begins_alike() {
    let bench = Bench::new([Some("<s>"), Some("</s>")]);
    let text = bench.text("text.txt", "fox\nthe quick fox the  fox quick the fox the\n");
    let cut = bench.capture("cut", &["--text", &text, "--chunk-tokens", "4"]);
    assert_eq!(cut.ids(), [&[1, 5, 2][..], &[1, 3, 4, 5], &[1, 3, 5, 4], &[1, 3, 5, 3], &[1, 2]]);
    assert_eq!(read_text_ids(&cut.part()).unwrap(), [0, 1, 1, 1, 1]);
    assert_eq!(read_chunks(&cut.part()).unwrap(), [0, 0, 1, 2, 3]);
    assert_eq!((&cut.inputs()["chunk_tokens"], &cut.inputs()["texts"]), (&json!(4), &json!(2)));
    let without = ["--text", &text, "--chunk-tokens", "4", "--no-position-0", "--positions", "all"];
    let without = bench.capture("without", &without);
    assert_eq!(without.positions(), [1, 2, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1]);
    // Where no text is cut, and one position of each is sampled, there is nothing to tell apart.
    let fits = bench.capture("fits", &["--text", &text, "--chunk-tokens", "11"]);
    assert!(read_chunks(&fits.part()).is_err());
    let said = bench.refusal(&["--text", &text, "--chunk-tokens", "65"]);
    assert!(said.contains("--chunk-tokens 65") && said.contains("to 64 tokens"), "{said}");
    let said = bench.refusal(&["--text", &text, "--chunk-tokens", "1"]);
    assert!(said.contains("takes 2 to 64 tokens"), "{said}");
}

/// One text behind another with the end of text (2) between them, cut wherever a window is full; each row has the state of
/// its place in the window, which is that of the same exact ids, and of no other place.
#[test]
fn packed_texts_fill_windows() {
    let bench = Bench::new([None, None]);
    let text = ["--text", &case("plain.txt"), "--pack", "--chunk-tokens", "6"];
    let stream: Vec<(u64, i32)> = [0, 1, 3, 4, 5]
        .into_iter()
        .zip(IDS)
        .flat_map(|(text, ids)| ids.iter().copied().chain([2]).map(move |id| (text, id)))
        .collect();
    let all = bench.capture("all", &[&text[..], &["--positions", "all"]].concat());
    let windows = || stream.chunks(6).flat_map(|window| (0u32..).zip(window).map(move |row| (window, row)));
    let ids: Vec<Vec<i32>> =
        windows().map(|(window, _)| window.iter().map(|&(_, id)| id).collect()).collect();
    assert_eq!(all.ids(), ids);
    assert_eq!(all.positions(), windows().map(|(_, (position, _))| position).collect::<Vec<_>>());
    let texts: Vec<u64> = stream.iter().map(|&(text, _)| text).collect();
    assert_eq!(read_text_ids(&all.part()).unwrap(), texts);
    // The third text goes through two windows.
    let chunks = read_chunks(&all.part()).unwrap();
    let chunks: Vec<u32> = (0..texts.len()).filter(|&row| texts[row] == 3).map(|row| chunks[row]).collect();
    assert_eq!(chunks, [0, 0, 0, 0, 0, 0, 1, 1, 1]);
    assert_eq!((&all.inputs()["pack"], &all.inputs()["texts"]), (&json!(true), &json!(5)));

    let lines = all.ids().into_iter().zip(all.positions());
    let lines: String = lines
        .map(|(ids, position)| format!("{}\n", json!({"input_ids": ids, "position": position})))
        .collect();
    let exact = bench.capture("exact", &["--samples", &bench.text("windows.jsonl", &lines)]).states();
    let alone = bench.capture("alone", &["--text", &case("plain.txt"), "--positions", "all"]).states();
    let (packed, last) = (all.states(), 3);
    for level in 0..=last {
        let (ours, expected) = (packed.level(level).unwrap(), exact.level(level).unwrap());
        for (row, (ours, expected)) in ours.chunks(36).zip(expected.chunks(36)).enumerate() {
            let error = relative_error(ours, expected);
            assert!(error < TOLERANCE, "level {level}, row {row}: {error}");
        }
    }
    // The first text is as by itself; the second has seen it.
    let (ours, alone) = (packed.level(last).unwrap(), alone.level(last).unwrap());
    let apart = |row: usize, alone_row: usize| {
        relative_error(&ours[row * 36..][..36], &alone[alone_row * 36..][..36])
    };
    assert!((0..3).all(|row| apart(row, row) < TOLERANCE));
    assert!(apart(4, 3) > 0.01, "{}", apart(4, 3));

    // A position of each text's share of a window; shards have the rows of the whole.
    let one = bench.capture("one", &[&text[..], &["--no-position-0"]].concat());
    assert_eq!(read_text_ids(&one.part()).unwrap(), [0, 1, 3, 3, 4, 5, 5]);
    assert!(one.positions().iter().all(|&position| position > 0));

    // A tokenizer's own tokens around a text are there once.
    let bench = Bench::new([Some("<s>"), Some("</s>")]);
    let around = bench.capture("around", &text);
    assert_eq!(around.ids()[0], [1, 3, 4, 5, 2, 1]);
    assert_eq!(around.ids()[1], around.ids()[0]);
    for input in ["--sentences", "--samples"] {
        let output = run("onejump-capture", &["--model", "m", "--out", "o", "--pack", input, "x"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains("cannot be used with"), "{said}");
    }
    configure(bench.model.path(), json!({"eos_token_id": null}));
    bench.capture("begun", &text);
    let bench = Bench::new([None, None]);
    configure(bench.model.path(), json!({"eos_token_id": null}));
    let said = bench.refusal(&text);
    assert!(said.contains("nothing would stand between two texts"), "{said}");
}

/// What is read twice must be the same twice, and a pipe can be read once.
#[test]
fn sentences_may_come_through_a_pipe() {
    let bench = Bench::new([None, None]);
    let file = bench.capture("file", &["--sentences", &case("plain.txt")]);
    let pipe = bench.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, fs::read(case("plain.txt")).unwrap()).unwrap()
    });
    let piped = bench.capture("piped", &["--sentences", &pipe.display().to_string()]);
    writer.join().unwrap();
    assert!(fs::read(file.part()).unwrap() == fs::read(piped.part()).unwrap());
}

#[test]
fn some_levels_alone_are_stored_and_who_needs_more_says_so() {
    let bench = Bench::new([None, None]);
    let sentences = ["--sentences", &case("plain.txt")];
    let all = bench.capture("all", &sentences).states();
    for (out, levels, stored, batches) in [
        ("some", "0,2..3", &[0, 2, 3][..], &[][..]),
        ("window", "3,0", &[0, 3], &["--batch-parts", "2"]),
        ("early", "0..2/2", &[0, 2], &[]),
    ] {
        let some = bench.capture(out, &[&sentences[..], &["--levels", levels], batches].concat());
        assert_eq!(some.inputs()["levels"], json!(stored));
        let states = some.states();
        assert_eq!(states.levels(), stored);
        for &level in stored {
            let error = relative_error(&states.level(level).unwrap(), &all.level(level).unwrap());
            assert!(error < TOLERANCE, "{out} level {level}: {error}");
        }
        let refused = states.level(1).unwrap_err().to_string();
        let listed = stored.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        assert!(refused.contains(&format!("levels {listed} alone, and 1 are needed")), "{refused}");
    }
    let hidden = bench.path("early").display().to_string();
    let out = bench.path("n.safetensors").display().to_string();
    let said =
        fail("onejump-train", &["--hidden", &hidden, "--kind", "n-njtc", "--rank", "2", "--out", &out]);
    assert!(said.contains("and 1,3 are needed") && said.contains("without --levels"), "{said}");
    // One jump for some levels needs no others, and is the same whatever else is stored.
    let model = bench.model.path().display().to_string();
    let one_jump = |folder: &str, levels: &str| {
        let (hidden, out) = (bench.path(folder).display().to_string(), format!("{out}-{folder}"));
        let kind = ["--kind", "one-jump", "--model", &model, "--rank", "2", "--levels", levels];
        (run("onejump-train", &[&["--hidden", &hidden, "--out", &out], &kind[..]].concat()), out)
    };
    let maps = ["some", "all"].map(|folder| {
        let (done, out) = one_jump(folder, "0,2");
        assert!(done.status.success(), "{done:?}");
        let file = ShortcutFile::read(Path::new(&out)).unwrap();
        assert_eq!(file.card.samples, "all, levels 0,2");
        let x = Tensor::eye(file.card.hidden_size as i64, (tch::Kind::Float, tch::Device::Cpu));
        Vec::<f32>::try_from(file.map_at(0).unwrap().apply(&x).unwrap().reshape([-1])).unwrap()
    });
    assert!(maps[0] == maps[1]);
    let (refused, _) = one_jump("all", "0..3");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("the model has 3 blocks; --levels are from 0 to 2"), "{said}");
    let said = bench.refusal(&[&sentences[..], &["--levels", "0,4"]].concat());
    assert!(said.contains("--levels has 4; the model has levels 0 to 3"), "{said}");
}

#[test]
fn what_is_no_text_is_named_with_its_place_and_the_way_out() {
    let bench = Bench::new([None, None]);
    fs::create_dir(bench.path("empty")).unwrap();
    fs::write(bench.path("latin.txt"), b"fox\nf\xf6x\n").unwrap();
    fs::write(bench.path("cut.gz"), &fs::read(case("lines.jsonl.gz")).unwrap()[..100]).unwrap();
    fs::rename(bench.path("cut.gz"), bench.path("cut.jsonl.gz")).unwrap();
    fs::write(bench.path("cut.parquet"), &fs::read(case("snappy.parquet")).unwrap()[..900]).unwrap();
    let file = |name: &str| bench.path(name).display().to_string();
    let jsonl = |name: &str, second: &str| bench.text(name, &format!("{{\"body\": \"fox\"}}\n\n{second}\n"));
    for (path, words) in [
        (case("lines.jsonl"), &["lines.jsonl, line 1", "no column 'text'", "--column: id, body"][..]),
        (case("snappy.parquet"), &["snappy.parquet", "no column 'text'", "--column: id, body"]),
        (case("chat.jsonl"), &["line 1", "column 'messages' is a conversation", "has no chat template"]),
        (case("chat.parquet"), &["row 0", "column 'messages' is a conversation", "has no chat template"]),
        (file("empty"), &["no file of texts", ".jsonl", ".parquet"]),
        (bench.text("notes.md", "the fox"), &["notes.md", "no file of texts"]),
        (file("missing.txt"), &["cannot read", "missing.txt"]),
        (bench.text("blank.txt", "\n  \n"), &["blank.txt has no usable line"]),
        (file("latin.txt"), &["latin.txt, line 2", "0xf6"]),
        (file("cut.jsonl.gz"), &["cut.jsonl.gz"]),
        (file("cut.parquet"), &["cut.parquet"]),
    ] {
        let said = bench.refusal(&["--text", &path]);
        assert!(words.iter().all(|&word| said.contains(word)), "{path}: {said}");
    }
    for (line, words) in [
        ("{\"body\": 3}", "line 3: column 'body' is a number"),
        ("{\"body\": \"cut", "line 3: expected a JSON object"),
        ("{\"bodies\": \"x\"}", "line 3: has no column 'body'"),
    ] {
        let said = bench.refusal(&["--text", &jsonl("wrong.jsonl", line), "--column", "body"]);
        assert!(said.contains(words), "{said}");
    }
    let said = bench.refusal(&["--text", &case("snappy.parquet"), "--column", "id"]);
    assert!(said.contains("the column 'id' of type Int64, expected strings"), "{said}");
    let samples = bench.text("samples.jsonl", "{\"input_ids\": [3], \"position\": 0}\n");
    let said = bench.refusal(&["--samples", &samples, "--positions", "2"]);
    assert!(said.contains("leave out --positions"), "{said}");
}
