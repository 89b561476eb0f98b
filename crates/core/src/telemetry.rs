//! Logs through `tracing` and progress bars, both on stderr; data goes to stdout.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::EnvFilter;

/// Where stderr is no terminal, a line in the log stands for the bar, this often.
const LOG_INTERVAL: Duration = Duration::from_secs(15);

/// The unit of a [`Progress`] whose numbers are shown as kB, MB and GB.
pub const BYTES: &str = "bytes";

/// Sends `tracing` to stderr. `RUST_LOG` selects what is said; warnings by default, and what the
/// stages themselves say at `info`.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        EnvFilter::new("warn,onejump_core=info,onejump_models=info,onejump_capture=info,onejump_train=info,onejump_evaluate=info")
    });
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
pub struct Progress {
    bar: ProgressBar,
    name: &'static str,
    unit: &'static str,
    state: std::sync::Mutex<LogState>,
}

struct LogState {
    done: u64,
    last: Instant,
}

impl Progress {
    /// A bar of `total` steps, each one `unit`, for instance `sentences`.
    pub fn new(name: &'static str, unit: &'static str, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(8));
        let counts = if unit == BYTES {
            "{bytes}/{total_bytes} · {bytes_per_sec}".to_owned()
        } else {
            format!("{{human_pos}}/{{human_len}} {unit} · {{per_sec:.1}}")
        };
        let template = format!("{name:>10} [{{bar:32}}] {counts} · {{eta}} left");
        // A template that does not parse would only cost the bar its looks.
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        let state = LogState { done: 0, last: Instant::now() };
        Self { bar, name, unit, state: state.into() }
    }

    /// Steps forward; may be called from several threads.
    pub fn advance(&self, steps: u64) {
        self.bar.inc(steps);
        if !self.bar.is_hidden() {
            return;
        }
        let Ok(mut state) = self.state.lock() else { return };
        state.done += steps;
        if state.last.elapsed() >= LOG_INTERVAL {
            state.last = Instant::now();
            let total = self.bar.length().unwrap_or(0);
            let seconds = self.bar.elapsed().as_secs_f64();
            let rate = state.done as f64 / seconds;
            let left = total.saturating_sub(state.done) as f64 / rate;
            tracing::info!(
                "{}: {}/{total} {}, {rate:.1}/s, {left:.0} s left",
                self.name,
                state.done,
                self.unit
            );
        }
    }

    /// Says a line without tearing the bar.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| crate::remark!("{line}"));
    }

    /// Ends the bar and takes it from the screen; returns the time that it ran.
    pub fn finish(self) -> Duration {
        self.bar.finish_and_clear();
        self.bar.elapsed()
    }
}
