//! `onejump-generate`: see `--help`.

mod args;

use std::process::ExitCode;

use args::Args;
use onejump_generate::{GenerateError, Outcome, generate};
use onejump_program::{Terminal, remark, say, say_piece};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), GenerateError> {
    let json = args.json;
    let mut config = args.config()?;
    config.jump = config.jump.map(|jump| onejump_fetch::shortcuts(&jump, terminal)).transpose()?;
    let mut begun = false;
    let outcome = generate(&config, terminal, |piece| {
        begun |= !json;
        json || say_piece(piece)
    });
    if begun {
        say_piece("\n");
    }
    let outcome = outcome?;
    if json {
        say!("{}", serde_json::to_string(&outcome)?);
    }
    tell(&outcome);
    Ok(())
}

/// What it took.
fn tell(outcome: &Outcome) {
    let Outcome { times, drafts, .. } = outcome;
    let (added, prompt) = (outcome.tokens.len(), outcome.prompt_tokens);
    remark!("load:       {:8.0} ms", times.load_ms);
    remark!("prompt:     {:8.0} ms, {prompt} tokens", times.prompt_ms);
    remark!(
        "generation: {:8.0} ms, {added} tokens, {:.1} tokens/s",
        times.generation_ms,
        outcome.tokens_per_second()
    );
    if drafts.drafted > 0 {
        let share = drafts.accepted as f64 / drafts.drafted as f64 * 100.0;
        remark!(
            "drafts:     {} of {} accepted ({share:.0} %), {} steps",
            drafts.accepted,
            drafts.drafted,
            drafts.steps
        );
    }
    if let Some(full) = outcome.full_ms {
        remark!(
            "in full:    {full:8.0} ms, the same {added} tokens; {:.2} times as fast",
            full / times.generation_ms
        );
    }
}
