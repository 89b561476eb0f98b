//! `onejump-capture`: see `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use onejump_capture::{CaptureError, Config, Input, Shard, capture};
use onejump_store::part::StoreDtype;

/// Run a model over sentences and store the hidden states of one sampled token per sentence, at
/// every level, as Parquet parts with a manifest.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Model: a Hugging Face directory, a .gguf file, or a built-in name such as smollm2-135m
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// UTF-8 text, one sentence a line
    #[arg(long, value_name = "FILE", required_unless_present = "samples", conflicts_with = "samples")]
    sentences: Option<PathBuf>,
    /// JSON lines {"input_ids": [...], "position": p}: exact inputs, tokenised by nobody
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    /// Folder for the parts and manifest.json; an interrupted capture goes on where it stopped
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seed of the sampled positions
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Never sample position 0
    #[arg(long)]
    no_position_0: bool,
    /// What the model computes in
    #[arg(long, value_parser = ["f32"], default_value = "f32")]
    dtype: String,
    /// What the states are stored in: f32 or f16
    #[arg(long, default_value = "f32")]
    store_dtype: StoreDtype,
    /// cpu, cuda, cuda:N, or auto
    #[arg(long, default_value = "auto")]
    device: String,
    /// Compute every n-th part only, from the i-th: i/n
    #[arg(long, value_name = "i/n", default_value = "0/1")]
    shard: Shard,
    /// Use the first N lines only
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Tokens in a batch, about
    #[arg(long, value_name = "N", default_value_t = onejump_capture::DEFAULT_BATCH_TOKENS)]
    batch_tokens: usize,
}

fn main() -> ExitCode {
    onejump_core::telemetry::init();
    onejump_core::cli::exit(run(Args::parse()))
}

fn run(args: Args) -> Result<(), CaptureError> {
    let input = match (args.sentences, args.samples) {
        (_, Some(path)) => Input::Samples(path),
        (Some(path), None) => Input::Sentences(path),
        (None, None) => return Err(CaptureError::Usage("give --sentences or --samples".into())),
    };
    let captured = capture(&Config {
        seed: args.seed,
        position_0: !args.no_position_0,
        limit: args.limit,
        device: args.device,
        store_dtype: args.store_dtype,
        shard: args.shard,
        batch_tokens: args.batch_tokens,
        ..Config::new(&args.model, input, &args.out)
    })?;
    let seconds = captured.elapsed.as_secs_f64();
    println!("{}: {} samples in {} parts", args.out.display(), captured.samples, captured.parts);
    if captured.computed > 0 {
        println!(
            "  computed {} samples, {} tokens in {seconds:.1} s ({:.0} tokens/s); wrote {:.0} MB",
            captured.computed,
            captured.tokens,
            captured.tokens as f64 / seconds,
            captured.bytes as f64 / 1e6
        );
    }
    Ok(())
}
