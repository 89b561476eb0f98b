//! `onejump-score`: see `--help`.

mod args;

use std::process::ExitCode;

use args::Args;
use onejump_core::lock;
use onejump_core::numbers::thousands;
use onejump_core::shortcut::LevelConvention;
use onejump_program::{Terminal, say};
use onejump_score::{ScoreError, ScoreShards, choose, one_jump, softmax, sums};
use onejump_shortcuts::file::ShortcutFile;
use onejump_store::hidden::{HiddenStates, Selection};
use onejump_store::merge;
use onejump_store::tables::write_scores;
use strum::VariantArray;

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), ScoreError> {
    let selection =
        Selection { first: args.first, without_position_0: args.without_position_0, ..Selection::default() };
    let path = onejump_fetch::shortcuts(&args.shortcuts, terminal)?;
    let jumps = ShortcutFile::read(&path)?;
    let shards = ScoreShards::new(&args.out, &path, selection)?;
    let lock_outputs = || {
        let outputs = [Some(&args.out), args.ojfa.as_ref()];
        outputs.into_iter().flatten().map(|path| lock::file(path)).collect::<Result<Vec<_>, _>>()
    };
    let (sums, _locks) = match args.join {
        Some(count) => {
            let manifest = merge::whole(&args.hidden)?;
            let inputs = &manifest.inputs;
            jumps.check_model(&path, &inputs.model_sha256, inputs.hidden_size, inputs.blocks)?;
            let locks = lock_outputs()?;
            (shards.join(count.get(), &manifest)?, locks)
        }
        None => {
            let hidden = HiddenStates::open_shard(&args.hidden)?;
            let inputs = &hidden.manifest().inputs;
            jumps.check_model(&path, &inputs.model_sha256, hidden.hidden_size(), hidden.blocks())?;
            if let Some(shard) = hidden.shard() {
                if args.first.is_some() {
                    return Err(ScoreError::FirstOfShard { dir: args.hidden });
                }
                let _lock = lock::file(&shards.path(shard))?;
                let hidden = hidden.select(selection)?;
                shards.write(shard, &sums(&hidden, &jumps, terminal)?, hidden.manifest())?;
                say!("{}: shard {shard}; --join {} joins them", shards.path(shard).display(), shard.count);
                return Ok(());
            }
            let locks = lock_outputs()?;
            (sums(&hidden.select(selection)?, &jumps, terminal)?, locks)
        }
    };
    let scores = sums.scores();
    write_scores(&args.out, &scores)?;
    let choice = choose(&sums, args.convention, args.seed)?;
    say!("{}: {} pairs of jump and level", args.out.display(), scores.len());
    for &convention in LevelConvention::VARIANTS {
        let d = choice.d(convention);
        let Some(jump) = choice.best(convention) else { continue };
        let (score, share) = (d[jump], softmax(d)[jump]);
        say!("  levels {convention}: jump {jump}, D = {score:.5}, {:.1} % of the softmax", share * 100.0);
    }
    if let Some(sureness) = &choice.sureness {
        let next = sureness
            .next(choice.level)
            .map_or(String::new(), |(jump, share)| format!("; next: jump {jump} in {:.1} %", share * 100.0));
        let (share, draws) = (sureness.shares[choice.level] * 100.0, thousands(sureness.draws as u64));
        say!("  jump {} is chosen in {share:.1} % of {draws} draws of the texts{next}", choice.level);
    }
    if let Some(path) = &args.ojfa {
        let one = one_jump(&jumps, choice)?;
        one.write(path)?;
        let (one, all) = (one.card.parameters(), jumps.card.parameters());
        say!("{}: the one jump, {} of {} parameters", path.display(), thousands(one), thousands(all));
    }
    Ok(())
}
