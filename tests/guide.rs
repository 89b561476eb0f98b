//! The commands of the guide and of the README: `sh` blocks are run as they stand, one page in one folder; in other
//! blocks every option must be one that its program has.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use onejump_tests::{binary, repository};

/// Sentences for the commands; as many as keep them quick.
const SENTENCES: [(&str, usize); 2] = [("train.txt", 60), ("test.txt", 20)];

/// A block between fences, with the word behind the first.
struct Block {
    language: String,
    lines: Vec<String>,
}

fn pages() -> Vec<PathBuf> {
    let folder = fs::read_dir(repository("crates/guide/pages")).unwrap();
    let mut pages: Vec<_> = folder.map(|page| page.unwrap().path()).collect();
    pages.sort();
    pages.push(repository("README.md"));
    pages
}

fn blocks(page: &PathBuf) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in fs::read_to_string(page).unwrap().lines() {
        match (line.trim_start().strip_prefix("```"), open.as_mut()) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(language), None) => open = Some(Block { language: language.to_owned(), lines: Vec::new() }),
            (None, Some(block)) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a block does not end", page.display());
    blocks
}

#[test]
fn the_commands_of_every_page_run() {
    let programs = binary("onejump-capture");
    let path = format!("{}:{}", programs.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut ran = 0;
    for page in pages() {
        let scripts: Vec<String> = blocks(&page)
            .into_iter()
            .filter(|block| block.language == "sh")
            .map(|block| block.lines.join("\n"))
            .collect();
        if scripts.is_empty() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        for (name, count) in SENTENCES {
            let all = fs::read_to_string(repository("data/wikipedia").join(name)).unwrap();
            let some: Vec<&str> = all.lines().take(count).collect();
            fs::write(folder.path().join(name), some.join("\n")).unwrap();
        }
        let output = Command::new("sh")
            .args(["-e", "-c", &scripts.join("\n")])
            .current_dir(folder.path())
            .env("PATH", &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", page.display());
        ran += 1;
    }
    assert!(ran >= 4, "only {ran} pages have commands");
}

#[test]
fn every_option_in_the_pages_is_known() {
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    for page in pages() {
        let blocks = blocks(&page).into_iter().filter(|block| block.language != "python");
        let text = blocks.map(|block| block.lines.join("\n") + "\n").collect::<String>().replace("\\\n", " ");
        for line in text.lines() {
            let line = line.split(" # ").next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            let (program, options) = match words[..] {
                ["cargo", "xtask", command, ref rest @ ..] => (format!("xtask {command}"), rest),
                [program, command, ref rest @ ..]
                    if program.starts_with("onejump-") && command.chars().all(char::is_alphabetic) =>
                {
                    (format!("{program} {command}"), rest)
                }
                [program, ref rest @ ..] if program.starts_with("onejump-") => (program.to_owned(), rest),
                _ => continue,
            };
            let help = helps.entry(program.clone()).or_insert_with(|| help(&program));
            for option in options.iter().filter(|word| word.starts_with("--")) {
                let name = option.split('=').next().unwrap();
                let known =
                    help.split(|at: char| !(at.is_alphanumeric() || at == '-')).any(|word| word == name);
                assert!(known, "{}: {program} has no {name}", page.display());
            }
        }
    }
    assert!(helps.len() > 8, "{:?}", helps.keys());
}

/// What a program says of its options; `xtask reproduce` passes them on.
fn help(program: &str) -> String {
    let program = if program == "xtask reproduce" { "onejump-reproduce" } else { program };
    let mut words = program.split(' ');
    let binary = binary(words.next().unwrap());
    let output = Command::new(binary).args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{program} --help");
    String::from_utf8(output.stdout).unwrap()
}
