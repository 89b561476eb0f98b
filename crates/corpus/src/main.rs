//! `onejump-corpus`: a Wikipedia dump in, sentences out.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use onejump_corpus::{Config, CorpusError, DEFAULT_SEED, DEFAULT_TEST, DEFAULT_TRAIN, build};
use onejump_program::{Terminal, say};

/// Draws well-formed sentences at random from a Wikipedia dump.
///
/// In: a pages-articles dump, .xml or .xml.bz2. Out: train.txt and test.txt (UTF-8, one sentence a
/// line, no sentence in both) and sentences.parquet (split, title, sentence). The same dump, counts
/// and seed give the same files. Counts of what was read and left out go to stdout.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The dump, for instance enwiki-latest-pages-articles.xml.bz2.
    #[arg(long, value_name = "FILE")]
    dump: PathBuf,
    /// The folder for the three files.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Sentences to train on.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_TRAIN as u32, value_parser = clap::value_parser!(u32).range(1..))]
    train: u32,
    /// Sentences to test on.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_TEST as u32, value_parser = clap::value_parser!(u32).range(1..))]
    test: u32,
    /// Another seed draws other sentences.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED)]
    seed: u64,
}

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), CorpusError> {
    let config = Config {
        dump: args.dump,
        out: args.out,
        train: args.train as usize,
        test: args.test as usize,
        seed: args.seed,
    };
    let summary = build(&config, terminal)?;
    say!("{}", summary.to_string().trim_end());
    Ok(())
}
