//! The installed binary, outside any checkout.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::Command;

const STAGES: [&str; 6] = [
    "onejump-capture",
    "onejump-train",
    "onejump-score",
    "onejump-evaluate",
    "onejump-report",
    "onejump-store",
];

#[test]
fn a_stage_that_is_not_installed_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("onejump-reproduce");
    fs::copy(env!("CARGO_BIN_EXE_onejump-reproduce"), &program).unwrap();
    for split in ["train", "test"] {
        fs::write(folder.path().join(format!("{split}.txt")), "One.\n").unwrap();
    }
    let run = |more: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["--model", "m", "--sentences", ".", "--out", "run"]).args(more);
        let output = command.current_dir(folder.path()).env("PATH", "").output().unwrap();
        let [out, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), out, error)
    };
    for stage in STAGES {
        let (status, _, error) = run(&[]);
        let expected = format!("error: {stage} is neither beside {} nor on PATH", folder.path().display());
        assert_eq!((status, error.lines().count()), (Some(1), 1), "{error}");
        assert!(error.starts_with(&expected), "{error}");
        fs::write(folder.path().join(stage), "").unwrap();
    }
    // All are there, and the first of them is no program.
    assert!(run(&[]).2.contains("cannot run "), "{:?}", run(&[]));
    let (status, said, _) = run(&["--dry-run"]);
    assert_eq!(status, Some(0));
    assert_eq!(said, format!("{}: the experiment can run\n", folder.path().join("run").display()));
    fs::remove_file(folder.path().join("test.txt")).unwrap();
    assert!(run(&["--dry-run"]).2.contains("test.txt"));
}
