//! How far the dump is read: on stderr, and only where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar over the bytes of a dump's file.
    pub(crate) fn new(bytes: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr_with_hz(8));
        let template = "    corpus [{bar:32}] {bytes}/{total_bytes} · {bytes_per_sec} · {msg} · {eta} left";
        // A template that does not parse would only cost the bar its looks.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    pub(crate) fn show(&self, bytes: u64, articles: u64) {
        self.0.set_position(bytes);
        let rate = articles as f64 / self.0.elapsed().as_secs_f64().max(1e-3);
        self.0.set_message(format!("{articles} articles, {rate:.0}/s"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
