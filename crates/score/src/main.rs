//! `onejump-score`: see `--help`.

mod args;

use std::process::ExitCode;

use args::Args;
use onejump_core::lock;
use onejump_core::numbers::thousands;
use onejump_core::shortcut::LevelConvention;
use onejump_program::{Terminal, say};
use onejump_score::{ScoreError, choose, one_jump, scores, softmax};
use onejump_shortcuts::file::ShortcutFile;
use onejump_store::hidden::{HiddenStates, Selection};
use onejump_store::tables::write_scores;
use strum::VariantArray;

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), ScoreError> {
    let outputs = [Some(&args.out), args.ojfa.as_ref()];
    let _locks = outputs.into_iter().flatten().map(|path| lock::file(path)).collect::<Result<Vec<_>, _>>()?;
    let selection = Selection { first: args.first, without_position_0: args.without_position_0 };
    let hidden = HiddenStates::open(&args.hidden)?.select(selection)?;
    let path = onejump_fetch::shortcuts(&args.shortcuts, terminal)?;
    let jumps = ShortcutFile::read(&path)?;
    let inputs = &hidden.manifest().inputs;
    jumps.check_model(&path, &inputs.model_sha256, hidden.hidden_size(), hidden.blocks())?;
    let scores = scores(&hidden, &jumps, terminal)?;
    write_scores(&args.out, &scores)?;
    let choice = choose(&scores, hidden.blocks(), args.convention)?;
    say!("{}: {} pairs of jump and level", args.out.display(), scores.len());
    for &convention in LevelConvention::VARIANTS {
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
