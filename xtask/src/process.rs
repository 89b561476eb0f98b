//! Running other programs, and where the checkout is.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use onejump_core::interrupt::{self, Interrupted};
use onejump_core::remark;
use rustix::process::{Pid, Signal, kill_process};

/// The exit status after SIGTERM.
const SIGTERM_STATUS: u8 = 143;

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Cargo, run in the root.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The exit status of an outcome, with an error in one line.
pub fn exit(outcome: Result<()>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        remark!("{interrupted}");
        return ExitCode::from(interrupted.status());
    }
    remark!("error: {error:#}");
    ExitCode::FAILURE
}

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Runs a program to its end, with its output on the terminal. SIGTERM is passed on to it; SIGINT comes
/// from the terminal, which sends it to both.
pub fn run(command: &mut Command) -> Result<()> {
    interrupt::check()?;
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let mut passed_on = false;
    let status = loop {
        if let Some(status) = child.try_wait().with_context(|| format!("cannot wait for {name}"))? {
            break status;
        }
        let terminated = interrupt::check().is_err_and(|signal| signal.status() == SIGTERM_STATUS);
        if terminated && !passed_on {
            passed_on = true;
            kill_process(Pid::from_child(&child), Signal::TERM)?;
        }
        std::thread::sleep(POLL);
    };
    if let Some(interrupted) = status.code().and_then(Interrupted::of_status) {
        return Err(interrupted.into());
    }
    interrupt::check()?;
    if !status.success() {
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        bail!("{name} {} failed ({status})", arguments.join(" "));
    }
    Ok(())
}

/// Builds the stages and returns the folder of their binaries.
pub fn build_stages() -> Result<PathBuf> {
    run(cargo().args(["build", "--release", "--workspace", "--bins"]))?;
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root()).no_deps().exec()?;
    Ok(metadata.target_directory.join("release").into())
}
