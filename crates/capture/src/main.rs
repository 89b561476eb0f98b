//! `onejump-capture`: see `--help`.

mod args;

use std::process::ExitCode;

use args::Args;
use onejump_capture::{CaptureError, Config, Input, capture, plan};
use onejump_program::{Terminal, say};

fn main() -> ExitCode {
    onejump_program::run(run)
}

fn run(args: Args, terminal: &Terminal) -> Result<(), CaptureError> {
    let input = match (args.sentences, args.samples) {
        (_, Some(path)) => Input::Samples(path),
        (Some(path), None) => Input::Sentences(path),
        (None, None) => return Err(CaptureError::Usage("give --sentences or --samples".into())),
    };
    let config = Config {
        seed: args.seed,
        position_0: !args.no_position_0,
        limit: args.limit,
        bos: args.bos,
        device: args.device,
        dtype: args.dtype,
        store_dtype: args.store_dtype,
        shard: args.shard,
        batch_tokens: args.batch_tokens,
        ..Config::new(&args.model, input, &args.out)
    };
    if args.dry_run {
        say!("{}", plan(&config, terminal)?);
        return Ok(());
    }
    let captured = capture(&config, terminal)?;
    let seconds = captured.elapsed.as_secs_f64();
    say!("{}: {} samples in {} parts", args.out.display(), captured.samples, captured.parts);
    if captured.computed > 0 {
        say!(
            "  computed {} samples, {} tokens in {seconds:.2} s ({:.0} tokens/s); wrote {:.0} MB",
            captured.computed,
            captured.tokens,
            captured.tokens as f64 / seconds,
            captured.bytes as f64 / 1e6
        );
    }
    Ok(())
}
