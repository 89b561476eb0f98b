//! `onejump-train`: see `--help`.

mod args;

use std::path::Path;
use std::process::ExitCode;

use args::Args;
use onejump_core::lock;
use onejump_core::manifest::HiddenManifest;
use onejump_core::numbers::thousands;
use onejump_core::set_name::SetName;
use onejump_core::shortcut::{ShortcutKind, default_rank};
use onejump_program::{Terminal, say};
use onejump_shortcuts::file::ShortcutFile;
use onejump_store::hidden::Selection;
use onejump_train::adam::Options;
use onejump_train::{Config, TrainError, train, train_together};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), TrainError> {
    let ranks = if args.rank.is_empty() { vec![None] } else { args.rank.iter().copied().map(Some).collect() };
    let mut config = Config {
        rank: ranks[0],
        ridge: args.ridge,
        target: args.target,
        selection: Selection { first: args.first, without_position_0: args.without_position_0 },
        label: args.label,
        model: args.model,
        ..Config::new(args.hidden, args.kind[0])
    };
    config.solver = args.solver.unwrap_or(config.solver);
    config.adam = Options {
        epochs: args.epochs.unwrap_or(config.adam.epochs),
        batch_size: args.batch_size.unwrap_or(config.adam.batch_size),
        learning_rate: args.learning_rate.unwrap_or(config.adam.learning_rate),
        seed: args.seed,
    };
    if let ([_], [_]) = (&args.kind[..], &ranks[..]) {
        let _lock = lock::file(&args.out)?;
        return write(&train(&config, terminal)?, &args.out);
    }
    if args.out.is_file() {
        return Err(TrainError::Usage(format!(
            "{} is a file; several kinds or ranks need a folder for --out",
            args.out.display()
        )));
    }
    let hidden_size = HiddenManifest::read(&config.hidden)?.inputs.hidden_size;
    // A kind without a rank is trained once.
    let of_kind = |kind: &ShortcutKind| if kind.low_rank() { &ranks[..] } else { &[None] };
    let mut sets = Vec::new();
    for set in args.kind.iter().flat_map(|kind| of_kind(kind).iter().map(|&rank| (*kind, rank))) {
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    let path = |&(kind, rank): &(ShortcutKind, Option<usize>)| {
        let rank = rank.unwrap_or_else(|| default_rank(hidden_size));
        args.out.join(SetName::new(kind, config.solver, rank, hidden_size).file())
    };
    let paths: Vec<_> = sets.iter().map(path).collect();
    let _locks = paths.iter().map(|path| lock::file(path)).collect::<Result<Vec<_>, _>>()?;
    train_together(&config, &sets, terminal)?
        .iter()
        .zip(&paths)
        .try_for_each(|(file, path)| write(file, path))
}

/// Writes a file, and says what is in it.
fn write(trained: &ShortcutFile, path: &Path) -> Result<(), TrainError> {
    trained.write(path)?;
    let card = &trained.card;
    let mean = card.training_loss.iter().sum::<f64>() / card.training_loss.len() as f64;
    say!("{}: {} ({}), mean training loss {mean:.2}", path.display(), card.kind, card.solver);
    let parameters = thousands(card.parameters());
    match card.rank {
        Some(rank) => say!("  rank {rank}, {parameters} parameters"),
        None => say!("  {parameters} parameters"),
    }
    Ok(())
}
