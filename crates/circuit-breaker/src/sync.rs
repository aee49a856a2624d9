//! What the state machine is built on. The loom model in `tests/loom.rs` compiles the state machine with its own.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

pub(crate) use parking_lot::Mutex;

/// Counters of one window are kept once for each thread that may run, up to this many.
const MOST_STRIPES: usize = 8;

/// How many stripes a counter has, a power of two.
pub(crate) fn stripes() -> usize {
    static STRIPES: std::sync::LazyLock<usize> = std::sync::LazyLock::new(|| {
        std::thread::available_parallelism().map_or(1, usize::from).next_power_of_two().min(MOST_STRIPES)
    });
    *STRIPES
}

/// The stripe of this thread: below [`stripes`] once it is masked.
#[inline]
pub(crate) fn stripe() -> usize {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    thread_local!(static STRIPE: u32 = NEXT.fetch_add(1, Ordering::Relaxed));
    // A thread that is being torn down may still end a request.
    STRIPE.try_with(|stripe| *stripe).unwrap_or(0) as usize
}
