//! Failures in a row.

use crate::sync::{AtomicU64, Ordering::SeqCst};

/// How many calls have failed since the last that succeeded, of one generation: the upper half of the word is that.
#[derive(Debug)]
pub(super) struct Streak(AtomicU64);

const COUNT_MASK: u64 = u32::MAX as u64;

impl Streak {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// One more failure: how many there are now.
    pub(super) fn fail(&self, generation: u64) -> u32 {
        let start = generation << 32;
        let count = |word: u64| if word & !COUNT_MASK == start { word & COUNT_MASK } else { 0 };
        let mut seen = self.0.load(SeqCst);
        loop {
            let next = (count(seen) + 1).min(COUNT_MASK);
            match self.0.compare_exchange_weak(seen, start | next, SeqCst, SeqCst) {
                Ok(_) => return u32::try_from(next).unwrap_or(u32::MAX),
                Err(now) => seen = now,
            }
        }
    }

    /// A success. What is zero already, as it nearly always is, is only read.
    #[inline]
    pub(super) fn end(&self, generation: u64) {
        let seen = self.0.load(SeqCst);
        if seen & COUNT_MASK != 0 && seen >> 32 == generation & COUNT_MASK {
            // Lost to a failure that came at the same time: then that came after.
            let _ = self.0.compare_exchange(seen, generation << 32, SeqCst, SeqCst);
        }
    }

    /// Starts anew.
    pub(super) fn reset(&self) {
        self.0.store(0, SeqCst);
    }
}
