//! Models by hub id, from a server on this machine that speaks the hub's protocol.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use onejump_tests::folder;
use onejump_tests::hub::{COMMIT, Files, Hub, with_cache};

/// The files of a small checkpoint; `sharded` has an index and two shards.
fn checkpoint(sharded: bool) -> Files {
    let case = folder().join("parity/cases/gpt2");
    let read = |name: &str| fs::read(case.join(name)).unwrap();
    let mut files = BTreeMap::from([
        ("config.json".to_owned(), read("config.json")),
        ("pytorch_model.bin".to_owned(), b"never asked for".to_vec()),
        ("README.md".to_owned(), b"never asked for".to_vec()),
    ]);
    let weights = read("model.safetensors");
    if !sharded {
        files.insert("model.safetensors".to_owned(), weights);
        return files;
    }
    let tensors = safetensors::SafeTensors::deserialize(&weights).unwrap();
    let mut map = BTreeMap::new();
    for half in 0..2 {
        let name = format!("model-0000{}-of-00002.safetensors", half + 1);
        let part = tensors.tensors().into_iter().enumerate().filter(|(index, _)| index % 2 == half);
        let part: Vec<_> = part.map(|(_, tensor)| tensor).collect();
        map.extend(part.iter().map(|(tensor, _)| (tensor.clone(), name.clone())));
        files.insert(name, safetensors::serialize(part, None).unwrap());
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": map});
    files.insert("model.safetensors.index.json".to_owned(), index.to_string().into_bytes());
    files
}

/// Captures the small checkpoint's samples with a model of this name.
fn capture(model: &str, out: &Path, cache: &Path, more: &[(&str, &str)]) -> Output {
    let mut command = with_cache("onejump-capture", cache);
    command.args(["--device", "cpu", "--model", model, "--samples"]);
    command.arg(folder().join("parity/cases/gpt2/samples.jsonl")).arg("--out").arg(out);
    command.envs(more.iter().copied()).output().unwrap()
}

fn part(out: &Path) -> Vec<u8> {
    fs::read(out.join("part-00000.parquet")).unwrap()
}

fn error(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    lines[0].to_owned()
}

#[test]
fn a_hub_id_is_downloaded_once_and_then_lies_in_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let hub = Hub::start(BTreeMap::from([("tiny/one", checkpoint(false)), ("tiny/two", checkpoint(true))]));
    let endpoint = [("HF_ENDPOINT", hub.endpoint.as_str())];
    let local = onejump_tests::folder().join("parity/cases/gpt2").display().to_string();
    assert!(capture(&local, &at("local"), &at("cache"), &[]).status.success());
    for name in ["one", "two"] {
        let id = format!("tiny/{name}");
        let output = capture(&id, &at(name), &at("cache"), &endpoint);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(part(&at(name)), part(&at("local")));
        // Now without the hub; the id's folder is as the hub's other clients lay it.
        let again = at(&format!("{name}-again"));
        let output = capture(&id, &again, &at("cache"), &[("HF_HUB_OFFLINE", "1")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(part(&again), part(&at("local")));
        let snapshot = at("cache").join(format!("hub/models--tiny--{name}/snapshots/{COMMIT}"));
        assert!(snapshot.join("config.json").is_file());
        let pinned = at(&format!("{name}-pinned"));
        let output = capture(&format!("{id}@{COMMIT}"), &pinned, &at("cache"), &[("HF_HUB_OFFLINE", "1")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let seen = hub.requests();
    assert!(seen.iter().all(|path| !path.ends_with(".bin") && !path.ends_with(".md")), "{seen:?}");
}

#[test]
fn what_the_hub_does_not_give_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut pickle = checkpoint(false);
    pickle.remove("model.safetensors");
    let hub = Hub::start(BTreeMap::from([("tiny/closed", checkpoint(false)), ("tiny/pickle", pickle)]));
    let endpoint = [("HF_ENDPOINT", hub.endpoint.as_str())];
    let fails = |id: &str, more: &[(&str, &str)]| error(&capture(id, &at("out"), &at("cache"), more));

    let message = fails("tiny/none", &endpoint);
    assert!(message.contains("'tiny/none' is no file or directory here"), "{message}");
    assert!(message.contains("the hub has no revision 'main' of it"), "{message}");
    assert!(fails("tiny/pickle", &endpoint).contains("has no safetensors of it"));
    assert!(fails("tiny/closed", &endpoint).contains("set HF_TOKEN"));
    assert!(fails("tiny/closed", &[("HF_HUB_OFFLINE", "1")]).contains("HF_HUB_OFFLINE is set"));
    // Nothing listens on port 9 of this machine.
    assert!(fails("tiny/one", &[("HF_ENDPOINT", "http://127.0.0.1:9")]).contains("cannot be reached"));

    let with_token = [endpoint[0], ("HF_TOKEN", "secret")];
    let output = capture("tiny/closed", &at("out"), &at("cache"), &with_token);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
