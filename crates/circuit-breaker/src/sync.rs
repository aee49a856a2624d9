//! What the state machine is built on. The loom model in `tests/loom.rs` compiles the state machine with its own.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

pub(crate) use parking_lot::Mutex;

/// Counters of one window are kept once for each thread that may run, up to this many.
const MOST_STRIPES: usize = 8;

/// How many stripes a counter has, a power of two.
pub(crate) fn stripes() -> usize {
    bartizan_core::stripe::count().min(MOST_STRIPES)
}

/// The stripe of this thread: below [`stripes`] once it is masked.
pub(crate) use bartizan_core::stripe::of_thread as stripe;
