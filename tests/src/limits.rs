//! What reading a file may cost.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

use crate::readers::Outcome;

#[global_allocator]
static RUST_MEMORY: PeakAlloc = PeakAlloc;

/// A file may cost this much, beside a multiple of its size.
const MEMORY_BASE: usize = 96 << 20;

/// Decompressing, and states beside their bytes.
const MEMORY_PER_BYTE: usize = 64;

/// No small file takes longer, on a busy machine.
const TIME: Duration = Duration::from_secs(20);

/// What reading a file of `size` bytes gives.
///
/// # Errors
/// It panics, takes too much memory or time, or fails without a word.
pub fn within(size: usize, read: impl FnOnce() -> Outcome) -> Result<Outcome, String> {
    let resident = resident_peak();
    let before = RUST_MEMORY.current_usage();
    RUST_MEMORY.reset_peak_usage();
    let started = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(read)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("panic: {}", text.unwrap_or_default())
    })?;
    let limit = MEMORY_BASE + MEMORY_PER_BYTE * size;
    let rust = RUST_MEMORY.peak_usage().saturating_sub(before);
    let all = resident_peak().saturating_sub(resident);
    if rust.max(all) > limit {
        return Err(format!("{} MB of memory for {size} bytes: {outcome:?}", rust.max(all) >> 20));
    }
    if started.elapsed() > TIME {
        return Err(format!("{:.0} s", started.elapsed().as_secs_f64()));
    }
    if let Err(error) = &outcome
        && error.trim().is_empty()
    {
        return Err("an error without a word".into());
    }
    Ok(outcome)
}

/// Bytes of the largest resident set since the last call, of all libraries together.
fn resident_peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    // 5 resets the mark to what is resident now.
    let _ = fs::write("/proc/self/clear_refs", "5");
    kilobytes << 10
}
