//! What a text took, for people.

use onejump_generate::{Mode, Outcome};
use onejump_program::{remark, say_piece};
use std::io::{self, BufRead, Write};

/// The next line that somebody types; none at its end (Ctrl-D) or where it cannot be read.
pub fn ask() -> Option<String> {
    let _ = write!(io::stderr(), "> ");
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim_end_matches(['\n', '\r']).to_owned()),
    }
}

/// The end of an answer.
pub fn turn(outcome: &Outcome) {
    say_piece("\n");
    remark!("[{} tokens, {:.1} tokens/s]", outcome.tokens.len(), outcome.tokens_per_second());
}

/// Times, drafts, levels and what the full model says.
pub fn outcome(outcome: &Outcome) {
    let Outcome { times, drafts, mode, .. } = outcome;
    let (added, prompt) = (outcome.tokens.len(), outcome.prompt_tokens);
    remark!("load:       {:8.0} ms", times.load_ms);
    remark!("prompt:     {:8.0} ms, {prompt} tokens", times.prompt_ms);
    remark!(
        "generation: {:8.0} ms, {added} tokens, {:.1} tokens/s",
        times.generation_ms,
        outcome.tokens_per_second()
    );
    if let Some(threshold) = outcome.threshold {
        remark!("levels:     {:8.1} in the mean, left where surer than {threshold:.3}", outcome.mean_level);
    }
    if drafts.drafted > 0 {
        let share = drafts.accepted as f64 / drafts.drafted as f64 * 100.0;
        remark!(
            "drafts:     {} of {} accepted ({share:.0} %), {} steps",
            drafts.accepted,
            drafts.drafted,
            drafts.steps
        );
    }
    let Some(check) = &outcome.check else { return };
    let rate = check.full_tokens as f64 / check.full_ms * 1e3;
    let faster = outcome.tokens_per_second() / rate;
    let (lossy, count) = (*mode == Mode::Exit, check.full_tokens);
    let tokens = match check.differs_at {
        None if !lossy => format!("the same {count} tokens"),
        Some(position) if !lossy => format!("{count} tokens, others from token {position} on (rounding)"),
        _ => format!("{count} tokens"),
    };
    remark!("in full:    {:8.0} ms, {tokens}; {faster:.2} times as fast", check.full_ms);
    if lossy {
        let first = check
            .first_difference
            .map_or("none differs".into(), |first| format!("the first other at {first}"));
        remark!("agreement:  {:8.1} % of tokens are the full model's; {first}", check.agreement * 100.0);
        remark!(
            "surprisal:  {:8.3} nats a token under the full model; its own text {:.3}",
            check.surprisal,
            check.full_surprisal
        );
    }
}
