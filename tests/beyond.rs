//! The further analyses on the made-up states against float64 NumPy (`golden/beyond.py`).

use std::fs;
use std::path::PathBuf;

use onejump_core::shortcut::ShortcutKind;
use onejump_store::analyses::{
    Difference, Exit, FileAverage, Jump, LookSchedule, LookingHead, OfClass, Regret, Subset, Transfer,
    read_rows,
};
use onejump_tests::golden;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{K, Run, numbers};

fn expected() -> Value {
    serde_json::from_slice(&fs::read(golden("beyond.json")).unwrap()).unwrap()
}

fn analyse(run: &Run, analysis: &str, files: &[&str]) {
    let ojfa: &[&str] = if analysis == "transfer" { &[] } else { &["--ojfa", "ojfa.safetensors"] };
    let inputs = [&["--hidden", "test", "--model", "model", "--shortcuts"], files, ojfa].concat();
    let flags = ["--analyses", analysis];
    let mut arguments: Vec<String> = flags.map(str::to_owned).to_vec();
    for argument in inputs.iter().chain(&["--out", "results"]) {
        let flag = argument.starts_with("--");
        arguments.push(if flag { (*argument).to_owned() } else { run.path(argument) });
    }
    onejump_tests::succeed("onejump-evaluate", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
}

fn table<R: Serialize + DeserializeOwned>(run: &Run, name: &str) -> Vec<R> {
    read_rows(&PathBuf::from(run.path(&format!("results/{name}.parquet")))).unwrap().unwrap()
}

/// f32 arithmetic on values of order 1 to 10.
fn close(ours: f64, theirs: &Value) -> bool {
    let theirs = theirs.as_f64().unwrap();
    (ours - theirs).abs() < 1e-4 * theirs.abs().max(1.0)
}

/// KL here is H operations per sample, there a sum over the whole distributions.
#[test]
fn the_transfer_matrix_and_what_follows_are_numpys() {
    let (run, expected) = (Run::new(), expected());
    analyse(&run, "transfer", &["n-njtc.safetensors"]);
    let transfer: Vec<Transfer> = table(&run, "transfer");
    assert_eq!(transfer.len(), K * K);
    for row in &transfer {
        for (name, ours) in [
            ("precision_1", row.precision_1),
            ("surprisal", row.surprisal),
            ("mat_surprisal", row.mat_surprisal),
            ("kl", row.kl),
            ("cosine", row.cosine),
            ("signed_square", row.signed_square),
        ] {
            let theirs = &expected["transfer"][name][row.jump as usize][row.level as usize];
            assert!(close(ours, theirs), "{name} {row:?}: {theirs}");
        }
    }
    let jumps: Vec<Jump> = table(&run, "jumps");
    for (index, jump) in jumps.iter().enumerate() {
        for (name, ours) in [
            ("train_kl", jump.train_kl),
            ("train_mse", jump.train_mse),
            ("train_signed_square_by_tokens", jump.train_signed_square_by_tokens),
            ("train_precision_1", jump.train_precision_1),
        ] {
            assert!(close(ours, &expected[name][index]), "{name} {jump:?}: {}", expected[name][index]);
        }
        assert!(jump.kl_low <= jump.kl && jump.kl <= jump.kl_high, "{jump:?}");
    }
    let regret: Vec<Regret> = table(&run, "regret");
    let theirs = expected["regret"].as_array().unwrap();
    assert_eq!(regret.len(), theirs.len());
    for (ours, theirs) in regret.iter().zip(theirs) {
        assert_eq!(
            (&*ours.criterion.to_string(), &*ours.metric.to_string()),
            (theirs["criterion"].as_str().unwrap(), theirs["metric"].as_str().unwrap())
        );
        assert_eq!(u64::from(ours.jump), theirs["jump"].as_u64().unwrap(), "{ours:?}");
        assert!(close(ours.regret, &theirs["regret"]), "{ours:?} {theirs}");
    }
    let subsets: Vec<Subset> = table(&run, "subsets");
    for (ours, theirs) in subsets.iter().zip(expected["subsets"].as_array().unwrap()) {
        let jumps: Vec<f64> = ours.jumps.iter().map(|&jump| f64::from(jump)).collect();
        assert_eq!(jumps, numbers(&theirs["jumps"]), "{ours:?} {theirs}");
        assert!(ours.exact && close(ours.precision_1, &theirs["precision_1"]), "{ours:?} {theirs}");
        assert!(close(ours.surprisal, &theirs["surprisal"]) && close(ours.kl, &theirs["kl"]), "{ours:?}");
    }
}

/// Our thresholds, applied to NumPy's scores by the plain loop: the same samples exit at the same levels.
#[test]
fn exits_are_numpys() {
    let (run, expected) = (Run::new(), expected());
    analyse(&run, "exit", &["n-njtc.safetensors", "jtc.safetensors"]);
    let rows: Vec<Exit> = table(&run, "exit");
    let mut compared = 0;
    for row in rows.iter().filter(|row| expected["scores"].get(row.method.name()).is_some()) {
        let of = |what: &Value| -> Vec<Vec<f64>> { what.as_array().unwrap().iter().map(numbers).collect() };
        let scores = of(&expected["scores"][row.method.name()][row.rule.to_string()]);
        let agrees = expected["agrees"][row.method.name()].as_array().unwrap();
        let (samples, mut blocks, mut agree) = (scores[0].len(), 0, 0);
        for sample in 0..samples {
            let mut looks = (row.from as usize..K).step_by(row.every as usize);
            let level = looks.find(|&level| scores[level][sample] >= row.threshold);
            blocks += level.unwrap_or(K);
            agree += usize::from(level.is_none_or(|level| agrees[level][sample].as_bool().unwrap()));
        }
        assert!((row.blocks - blocks as f64 / samples as f64).abs() < 1e-9, "{row:?}: {blocks}");
        assert!((row.agreement - agree as f64 / samples as f64).abs() < 1e-9, "{row:?}: {agree}");
        compared += usize::from(row.exited > 0.0);
    }
    assert!(compared > 20, "{compared} rows with early exits");
    // Looking costs: through the full head never less than through the fused one.
    let same = |a: &Exit, b: &Exit| {
        (a.method, a.rule, a.schedule, a.rank) == (b.method, b.rule, b.schedule, b.rank)
            && a.threshold == b.threshold
            && a.schedule == LookSchedule::Every
    };
    for fused in rows.iter().filter(|row| row.head == LookingHead::Fused) {
        for full in rows.iter().filter(|row| row.head == LookingHead::Full && same(row, fused)) {
            assert!(full.looking > fused.looking && full.operations > fused.operations, "{full:?} {fused:?}");
        }
    }
}

/// Precisions are exact, and the rest f32 arithmetic. NumPy sorts the samples into the classes by rules of its own.
#[test]
fn classes_are_numpys() {
    let (run, expected) = (Run::new(), expected());
    analyse(&run, "classes", &["joint.safetensors", "jtc.safetensors"]);
    let rows: Vec<OfClass> = table(&run, "classes");
    let rows: Vec<&OfClass> = rows.iter().filter(|row| row.method == ShortcutKind::Joint).collect();
    let theirs = expected["classes"].as_array().unwrap();
    assert_eq!(rows.len(), theirs.len());
    for (ours, theirs) in rows.into_iter().zip(theirs) {
        assert_eq!(
            (&*ours.class, json!(ours.level)),
            (theirs["class"].as_str().unwrap(), theirs["level"].clone())
        );
        assert_eq!(theirs["samples"], ours.samples, "{ours:?}");
        for (name, ours) in [
            ("precision_1", ours.precision_1),
            ("other_precision_1", ours.other_precision_1),
            ("surprisal", ours.surprisal),
            ("other_surprisal", ours.other_surprisal),
        ] {
            assert!(close(ours, &theirs[name]), "{name}: {ours} {theirs}");
        }
        let difference = ours.precision_1 - ours.other_precision_1;
        assert!((ours.precision_1_difference - difference).abs() < 1e-9, "{ours:?}");
        assert!(
            (ours.surprisal_difference - (ours.surprisal - ours.other_surprisal)).abs() < 1e-6,
            "{ours:?}"
        );
        assert!(
            ours.precision_1_difference_low <= difference && difference <= ours.precision_1_difference_high
        );
    }
    let lone = ["--hidden", "test", "--model", "model", "--shortcuts", "jtc.safetensors", "--out", "results"];
    let lone = lone.map(|word| if word.starts_with("--") { word.to_owned() } else { run.path(word) });
    let lone = [&lone.each_ref().map(String::as_str)[..], &["--analyses", "classes"]].concat();
    assert!(onejump_tests::fail("onejump-evaluate", &lone).contains("give files of both"));
}

#[test]
fn averages_agree_with_the_matrix_and_compare_what_belongs_together() {
    let (run, expected) = (Run::new(), expected());
    run.train("joint-norms", "joint-norms", &[]);
    let losses = run.shortcuts("joint-norms").card.training_loss;
    for (ours, theirs) in losses.iter().zip(numbers(&expected["joint_norms_loss"])) {
        assert!((ours - theirs).abs() < 1e-6 * run.target_square(), "{ours} {theirs}");
    }
    run.train(
        "n-njtc",
        "half",
        &["--first", "30", "--no-position-0", "--target", "normed", "--label", "half"],
    );
    let card = run.shortcuts("half").card;
    assert_eq!((&*card.samples, card.target.name()), ("first 30 without position 0", "normed"));
    analyse(&run, "averages", &["n-njtc.safetensors", "joint-norms.safetensors", "half.safetensors"]);
    let rows: Vec<FileAverage> = table(&run, "averages");
    let kl = |row: usize| {
        (0..K).map(|k| expected["transfer"]["kl"][k][k].as_f64().unwrap()).sum::<f64>() / K as f64
            - rows[row].kl
    };
    assert_eq!(rows[1].method, ShortcutKind::NNjtc);
    assert!(kl(1).abs() < 1e-4, "{:?}", rows[1]);
    assert!(rows.iter().all(|row| row.kl_low < row.kl && row.kl < row.kl_high && row.kl > 0.0), "{rows:?}");
    assert_eq!(rows[2].parameters, (2 * 16 * 3 + K * 4 * 16) as u64);
    assert_eq!(rows[3].label.as_deref(), Some("half"));
    let differences: Vec<Difference> = table(&run, "differences");
    let pairs: Vec<_> = differences.iter().map(|row| (row.method.name(), row.other.name())).collect();
    assert_eq!(pairs, [("ojfa", "identity"), ("ojfa", "n-njtc"), ("ojfa", "joint-norms")]);
}
