//! Stages that only pretend: they write what a stage would.

#![allow(dead_code)] // Each test uses a part of it.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use onejump_core::files;
use onejump_core::manifest::{CaptureInputs, FORMAT, HiddenManifest};
use onejump_core::observe::Silent;
use onejump_core::shard::Shard;
use onejump_reproduce::{Experiment, Local, Program, Programs, ReproduceError, Times, reproduce, run_unit};

/// H: the default ranks are 5 and 57.
const HIDDEN_SIZE: usize = 576;

pub struct Bench {
    pub folder: tempfile::TempDir,
    /// The command lines that ran, without the folder's path.
    pub commands: RefCell<Vec<String>>,
    /// Stages that may still run; the next one fails.
    pub left: Cell<usize>,
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for program in Program::ALL {
            files::write_bytes(&folder.path().join("bin").join(program.name()), b"").unwrap();
        }
        for split in ["train", "test"] {
            files::write_bytes(&folder.path().join("text").join(format!("{split}.txt")), b"One.\n").unwrap();
        }
        Self { folder, commands: RefCell::default(), left: Cell::new(usize::MAX) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn experiment(&self) -> Experiment {
        Experiment { device: "cpu".into(), ..Experiment::new("m", self.path("text"), self.path("run")) }
    }

    pub fn reproduce(&self, experiment: &Experiment) -> Result<Times, ReproduceError> {
        self.commands.borrow_mut().clear();
        let pretend = |command: &mut Command| self.pretend(command);
        reproduce(experiment, Local { programs: self.programs(), run: &pretend }, &Silent)
    }

    pub fn programs(&self) -> Programs {
        Programs::among(&self.path("bin"), &[]).unwrap()
    }

    /// Runs a unit of the experiment in two shards, as a job does.
    pub fn run_unit(&self, unit: &str) -> Result<Times, ReproduceError> {
        self.commands.borrow_mut().clear();
        let pretend = |command: &mut Command| self.pretend(command);
        let local = Local { programs: self.programs(), run: &pretend };
        run_unit(&self.experiment(), 2, unit, local, &Silent)
    }

    pub fn pretend(&self, command: &Command) -> Result<(), Box<dyn Error + Send + Sync>> {
        let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).collect();
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        let line = words.join(" ").replace(&format!("{}/", self.folder.path().display()), "");
        self.commands.borrow_mut().push(line);
        self.left.set(self.left.get().checked_sub(1).ok_or("a stage failed")?);
        let values = |option: &str| -> Vec<&Path> {
            let pairs = words.windows(2).filter(|pair| pair[0] == option);
            pairs.map(|pair| Path::new(pair[1])).collect()
        };
        let write = |path: &Path| files::write_bytes(path, line_of(&words).as_bytes()).unwrap();
        if words[0].ends_with("report") {
            write(&Path::new(words[2]).join("report.html"));
        }
        if words[1] == "merge" {
            manifest().write(Path::new(words[2])).unwrap();
        }
        match values("--out")[..] {
            [] => {}
            [out] if words.contains(&"--shard") => {
                let shard: Shard = values("--shard")[0].to_str().unwrap().parse().unwrap();
                let folder = out.join(shard.folder());
                match words[0].ends_with("capture") {
                    true => manifest().write(&folder).unwrap(),
                    false => write(&folder.join("evaluation.safetensors")),
                }
            }
            [out] if words[0].ends_with("capture") => manifest().write(out).unwrap(),
            [out] if words[0].ends_with("evaluate") => {
                let analysis = values("--analyses").first().map(|name| format!("{}.parquet", name.display()));
                write(&out.join(analysis.unwrap_or_else(|| "summary.json".into())));
            }
            [out] if words.contains(&"jtc,njtc,n-njtc,joint") => {
                for set in ["jtc", "njtc", "njtc-r57", "n-njtc", "n-njtc-r57", "joint", "joint-r57"] {
                    write(&out.join(format!("{set}.safetensors")));
                }
            }
            [out] if words.contains(&"n-njtc,joint") => {
                for set in ["n-njtc-adam", "n-njtc-adam-r57", "joint-adam", "joint-adam-r57"] {
                    write(&out.join(format!("{set}.safetensors")));
                }
            }
            ref files => files.iter().chain(&values("--ojfa")).for_each(|file| write(file)),
        }
        Ok(())
    }
}

fn line_of(words: &[&str]) -> String {
    words[1..].join(" ")
}

fn manifest() -> HiddenManifest {
    let inputs = CaptureInputs {
        model: "m".into(),
        architecture: "llama".into(),
        model_sha256: String::new(),
        hidden_size: HIDDEN_SIZE,
        blocks: 30,
        vocab_size: 100,
        sentences: "train.txt".into(),
        sentences_sha256: String::new(),
        samples: 0,
        truncated: 0,
        seed: 0,
        position_0: true,
        bos: false,
        dtype: "f32".into(),
        device: None,
        batch_tokens: None,
        batch_parts: None,
        positions: None,
        chunk_tokens: None,
        pack: false,
        texts: None,
        levels: None,
        store_dtype: "f32".into(),
        onejump: String::new(),
        libtorch: String::new(),
    };
    HiddenManifest {
        format: FORMAT,
        shard: None,
        inputs,
        samples_per_part: 1,
        parts: Vec::new(),
        parts_total: 0,
    }
}
