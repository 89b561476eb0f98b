//! A one-jump and a residual: where they start, and where a descent goes from there.

use onejump_shortcuts::map::Map;
use onejump_store::analyses::{Difference, read_rows};

use super::*;

/// The map is unique up to a factor, as is every approximation's length. 60 samples of f32 states, with
/// inner products that cancel: 1e-4 of the map's norm; the loss is f64 throughout.
#[test]
fn a_one_jump_starts_at_numpys_optimum() {
    let run = Run::new();
    let model = run.path("model");
    run.train("one-jump", "one-jump", &["--model", &model, "--solver", "closed-form"]);
    let file = run.shortcuts("one-jump");
    let theirs = run.expected["training_loss"]["one-jump"].as_f64().unwrap();
    let ours = file.card.training_loss[0];
    assert!((ours - theirs).abs() < 1e-6, "{ours} {theirs}");
    let eye = Tensor::eye(H as i64, (tch::Kind::Float, tch::Device::Cpu));
    let mapped = file.map_at(0).unwrap().apply(&eye).unwrap();
    let mapped = Vec::<f32>::try_from((&mapped / mapped.norm()).reshape([-1])).unwrap();
    for (place, (ours, theirs)) in mapped.iter().zip(run.tensors.f64("one-jump.m")).enumerate() {
        assert!((f64::from(*ours) - theirs).abs() < 1e-4, "{place}: {ours} {theirs}");
    }
}

/// α of each level and the product, which are unique up to one factor together, after as many rounds as NumPy goes. f32
/// states with inner products that cancel, and rounds that follow each other: 1e-3 of the map's norm; the loss is f64
/// throughout.
#[test]
fn a_residual_starts_where_numpy_does() {
    let run = Run::new();
    let model = run.path("model");
    run.train("residual", "residual", &["--model", &model, "--solver", "closed-form"]);
    let file = run.shortcuts("residual");
    let theirs = run.expected["training_loss"]["residual"].as_f64().unwrap();
    let ours = file.card.training_loss[0];
    assert!((ours - theirs).abs() < 1e-6, "{ours} {theirs}");
    assert!(ours < 0.9 * run.expected["training_loss"]["one-jump"].as_f64().unwrap());
    // A row of the identity is at length 1: it gives its row of the product, and α on the diagonal.
    let eye = Tensor::eye(H as i64, (tch::Kind::Float, tch::Device::Cpu));
    let (product, alphas) = (run.tensors.f64("residual.m"), run.tensors.f64("residual.alpha"));
    let mut size = None;
    for (level, alpha) in alphas.iter().enumerate() {
        let map = file.map_at(level).unwrap();
        let Map::Residual { a, b, .. } = map else { panic!("{map:?}") };
        let size = *size.get_or_insert_with(|| a.mm(b).norm().double_value(&[]));
        let mapped = Vec::<f32>::try_from((map.apply(&eye).unwrap() / size).reshape([-1])).unwrap();
        for (place, (ours, product)) in mapped.iter().zip(&product).enumerate() {
            let theirs = product + if place % (H + 1) == 0 { *alpha } else { 0.0 };
            assert!((f64::from(*ours) - theirs).abs() < 1e-3, "{level}, {place}: {ours} {theirs}");
        }
    }
}

/// A kind at its start, after a descent, after the same one again and after one of another seed: equal seeds give equal
/// files. The evaluation finds the true tokens likelier after the descent than before.
fn descended(kind: ShortcutKind, options: &[&str]) -> Run {
    let run = Run::new();
    let (model, name) = (run.path("model"), kind.name());
    run.train(name, "start", &["--model", &model, "--solver", "closed-form"]);
    for (file, seed) in [("descended", "0"), ("again", "0"), ("other", "1")] {
        run.train(name, file, &[&["--model", &model, "--epochs", "40", "--seed", seed], options].concat());
    }
    let bytes = |file: &str| fs::read(run.path(&format!("{file}.safetensors"))).unwrap();
    assert!(bytes("descended") == bytes("again"));
    assert!(bytes("descended") != bytes("other"));
    run.stage("onejump-evaluate", &INPUTS, &["--out", "results"]);
    let rows = read_per_level(Path::new(&run.path("results/per_level.parquet"))).unwrap();
    let surprisal = |solver: &str| {
        let rows = rows.iter().filter(|row| row.method.is(kind));
        let rows = rows.filter(|row| row.method.solver.is_some_and(|found| found.name() == solver));
        rows.map(|row| row.all.surprisal).sum::<f64>() / K as f64
    };
    let (ours, start) = (surprisal("adam"), surprisal("closed-form"));
    assert!(ours < start - 0.1, "{ours} {start}");
    run
}

const INPUTS: [&str; 8] = [
    "--hidden",
    "train",
    "--model",
    "model",
    "--shortcuts",
    "start.safetensors",
    "descended.safetensors",
    "n-njtc.safetensors",
];

/// It ends nearer to the true distributions on the samples that it has not seen, and is compared with the others at its
/// rank.
#[test]
fn a_residual_descends_from_there() {
    let run = descended(ShortcutKind::Residual, &["--batch-size", "100", "--held-out", "10"]);
    let card = run.shortcuts("descended").card;
    let held_out = card.held_out_curve.unwrap();
    let least = held_out.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(least < held_out[0], "{held_out:?}");
    assert_eq!(card.loss_curves.unwrap()[0].len() + 1, held_out.len());
    assert!(card.adam.as_ref().is_some_and(|adam| adam.contains("10 samples held out")), "{:?}", card.adam);
    let inputs = [&INPUTS[..], &["jtc.safetensors"]].concat();
    run.stage("onejump-evaluate", &inputs, &["--out", "results", "--analyses=averages"]);
    let differences: Vec<Difference> =
        read_rows(Path::new(&run.path("results/differences.parquet"))).unwrap().unwrap();
    for other in [ShortcutKind::NNjtc, ShortcutKind::Jtc] {
        let of_pair = |row: &&Difference| (row.method, row.other) == (ShortcutKind::Residual, other);
        assert!(differences.iter().any(|row| of_pair(&row)), "{other}");
    }
}

/// Eighty passes of one step each: the divergence falls.
#[test]
fn a_one_jump_descends_from_there() {
    let run = descended(ShortcutKind::OneJump, &["--batch-size", "120"]);
    let curve = run.shortcuts("descended").card.loss_curves.unwrap().remove(0);
    assert!(curve.len() == 40 && curve[39] < 0.8 * curve[0], "{curve:?}");
}
