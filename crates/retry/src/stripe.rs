//! Which of several counters a thread counts in.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of this thread among those that ever counted: neighbours count apart.
#[inline]
pub(crate) fn of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static STRIPE: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    // A thread that ends counts with the first.
    STRIPE.try_with(|stripe| *stripe).unwrap_or(0)
}
