//! Files of shortcuts by name, from a server on this machine that speaks the hub's protocol.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use onejump_tests::hub::{COMMIT, Files, Hub, with_cache};
use onejump_tests::{folder, succeed};

/// A small checkpoint's states, its jumps and the one that was chosen.
struct Run {
    folder: tempfile::TempDir,
}

impl Run {
    fn new() -> Self {
        let run = Self { folder: tempfile::tempdir().unwrap() };
        let case = folder().join("parity/cases/gpt2");
        let (model, samples) = (case.display().to_string(), case.join("samples.jsonl").display().to_string());
        let path = |name: &str| run.path(name).display().to_string();
        for split in ["hidden/train", "hidden/test"] {
            let arguments =
                ["--device", "cpu", "--model", &model, "--samples", &samples, "--out", &path(split)];
            succeed("onejump-capture", &arguments);
        }
        let (hidden, jumps) = (path("hidden/train"), path("n-njtc.safetensors"));
        let rank = ["--kind", "n-njtc", "--rank", "3"];
        succeed("onejump-train", &[&["--hidden", &hidden, "--out", &jumps], &rank[..]].concat());
        let outputs = ["--out", &path("scores.parquet"), "--ojfa", &path("ojfa.safetensors")];
        succeed("onejump-score", &[&["--hidden", &hidden, "--shortcuts", &jumps], &outputs[..]].concat());
        run
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A repository of both files, with what else it should have.
    fn repository(&self, more: &[(&str, &str)]) -> Files {
        let ours = ["n-njtc.safetensors", "ojfa.safetensors"];
        let ours = ours.map(|name| (name.to_owned(), fs::read(self.path(name)).unwrap()));
        ours.into_iter()
            .chain(more.iter().map(|(name, text)| ((*name).into(), text.as_bytes().into())))
            .collect()
    }

    /// Scores the jumps of this name.
    fn score(&self, name: &str, out: &str, more: &[(&str, &str)]) -> Output {
        let mut command = with_cache("onejump-score", &self.path("cache"));
        command.arg("--hidden").arg(self.path("hidden/train")).args(["--shortcuts", name]).arg("--out");
        command
            .arg(self.path(out))
            .current_dir(self.folder.path())
            .envs(more.iter().copied())
            .output()
            .unwrap()
    }
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn error(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let lines: Vec<_> = text.lines().filter(|line| !line.contains(": downloading to ")).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("error: "), "{text}");
    lines[0].to_owned()
}

#[test]
fn a_name_is_downloaded_once_and_read_like_a_file() {
    let run = Run::new();
    let config = r#"{"library_name": "onejump", "default": "n-njtc.safetensors"}"#;
    let named = run.repository(&[("config.json", config), ("README.md", "never asked for")]);
    let mut single = run.repository(&[]);
    single.remove("ojfa.safetensors");
    let hub = Hub::start(BTreeMap::from([("tiny/named", named), ("tiny/single", single)]));
    let endpoint = [("HF_ENDPOINT", hub.endpoint.as_str())];
    let expected = fs::read(run.path("scores.parquet")).unwrap();
    // The default that config.json names, the only file, a file by its name, and a revision.
    for name in ["tiny/named", "tiny/single", "tiny/single:n-njtc.safetensors", "tiny/single@main"] {
        done(&run.score(name, "named.parquet", &endpoint));
        assert_eq!(fs::read(run.path("named.parquet")).unwrap(), expected, "{name}");
    }
    // Now from the cache, which lies as the hub's other clients lay it.
    let asked = hub.requests().len();
    let pinned = format!("tiny/named:n-njtc.safetensors@{COMMIT}");
    for name in ["tiny/named", "tiny/named:n-njtc.safetensors", &pinned] {
        done(&run.score(name, "cached.parquet", &[endpoint[0], ("HF_HUB_OFFLINE", "1")]));
        assert_eq!(fs::read(run.path("cached.parquet")).unwrap(), expected, "{name}");
    }
    done(&run.score("tiny/named", "cached.parquet", &endpoint));
    let requests = hub.requests();
    assert_eq!(requests.len(), asked, "{requests:?}");
    assert!(requests.iter().all(|path| !path.ends_with(".md")), "{requests:?}");
    let snapshot = run.path(&format!("cache/hub/models--tiny--named/snapshots/{COMMIT}"));
    assert!(snapshot.join("n-njtc.safetensors").is_file() && !snapshot.join("ojfa.safetensors").exists());
    // A file that lies here wins, and so does a folder of published files.
    fs::create_dir_all(run.path("tiny")).unwrap();
    fs::copy(run.path("n-njtc.safetensors"), run.path("tiny/named")).unwrap();
    done(&run.score("tiny/named", "here.parquet", &[("HF_ENDPOINT", "http://127.0.0.1:9")]));
    done(&run.score(&snapshot.display().to_string(), "here.parquet", &[]));
}

#[test]
fn evaluation_takes_names_for_both_of_its_options() {
    let run = Run::new();
    let hub = Hub::start(BTreeMap::from([("tiny/jumps", run.repository(&[]))]));
    let evaluate = |jumps: &str, one: &str, out: &Path| {
        let mut command = with_cache("onejump-evaluate", &run.path("cache"));
        command
            .arg("--hidden")
            .arg(run.path("hidden/test"))
            .arg("--model")
            .arg(folder().join("parity/cases/gpt2"));
        command.args(["--shortcuts", jumps, "--ojfa", one]).arg("--out").arg(out);
        command.env("HF_ENDPOINT", &hub.endpoint).current_dir(run.folder.path()).output().unwrap()
    };
    done(&evaluate("n-njtc.safetensors", "ojfa.safetensors", &run.path("local")));
    done(&evaluate("tiny/jumps:n-njtc.safetensors", "tiny/jumps:ojfa.safetensors@main", &run.path("named")));
    let table = |name: &str| fs::read(run.path(name).join("per_level.parquet")).unwrap();
    assert_eq!(table("named"), table("local"));
    // The lens takes them too; what differs is the path.
    let lens = |jumps: &str| {
        let mut command = with_cache("onejump-lens", &run.path("cache"));
        command.args(["--ids", "3,1,4,1,5", "--shortcuts", jumps, "--format", "json", "--model"]);
        command.arg(folder().join("parity/cases/gpt2")).env("HF_ENDPOINT", &hub.endpoint);
        let output = command.current_dir(run.folder.path()).output().unwrap();
        done(&output);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["methods"][1]["cells"].take()
    };
    assert_eq!(lens("tiny/jumps:n-njtc.safetensors"), lens("n-njtc.safetensors"));
}

#[test]
fn what_a_name_does_not_stand_for_is_said_in_one_line() {
    let run = Run::new();
    let model = run.repository(&[("config.json", r#"{"model_type": "gpt2"}"#)]);
    let empty = Files::from([("README.md".to_owned(), Vec::new())]);
    let all = [("tiny/jumps", run.repository(&[])), ("tiny/model", model), ("tiny/empty", empty)];
    let hub = Hub::start(BTreeMap::from(all));
    let endpoint = [("HF_ENDPOINT", hub.endpoint.as_str())];
    let said = |name: &str, more: &[(&str, &str)]| error(&run.score(name, "out.parquet", more));
    for (name, words) in [
        ("tiny/none", "the hub has no revision 'main' of it"),
        ("tiny/jumps", "which of its files is meant: n-njtc.safetensors, ojfa.safetensors; name one"),
        (
            "tiny/jumps:jtc.safetensors",
            "has no file 'jtc.safetensors'; of shortcuts it has n-njtc.safetensors, ojfa",
        ),
        ("tiny/model", "'tiny/model' holds a model"),
        ("tiny/empty", "'tiny/empty' has no file of shortcuts (.safetensors)"),
        ("tiny/empty:README.md", "is no usable safetensors file"),
        ("run/none.safetensors", "run/none.safetensors: No such file"),
    ] {
        let said = said(name, &endpoint);
        assert!(said.contains(words), "{name}: {said}");
    }
    assert!(
        said("tiny/jumps:ojfa.safetensors", &[("HF_HUB_OFFLINE", "1")]).contains("HF_HUB_OFFLINE is set")
    );
    assert!(said("tiny/jumps", &[("HF_ENDPOINT", "http://127.0.0.1:9")]).contains("cannot be reached"));
    // The jump that drafts is named in the same way.
    let mut generate = with_cache("onejump-generate", &run.path("cache"));
    generate.args(["-m", "none", "-p", "x", "--mode", "speculative", "--level", "1", "--jump", "tiny/none"]);
    let said = error(&generate.env("HF_ENDPOINT", &hub.endpoint).output().unwrap());
    assert!(said.contains("'tiny/none' is no file or directory here"), "{said}");
}

/// What `--publish` lays out is what the names are for: a run's folder, the hub's cache, a name.
#[test]
fn what_is_published_is_loaded_by_name() {
    let run = Run::new();
    let (expected, folder) = (fs::read(run.path("scores.parquet")).unwrap(), run.path("published"));
    fs::create_dir(run.path("shortcuts")).unwrap();
    fs::rename(run.path("n-njtc.safetensors"), run.path("shortcuts/n-njtc-r3.safetensors")).unwrap();
    fs::rename(run.path("ojfa.safetensors"), run.path("ojfa-r3.safetensors")).unwrap();
    let evaluate = |shortcuts: &str, one: &str, out: &str| {
        let mut command = with_cache("onejump-evaluate", &run.path("cache"));
        command.args(["--hidden", "hidden/test", "--shortcuts", shortcuts, "--ojfa", one, "--out", out]);
        command.arg("--model").arg(onejump_tests::folder().join("parity/cases/gpt2"));
        done(&command.env("HF_HUB_OFFLINE", "1").current_dir(run.folder.path()).output().unwrap());
    };
    evaluate("shortcuts/n-njtc-r3.safetensors", "ojfa-r3.safetensors", "results");
    fs::write(
        run.path("run.toml"),
        "model = \"gpt2\"\nsentences = \"samples\"\nseed = 0\nonejump = \"0.1.0\"\n",
    )
    .unwrap();
    let (out, to) = (run.path("").display().to_string(), folder.display().to_string());
    let said =
        succeed("onejump-reproduce", &["--out", &out, "--publish", &to, "--repository", "tiny/published"]);
    assert!(said.contains("2 files of shortcuts, ojfa-r3.safetensors by default"), "{said}");
    let snapshots = run.path("cache/hub/models--tiny--published/snapshots");
    fs::create_dir_all(snapshots.with_file_name("refs")).unwrap();
    fs::create_dir_all(&snapshots).unwrap();
    fs::write(snapshots.with_file_name("refs").join("main"), COMMIT).unwrap();
    fs::rename(&folder, snapshots.join(COMMIT)).unwrap();
    done(&run.score("tiny/published:n-njtc-r3.safetensors", "named.parquet", &[("HF_HUB_OFFLINE", "1")]));
    assert_eq!(fs::read(run.path("named.parquet")).unwrap(), expected);
    evaluate("tiny/published:n-njtc-r3.safetensors@main", "tiny/published", "named");
    let table = |name: &str| fs::read(run.path(name).join("per_level.parquet")).unwrap();
    assert_eq!(table("named"), table("results"));
}
