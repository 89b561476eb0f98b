//! Sums in place of states: the maps that are fitted to them, and what needs the states.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use onejump_tests::words::{WORDS, checkpoint};
use onejump_tests::{fail, relative_error, succeed};
use safetensors::SafeTensors;

/// Rounding alone separates the two: sums in f64, in another order, and a map stored in f32.
const TOLERANCE: f64 = 1e-6;

/// Targets that are scaled are rounded to f32 once more, by 6e-8, which the solution of nearly dependent columns enlarges.
const SCALED: f64 = 1e-5;

/// The tensors of a file of shortcuts; A and B of each map as their product, which alone is determined.
fn maps(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |name: &str| {
        let tensor = file.tensor(name).unwrap();
        let values: Vec<f32> = tensor
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        (values, tensor.shape().to_vec())
    };
    let mut maps = BTreeMap::new();
    for name in file.names() {
        if let Some(level) = name.strip_suffix('a').filter(|level| level.is_empty() || level.ends_with('.')) {
            let ((a, shape), (b, _)) = (values(name), values(&format!("{level}b")));
            let (hidden, rank) = (shape[0], shape[1]);
            let product = |place: usize| {
                (0..rank).map(|r| a[place / hidden * rank + r] * b[r * hidden + place % hidden]).sum()
            };
            maps.insert(format!("{level}ab"), (0..hidden * hidden).map(product).collect());
        } else if !name.ends_with("b") {
            maps.insert(name.to_string(), values(name).0);
        }
    }
    maps
}

#[test]
fn maps_are_those_of_the_stored_states() {
    let model = checkpoint("llama-grouped-tied", &WORDS, [None, None]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let words =
        |text: usize| (0..3 + text % 9).map(move |place| WORDS[3 + (text * 7 + place * place * 5) % 3]);
    let text: String = (0..200).map(|text| words(text).collect::<Vec<_>>().join(" ") + "\n").collect();
    fs::write(folder.path().join("sentences.txt"), text).unwrap();
    let model = model.path().display().to_string();
    let capture = |out: &str, more: &[&str]| {
        let (sentences, out) = (path("sentences.txt"), path(out));
        let fixed = ["--device", "cpu", "--model", &model, "--sentences", &sentences, "--out", &out];
        succeed("onejump-capture", &[&fixed[..], &["--positions", "3"], more].concat());
    };
    capture("states", &["--moments=all,normed-no-position-0"]);
    succeed("onejump-store", &["verify", &path("states")]);
    capture("sums", &["--moments=all,normed-no-position-0", "--no-states"]);
    for file in ["moments.safetensors", "moments-normed-no-position-0.safetensors"] {
        let [beside, alone] =
            ["states", "sums"].map(|out| fs::read(folder.path().join(out).join(file)).unwrap());
        assert!(beside == alone, "{file}");
    }
    assert_eq!(fs::read_dir(folder.path().join("sums")).unwrap().count(), 2);
    // The same command adds sums to states, and states to sums.
    capture("later", &[]);
    capture("later", &["--moments"]);
    let later = fs::read(folder.path().join("later/moments.safetensors")).unwrap();
    assert!(later == fs::read(folder.path().join("sums/moments.safetensors")).unwrap());

    let train = |from: &str, folder: &str, out: &str, more: &[&str]| {
        let (folder, out) = (path(folder), path(out));
        succeed("onejump-train", &[&[from, &folder, "--out", &out], more].concat());
    };
    let kinds = ["--kind", "jtc,njtc,n-njtc,joint", "--rank", "2,5"];
    train("--hidden", "states", "from-states", &kinds);
    train("--moments", "sums", "from-sums", &kinds);
    for (name, options) in [
        ("joint-norms", &["--kind", "joint-norms", "--rank", "3"][..]),
        ("normed", &["--kind", "n-njtc", "--rank", "3", "--target", "normed", "--no-position-0"]),
        ("ridge", &["--kind", "jtc", "--ridge", "0.1"]),
    ] {
        let file = format!("{name}.safetensors");
        train("--hidden", "states", &format!("from-states/{file}"), options);
        train("--moments", "sums", &format!("from-sums/{file}"), options);
    }
    let mut compared = 0;
    for entry in fs::read_dir(folder.path().join("from-states")).unwrap() {
        let name = entry.unwrap().file_name();
        let [states, sums] =
            ["from-states", "from-sums"].map(|from| maps(&folder.path().join(from).join(&name)));
        assert!(!states.is_empty() && states.keys().eq(sums.keys()));
        for (tensor, expected) in &states {
            let error = relative_error(&sums[tensor], expected);
            let tolerance = if name == "normed.safetensors" { SCALED } else { TOLERANCE };
            assert!(error < tolerance, "{name:?} {tensor}: {error}");
        }
        compared += 1;
    }
    assert_eq!(compared, 10);

    // What they are not enough for says so.
    let refusal = |more: &[&str]| {
        let (sums, out) = (path("sums"), path("refused.safetensors"));
        fail("onejump-train", &[&["--moments", &sums, "--out", &out, "--rank", "2"], more].concat())
    };
    for (more, words) in [
        (&["--kind", "one-jump"][..], "what the head makes of each sample"),
        (&["--kind", "n-njtc", "--solver", "adam"], "--solver adam draws its steps from the samples"),
        (&["--kind", "n-njtc", "--first", "10"], "--first chooses among samples"),
        (&["--kind", "n-njtc", "--no-position-0"], "has no moments-no-position-0.safetensors"),
    ] {
        let said = refusal(more);
        assert!(said.contains(words), "{said}");
    }
    capture("few", &["--moments", "--no-states", "--limit", "9"]);
    let said = fail("onejump-train", &["--moments", &path("few"), "--kind", "jtc", "--out", &path("x")]);
    assert!(said.contains("do not determine a map of H = 36"), "{said}");
    let damaged = fs::read(folder.path().join("sums/moments.safetensors")).unwrap();
    fs::write(folder.path().join("sums/moments.safetensors"), &damaged[..damaged.len() - 8]).unwrap();
    let said = refusal(&["--kind", "jtc"]);
    assert!(said.contains("is not as long as it says"), "{said}");
}
