//! Logs through `tracing` and progress bars, both on stderr; data goes to stdout.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use onejump_core::observe::{BYTES, Meter, Task};
use tracing_subscriber::EnvFilter;

/// Where stderr is no terminal, a line in the log stands for the bar, this often.
const LOG_INTERVAL: Duration = Duration::from_secs(15);

/// What is said without `RUST_LOG`: warnings of all, and what our own crates (whose names all begin so) say at `info`.
const DEFAULT_FILTER: &str = "warn,onejump=info";

/// Sends `tracing` to stderr. `RUST_LOG` selects what is said.
pub(crate) fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .log_internal_errors(false) // It would say them on stderr, and panic where that is closed.
        .without_time()
        .init();
}

/// A progress bar with rate and time left; hidden, with a line in the log instead, where stderr
/// is no terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    task: Task,
    log: Mutex<LogState>,
}

struct LogState {
    done: u64,
    last: Instant,
}

impl Progress {
    pub fn new(task: Task) -> Self {
        let bar = ProgressBar::with_draw_target(Some(task.total), ProgressDrawTarget::stderr_with_hz(8));
        let counts = if task.unit == BYTES {
            "{bytes}/{total_bytes} · {bytes_per_sec}".to_owned()
        } else {
            format!("{{human_pos}}/{{human_len}} {} · {{per_sec:.1}}", task.unit)
        };
        let template = format!("{:>10} [{{bar:32}}] {counts} · {{eta}} left", task.name);
        // A template that does not parse would only cost the bar its looks.
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar, task, log: LogState { done: 0, last: Instant::now() }.into() }
    }
}

impl Meter for Progress {
    fn advance(&self, steps: u64) {
        self.bar.inc(steps);
        if !self.bar.is_hidden() {
            return;
        }
        let Ok(mut log) = self.log.lock() else { return };
        log.done += steps;
        if log.last.elapsed() >= LOG_INTERVAL {
            log.last = Instant::now();
            let Task { name, unit, total } = self.task;
            let rate = log.done as f64 / self.bar.elapsed().as_secs_f64();
            let left = total.saturating_sub(log.done) as f64 / rate;
            tracing::info!("{name}: {}/{total} {unit}, {rate:.1}/s, {left:.0} s left", log.done);
        }
    }
}

impl Drop for Progress {
    /// Takes the bar from the screen.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn our_crates_are_heard_at_info_and_others_at_warn() {
        let subscriber = tracing_subscriber::registry().with(EnvFilter::new(DEFAULT_FILTER));
        tracing::subscriber::with_default(subscriber, || {
            for target in ["onejump_capture", "onejump_core::files", "onejump_not_yet_written"] {
                assert!(enabled(target), "{target}");
            }
        });
        fn enabled(target: &'static str) -> bool {
            match target {
                "onejump_capture" => tracing::enabled!(target: "onejump_capture", tracing::Level::INFO),
                "onejump_core::files" => {
                    tracing::enabled!(target: "onejump_core::files", tracing::Level::INFO)
                }
                _ => {
                    tracing::enabled!(target: "onejump_not_yet_written", tracing::Level::INFO)
                        && !tracing::enabled!(target: "hyper", tracing::Level::INFO)
                }
            }
        }
    }
}
