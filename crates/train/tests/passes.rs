//! Gradient descent on states that do not fit in memory: it reads a window of the samples at a time.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use onejump_core::files::sha256_file;
use onejump_core::layout::part_file;
use onejump_core::manifest::{FORMAT, HiddenManifest, Part};
use onejump_core::observe::Silent;
use onejump_core::shortcut::{ShortcutKind, Solver};
use onejump_models::head::Head;
use onejump_models::norm::Norm;
use onejump_shortcuts::file::{Maps, ShortcutFile};
use onejump_shortcuts::map::Map;
use onejump_store::dtype::StoreDtype;
use onejump_store::hidden::{HiddenStates, Selection};
use onejump_store::part::{PartRows, TextRows, write_part};
use onejump_tensor::rows::values;
use onejump_train::{Config, TrainedSet, one_jump, train};
use tch::{Device, Kind, Tensor};

const N: usize = 1200;
const K: usize = 3;
const H: usize = 16;
const V: i64 = 60;
const RANK: usize = 3;
const PER_PART: usize = 500;

/// Bytes of the states of all exit levels.
const WHOLE: u64 = (K * N * H * 4) as u64;

/// How many tokens the texts have where samples are of texts.
const LENGTH: usize = 4;

/// States that tend from level to level to a random rotation of what they were, with noise.
fn write_states(dir: &Path) {
    write_folder(dir, None);
}

/// The same, of texts of [`LENGTH`] tokens, where a token ends also at what the one before it says through a matrix (H, H).
fn write_texts(dir: &Path) {
    tch::manual_seed(8);
    let matrix = Tensor::randn([H as i64, H as i64], (Kind::Float, Device::Cpu));
    write_folder(dir, Some(&matrix));
}

fn write_folder(dir: &Path, previous: Option<&Tensor>) {
    tch::manual_seed(3);
    let random = |rows: usize| Tensor::randn([rows as i64, H as i64], (Kind::Float, Device::Cpu));
    let rotation = random(H) / 4.0;
    let mut levels = vec![random(N) + 0.3];
    for level in 0..K {
        levels.push(&levels[level] * 0.6 + levels[level].mm(&rotation) * 0.6 + random(N) * 0.1);
    }
    for row in (1..N as i64).filter(|row| previous.is_some() && row % LENGTH as i64 != 0) {
        let before = levels[K].get(row - 1);
        let said = previous.map(|matrix| (&before / before.norm()).unsqueeze(0).mm(matrix).squeeze());
        levels[K].get(row).copy_(&(levels[K].get(row) + said.unwrap()));
    }
    let mut parts = Vec::new();
    for (number, start) in (0..N).step_by(PER_PART).enumerate() {
        let samples = PER_PART.min(N - start);
        let rows = |level: &Tensor| values(&level.narrow(0, start as i64, samples as i64)).unwrap();
        let rows = PartRows {
            sample_ids: (start..start + samples).map(|sample| sample as u64).collect(),
            sentences: vec![None; samples],
            token_ids: vec![vec![1, 2]; samples],
            positions: (start..start + samples).map(|row| (row % LENGTH) as u32 + 1).collect(),
            texts: previous.map(|_| TextRows {
                text_ids: (start..start + samples).map(|row| (row / LENGTH) as u64).collect(),
                chunks: vec![0; samples],
            }),
            levels: levels.iter().map(rows).enumerate().collect(),
        };
        let file = part_file(number);
        let path = dir.join(&file);
        write_part(&path, &rows, H, StoreDtype::F32).unwrap();
        let bytes = std::fs::metadata(&path).unwrap().len();
        parts.push(Part { file, samples, bytes, sha256: sha256_file(&path).unwrap() });
    }
    let inputs = serde_json::json!({
        "model": "tiny", "architecture": "llama", "model_sha256": "", "hidden_size": H, "blocks": K,
        "vocab_size": V, "sentences": "", "sentences_sha256": "", "samples": N, "truncated": 0,
        "seed": 0, "position_0": true, "bos": false, "dtype": "f32", "store_dtype": "f32", "onejump": "",
        "libtorch": "", "texts": previous.map(|_| N / LENGTH),
    });
    let inputs = serde_json::from_value(inputs).unwrap();
    let parts_total = parts.len();
    let manifest = HiddenManifest {
        format: FORMAT,
        shard: None,
        inputs,
        samples_per_part: PER_PART,
        parts,
        parts_total,
    };
    manifest.write(dir).unwrap();
}

fn config(dir: &Path, kind: ShortcutKind, memory: Option<u64>, seed: u64) -> Config {
    let mut config = Config::new(dir, kind);
    (config.solver, config.rank, config.memory) = (Solver::Adam, Some(RANK), memory);
    config.adam.seed = seed;
    config
}

/// Another order of the pairs changes the last digits of what a descent finds (measured: 1e-5 of the loss). 1 % leaves
/// room for another machine, and does not hide pairs of states with other samples' targets: no map explains those.
#[test]
fn a_joint_map_from_windows_is_as_good_as_from_all_states() {
    let dir = tempfile::tempdir().unwrap();
    write_states(dir.path());
    let joint = |memory| -> ShortcutFile {
        train(&config(dir.path(), ShortcutKind::Joint, memory, 0), &Silent).unwrap()
    };
    let whole = joint(None);
    let options = whole.card.adam.clone().unwrap();
    assert!(!options.contains("windows"), "{options}");
    assert_eq!(joint(Some(WHOLE)).card, whole.card);
    let in_windows = joint(Some(WHOLE / 5));
    let options = in_windows.card.adam.unwrap();
    assert!(options.ends_with(", 5 windows of samples"), "{options}");
    let (ours, theirs) = (in_windows.card.training_loss[0], whole.card.training_loss[0]);
    println!("joint: {ours} in windows, {theirs} at once");
    assert!((ours / theirs - 1.0).abs() < 0.01, "{ours} {theirs}");
}

/// Measured: the divergence falls by 0.15 nats, and windows differ by 0.004 from that. 0.02 leaves room for another
/// machine, and does not hide true distributions of other samples: with those it would hardly fall.
#[test]
fn what_is_fitted_to_the_head_is_as_good_from_windows_as_from_all_states() {
    let dir = tempfile::tempdir().unwrap();
    write_states(dir.path());
    let hidden = HiddenStates::open(dir.path()).unwrap();
    let head = head();
    for kind in [ShortcutKind::OneJump, ShortcutKind::Residual] {
        let fit = |memory, seed| -> TrainedSet {
            let mut config = config(dir.path(), kind, memory, seed);
            (config.adam.epochs, config.adam.batch_size) = (10, 64);
            one_jump::fit(&hidden, &head, RANK, &config, &Silent).unwrap()
        };
        let whole = fit(None, 0);
        assert_eq!(whole.windows, 1);
        let curve = whole.curves.clone().unwrap().remove(0);
        let loss = whole.losses[0];
        assert!(loss < 0.97 * curve[0], "{kind}: {curve:?}");
        let again = fit(Some(WHOLE), 0);
        assert_eq!(again.curves, whole.curves);
        let in_windows = fit(Some(WHOLE / 5), 0);
        assert_eq!(in_windows.windows, 5);
        println!("{kind}: {} in windows, {loss} at once, from {}", in_windows.losses[0], curve[0]);
        assert!((in_windows.losses[0] - loss).abs() < 0.02, "{kind}: {} {loss}", in_windows.losses[0]);
        // ĥ is as long as h_K over all levels, whichever windows its length was measured on; at one level it moves by more
        // than over all (measured: 3 %).
        let states = Tensor::from_slice(&hidden.level(1).unwrap()).view([-1, H as i64]);
        let length = |set: &TrainedSet| {
            let map = match &set.maps {
                Maps::One(map) => map,
                Maps::PerLevel(maps) => &maps[1],
            };
            map.apply(&states).unwrap().norm().double_value(&[])
        };
        let (ours, theirs) = (length(&in_windows), length(&whole));
        assert!((ours / theirs - 1.0).abs() < 0.06, "{kind}: {ours} {theirs}");
    }
}

/// Where a token ends depends on where the one before ended: a jump that reads that too loses less (measured: 0.11 of
/// 0.48 in closed form, 0.5 of 1.7 nats), in windows too. One token in four has none before, and samples of other texts are no pair.
#[test]
fn a_jump_beside_the_token_before_knows_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    write_texts(dir.path());
    let head = head();
    let fit = |with_previous, solver, memory| -> TrainedSet {
        let selection = Selection { with_previous, ..Selection::default() };
        let hidden = HiddenStates::open(dir.path()).unwrap().select(selection).unwrap();
        assert_eq!(hidden.samples(), if with_previous { N / LENGTH * (LENGTH - 1) } else { N });
        let mut config = config(dir.path(), ShortcutKind::OneJump, memory, 0);
        (config.solver, config.rank, config.selection) = (solver, Some(8), selection);
        (config.adam.epochs, config.adam.batch_size, config.adam.held_out) = (10, 64, 100);
        one_jump::fit(&hidden, &head, 8, &config, &Silent).unwrap()
    };
    for solver in [Solver::ClosedForm, Solver::Adam] {
        let (alone, beside) = (fit(false, solver, None), fit(true, solver, None));
        println!("{solver}: {} alone, {} beside the token before", alone.losses[0], beside.losses[0]);
        assert!(beside.losses[0] < 0.8 * alone.losses[0], "{solver}");
        assert!(alone.previous.is_none());
        assert_eq!(beside.previous.unwrap().size(), [H as i64, 8]);
        if let (Some(alone), Some(beside)) = (alone.held_out, beside.held_out) {
            assert!(beside.last() < alone.last(), "{beside:?} {alone:?}");
        }
    }
    // In windows as at once (measured: 0.5 both): with states of other samples before them it would be that of a jump alone.
    let (alone, parts) = (fit(false, Solver::Adam, None), fit(true, Solver::Adam, Some(WHOLE / 3)));
    assert!(parts.windows > 3, "{}", parts.windows);
    assert!(parts.losses[0] < 0.6 * alone.losses[0], "{:?} {:?}", parts.losses, alone.losses);

    let mut config = config(dir.path(), ShortcutKind::Residual, None, 0);
    config.selection.with_previous = true;
    assert!(train(&config, &Silent).unwrap_err().to_string().contains("--previous is for a one-jump"));
    let single = tempfile::tempdir().unwrap();
    write_states(single.path());
    (config.hidden, config.kind) = (single.path().to_owned(), ShortcutKind::OneJump);
    let said = train(&config, &Silent).unwrap_err().to_string();
    assert!(said.contains("none has it; capture with --positions all"), "{said}");
}

fn head() -> Head {
    tch::manual_seed(4);
    let norm = Norm::Rms { weight: Tensor::ones([H as i64], (Kind::Float, Device::Cpu)), eps: 1e-5 };
    let unembedding = Tensor::randn([V, H as i64], (Kind::Float, Device::Cpu));
    Head { norm, unembedding, soft_cap: None }
}

/// The states of each level tend to the final ones, and a rank of 3 of 16 is little: a residual, which begins with α·x
/// beside the same product, loses less than a one-jump here, closed form and descent (measured: 0.16 of 0.20 in closed
/// form), and has the more of x the later the level. What is held out stops a descent that goes too far, and the best epoch is kept.
#[test]
fn a_residual_keeps_what_the_levels_have_in_common_with_the_last() {
    let dir = tempfile::tempdir().unwrap();
    write_states(dir.path());
    let hidden = HiddenStates::open(dir.path()).unwrap();
    let head = head();
    let fit = |kind, solver, held_out, learning_rate| -> TrainedSet {
        let mut config = config(dir.path(), kind, None, 0);
        (config.solver, config.adam.epochs, config.adam.batch_size) = (solver, 30, 64);
        (config.adam.held_out, config.adam.learning_rate) = (held_out, learning_rate);
        one_jump::fit(&hidden, &head, RANK, &config, &Silent).unwrap()
    };
    let loss = |kind, solver| fit(kind, solver, 0, 0.05).losses[0];
    for solver in [Solver::ClosedForm, Solver::Adam] {
        let [one_jump, residual] =
            [ShortcutKind::OneJump, ShortcutKind::Residual].map(|kind| loss(kind, solver));
        println!("{solver}: one-jump {one_jump}, residual {residual}");
        assert!(residual < 0.9 * one_jump, "{solver}: {residual} {one_jump}");
    }
    let stopped = fit(ShortcutKind::Residual, Solver::Adam, 200, 3.0);
    let curve = stopped.held_out.unwrap();
    let least = (0..curve.len()).min_by(|&a, &b| curve[a].total_cmp(&curve[b])).unwrap();
    println!("held out: {curve:?}");
    assert_eq!(curve.len(), least + 3, "{curve:?}");
    assert!(curve.len() < 31, "{curve:?}");
    let Maps::PerLevel(maps) = stopped.maps else { panic!("a residual has maps of its levels") };
    assert_eq!(maps.len(), K);
    let alphas: Vec<f64> = maps
        .iter()
        .map(|map| match map {
            Map::Residual { alpha, .. } => alpha.double_value(&[0]),
            _ => panic!("no residual"),
        })
        .collect();
    assert!(alphas.windows(2).all(|pair| pair[0] < pair[1]), "{alphas:?}");
}
