//! `cargo xtask full-size`: the paper's models and one of each other family at their full size with random weights,
//! through capture, training and score. It shows that they fit and run; the states mean nothing.

mod checkpoint;
mod models;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};
use onejump_core::numbers::thousands;
use onejump_program::{Terminal, say};

use self::checkpoint::Checkpoint;
use crate::{process, setup};

/// Options of `cargo xtask full-size`.
#[derive(clap::Args)]
pub struct Args {
    /// gpt2-xl, phi3-mini, llama2-7b, pythia-2.8b, olmo2-1b, olmo3-7b, gemma2-2b, gemma3-1b, smollm3-3b [default: the paper's
    /// three]
    models: Vec<String>,
    /// Sentences to capture
    #[arg(long, default_value_t = 36)]
    sentences: usize,
    /// cpu, cuda, cuda:N, or auto
    #[arg(long, default_value = "auto")]
    device: String,
    /// Folder for the checkpoints, up to 13.5 GB at a time [default: the system's for temporary files]
    #[arg(long, value_name = "DIR")]
    scratch: Option<std::path::PathBuf>,
}

/// Runs the models, one after another.
pub fn full_size(args: &Args, terminal: &Terminal) -> Result<()> {
    setup::setup(terminal)?;
    let binaries = process::build_stages()?;
    let all = models::all();
    let known: Vec<_> = all.iter().map(|model| model.name).collect();
    if let Some(unknown) = args.models.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no '{unknown}'; known: {}", known.join(", "));
    }
    let wanted = |(place, model): &(usize, &Checkpoint)| match &args.models[..] {
        [] => *place < models::OF_THE_PAPER,
        names => names.iter().any(|name| name == model.name),
    };
    for (_, model) in all.iter().enumerate().filter(wanted) {
        run(model, &binaries, args)?;
    }
    Ok(())
}

fn run(model: &Checkpoint, binaries: &Path, args: &Args) -> Result<()> {
    let folder = match &args.scratch {
        Some(scratch) => tempfile::tempdir_in(scratch)?,
        None => tempfile::tempdir()?,
    };
    let path = |name: &str| folder.path().join(name).display().to_string();
    let started = Instant::now();
    model.write(&folder.path().join(model.name))?;
    say!(
        "\n{}: {} random values written in {:.0} s",
        model.name,
        thousands(model.parameters()),
        started.elapsed().as_secs_f64()
    );
    let sentences = process::root()?.join("data/wikipedia/test.txt").display().to_string();
    let (checkpoint, hidden, shortcuts) = (path(model.name), path("hidden"), path("n-njtc.safetensors"));
    let limit = args.sentences.to_string();
    let stage = |binary: &str, arguments: &[&str]| {
        let started = Instant::now();
        process::run(Command::new(binaries.join(binary)).args(arguments))?;
        say!("  {binary} took {:.1} s", started.elapsed().as_secs_f64());
        anyhow::Ok(())
    };
    let capture = [
        "--model",
        &checkpoint,
        "--sentences",
        &sentences,
        "--limit",
        &limit,
        "--dtype",
        model.dtype,
        "--device",
    ];
    let device = [args.device.as_str(), "--out", &hidden];
    stage("onejump-capture", &[&capture[..], &device, &["--dry-run"]].concat())?;
    stage("onejump-capture", &[&capture[..], &device].concat())?;
    stage("onejump-train", &["--hidden", &hidden, "--kind", "n-njtc", "--out", &shortcuts])?;
    stage(
        "onejump-score",
        &[
            "--hidden",
            &hidden,
            "--shortcuts",
            &shortcuts,
            "--out",
            &path("scores.parquet"),
            "--ojfa",
            &path("ojfa.safetensors"),
        ],
    )
}
