//! Asking for memory before it is needed.

/// Bytes that come from memory together.
const LINE: usize = 64;

/// Asks for what lies `ahead` bytes behind a value, as many bytes as the value has. Nothing is read, so nothing need be
/// there.
///
/// What is computed from narrow weights fills the processor's window of instructions after a few hundred bytes, and its
/// own foresight ends with each page: without this, memory waits while the processor computes.
#[inline(always)]
pub(crate) fn prefetch<T>(value: &T, ahead: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(sse) = pulp::core_arch::x86::Sse::try_new() {
        /// Into the nearest cache.
        const NEAREST: i32 = 3;
        let start = std::ptr::from_ref(value).cast::<i8>().wrapping_add(ahead);
        for offset in (0..size_of::<T>()).step_by(LINE) {
            sse._mm_prefetch::<NEAREST>(start.wrapping_add(offset));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (value, ahead, LINE);
}
