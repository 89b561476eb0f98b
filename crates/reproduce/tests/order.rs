//! The order of the experiment, with stages that only pretend: they write what a stage would.

#![allow(clippy::unwrap_used)]

mod pretend;

use std::fs;

use onejump_core::files;
use onejump_core::layout::MANIFEST;
use onejump_reproduce::{Experiment, ReproduceError, check};
use pretend::Bench;

#[test]
fn the_papers_experiment_is_these_commands() {
    let bench = Bench::new();
    bench.reproduce(&bench.experiment()).unwrap();
    let sets = ["jtc", "njtc", "njtc-r57", "n-njtc", "n-njtc-r57", "joint", "joint-r57"];
    let adam = ["n-njtc-adam", "n-njtc-adam-r57", "joint-adam", "joint-adam-r57"];
    let shortcuts: String =
        sets.iter().chain(&adam).map(|set| format!(" --shortcuts run/shortcuts/{set}.safetensors")).collect();
    let chosen: String =
        ["", "-adam", "-r57", "-adam-r57"].map(|set| format!(" --ojfa run/ojfa{set}.safetensors")).concat();
    let capture = |split: &str| {
        format!(
            "bin/onejump-capture --model m --seed 0 --device cpu --sentences text/{split}.txt \
             --out run/hidden/{split} --dtype f32 --store-dtype f32 --bos auto"
        )
    };
    let train = |kinds: &str, solver: &str| {
        format!(
            "bin/onejump-train --kind {kinds} --rank 5,57 --solver {solver} --seed 0 --hidden run/hidden/train \
             --target pre-norm --out run/shortcuts"
        )
    };
    let score = |set: &str| {
        format!(
            "bin/onejump-score --hidden run/hidden/train --shortcuts run/shortcuts/n-njtc{set}.safetensors \
             --convention exit --out run/scores{set}.parquet --ojfa run/ojfa{set}.safetensors"
        )
    };
    let expected = [
        capture("train"),
        capture("test"),
        train("jtc,njtc,n-njtc,joint", "closed-form"),
        train("n-njtc,joint", "adam"),
        score(""),
        score("-adam"),
        score("-r57"),
        score("-adam-r57"),
        format!(
            "bin/onejump-evaluate --model m --hidden run/hidden/test{shortcuts}{chosen} --out run/results"
        ),
        "bin/onejump-report --run run".into(),
    ];
    let run = bench.path("run").display().to_string();
    let commands: Vec<_> = bench.commands.borrow().iter().map(|line| line.replace(&run, "run")).collect();
    assert_eq!(commands, expected);
}

/// Only the report, which prints the table that people look for, runs again.
#[test]
fn what_has_run_is_not_run_again_unless_its_inputs_change() {
    let bench = Bench::new();
    let experiment = Experiment { beyond: true, ..bench.experiment() };
    bench.left.set(22);
    let error = bench.reproduce(&experiment).unwrap_err();
    assert!(matches!(error, ReproduceError::Stage(_)) && error.to_string() == "a stage failed", "{error}");
    bench.left.set(usize::MAX);
    let times = bench.reproduce(&experiment).unwrap();
    assert_eq!(times.0.iter().filter(|time| time.seconds.is_none()).count(), 22);
    let times = bench.reproduce(&experiment).unwrap();
    assert_eq!(bench.commands.borrow().len(), 1, "{:?}", bench.commands);
    let table = times.to_string();
    assert!(table.starts_with("capture-train            unchanged\n"), "{table}");
    assert!(table.lines().last().unwrap().starts_with("total "), "{table}");

    fs::write(bench.path("run/shortcuts/n-njtc.safetensors"), "changed").unwrap();
    bench.reproduce(&experiment).unwrap();
    let commands = bench.commands.borrow();
    assert!(commands[0].starts_with("bin/onejump-score"), "{commands:?}");
    assert!(!commands.iter().any(|line| line.starts_with("bin/onejump-train")), "{commands:?}");
}

#[test]
fn what_goes_beyond_asks_each_analysis_about_the_files_that_it_is_for() {
    let bench = Bench::new();
    let experiment = Experiment { beyond: true, ..bench.experiment() };
    files::write_bytes(&bench.path("run/shortcuts/my lens.safetensors"), b"").unwrap();
    bench.reproduce(&experiment).unwrap();
    let commands = bench.commands.borrow();
    let shortcuts = |analysis: &str| -> Vec<String> {
        let line = commands.iter().find(|line| line.contains(&format!("--analyses {analysis}"))).unwrap();
        let files = line.split(" --").filter_map(|option| option.strip_prefix("shortcuts "));
        files
            .map(|file| file.trim_end_matches(".safetensors").trim_start_matches("run/").to_owned())
            .collect()
    };
    assert_eq!(shortcuts("transfer"), ["shortcuts/n-njtc-r57", "shortcuts/n-njtc"]);
    let exit =
        ["joint-norms-r57", "joint-norms", "joint-r57", "joint", "jtc", "my lens", "n-njtc-r57", "n-njtc"];
    let one = ["one-jump-adam-r57", "one-jump-adam", "residual-adam-r57", "residual-adam"];
    assert_eq!(
        shortcuts("exit"),
        [&exit[..], &one].concat().iter().map(|set| format!("shortcuts/{set}")).collect::<Vec<_>>()
    );
    let singles = ["joint-r57", "joint", "jtc", one[0], one[1], one[2], one[3]];
    assert_eq!(shortcuts("classes"), singles.map(|set| format!("shortcuts/{set}")));
    let averages = shortcuts("averages");
    // 18 of the run, 3 kinds at the ranks 1, 4, 16, 64, 256, 576, and 13 variants.
    assert_eq!(averages.len(), 18 + 3 * 6 + 13, "{averages:?}");
    let variants: Vec<_> = averages.iter().filter_map(|file| file.strip_prefix("sensitivity/")).collect();
    assert_eq!(
        variants,
        [
            "target-after-the-norm",
            "without-position-0",
            "half-the-data",
            "stored-in-bf16",
            "Adam--seed-0",
            "Adam--seed-1",
            "Adam--seed-2",
            "Adam--seed-3",
            "Adam--seed-4",
            "positions--seed-1",
            "positions--seed-2",
            "positions--seed-3",
            "positions--seed-4",
        ]
    );
}

#[test]
fn an_experiment_that_cannot_begin_is_refused_before_anything_runs() {
    let bench = Bench::new();
    check(&bench.experiment()).unwrap();
    bench.reproduce(&bench.experiment()).unwrap();
    assert!(bench.path("run/hidden/train").join(MANIFEST).is_file());
    let other = Experiment { seed: 1, ..bench.experiment() };
    assert!(matches!(check(&other), Err(ReproduceError::OtherExperiment { .. })));
    assert!(matches!(bench.reproduce(&other), Err(ReproduceError::OtherExperiment { .. })));
    fs::remove_file(bench.path("text/test.txt")).unwrap();
    assert!(check(&bench.experiment()).unwrap_err().to_string().contains("test.txt"));
}
