//! `onejump-score`: see `--help`.

mod args;

use std::process::ExitCode;

use args::{Args, Levels};
use clap::Parser;
use onejump_core::cli::thousands;
use onejump_core::lock;
use onejump_core::say;
use onejump_core::shortcut::LevelConvention;
use onejump_score::{ScoreError, choose, one_jump, scores, softmax};
use onejump_shortcuts::file::ShortcutFile;
use onejump_store::hidden::{HiddenStates, Selection};
use onejump_store::tables::write_scores;

fn main() -> ExitCode {
    onejump_core::telemetry::init();
    onejump_core::interrupt::listen();
    onejump_core::cli::exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), ScoreError> {
    let outputs = [Some(&args.out), args.ojfa.as_ref()];
    let _locks = outputs.into_iter().flatten().map(|path| lock::file(path)).collect::<Result<Vec<_>, _>>()?;
    let selection = Selection { first: args.first, without_position_0: args.without_position_0 };
    let hidden = HiddenStates::open(&args.hidden)?.select(selection)?;
    let jumps = ShortcutFile::read(&args.shortcuts)?;
    let inputs = &hidden.manifest().inputs;
    jumps.check_model(&args.shortcuts, &inputs.model_sha256, hidden.hidden_size(), hidden.blocks())?;
    let scores = scores(&hidden, &jumps)?;
    write_scores(&args.out, &scores)?;
    let levels = match args.levels {
        Levels::Exit => LevelConvention::Exit,
        Levels::Eq5 => LevelConvention::Eq5,
    };
    let choice = choose(&scores, hidden.blocks(), levels)?;
    say!("{}: {} pairs of jump and level", args.out.display(), scores.len());
    for convention in [LevelConvention::Exit, LevelConvention::Eq5] {
        let d = choice.d(convention);
        let Some(jump) = choice.best(convention) else { continue };
        let (score, share) = (d[jump], softmax(d)[jump]);
        say!("  levels {convention}: jump {jump}, D = {score:.5}, {:.1} % of the softmax", share * 100.0);
    }
    if let Some(path) = &args.ojfa {
        let one = one_jump(&jumps, choice)?;
        one.write(path)?;
        let (one, all) = (one.card.parameters(), jumps.card.parameters());
        say!("{}: the one jump, {} of {} parameters", path.display(), thousands(one), thousands(all));
    }
    Ok(())
}
