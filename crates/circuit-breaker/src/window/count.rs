//! The last so many calls.

use std::time::Duration;

use super::Totals;
use crate::sync::Mutex;

/// The last so many calls, in a ring. Which calls are the last is one order for all threads, hence the lock; it is held
/// for a few instructions.
#[derive(Debug)]
pub(crate) struct CountWindow {
    size: usize,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    generation: u64,
    calls: Vec<u8>,
    /// Where the next call goes once the ring is full.
    next: usize,
    totals: Totals,
    /// When the last one was added.
    last: u64,
}

const FAILED: u8 = 1;
const SLOW: u8 = 2;

impl CountWindow {
    pub(super) fn new(calls: u32) -> Self {
        Self { size: calls as usize, ring: Mutex::new(Ring::default()) }
    }

    /// `None` for a call of a generation that is over.
    pub(super) fn add(&self, generation: u64, nanos: u64, call: Totals) -> Option<Totals> {
        let mut ring = self.ring.lock();
        if generation < ring.generation {
            return None;
        }
        ring.last = nanos;
        if generation > ring.generation {
            // What was allocated stays.
            ring.calls.clear();
            ring.next = 0;
            ring.totals = Totals::default();
            ring.generation = generation;
        }
        let (failures, slow) = (call.failures.min(1), call.slow.min(1));
        let new = if failures > 0 { FAILED } else { 0 } | if slow > 0 { SLOW } else { 0 };
        if ring.calls.len() < self.size {
            ring.calls.push(new);
            ring.totals.calls += 1;
        } else {
            let at = ring.next;
            let old = std::mem::replace(&mut ring.calls[at], new);
            ring.next = (at + 1) % self.size;
            ring.totals.failures -= u64::from(old & FAILED != 0);
            ring.totals.slow -= u64::from(old & SLOW != 0);
        }
        ring.totals.failures += failures;
        ring.totals.slow += slow;
        Some(ring.totals)
    }

    pub(super) fn totals(&self, generation: u64) -> Totals {
        let ring = self.ring.lock();
        if ring.generation == generation { ring.totals } else { Totals::default() }
    }

    pub(super) fn is_idle(&self, generation: u64, nanos: u64, rest: Duration) -> bool {
        let ring = self.ring.lock();
        let is_clean = ring.totals.failures == 0 && ring.totals.slow == 0;
        is_clean
            || ring.generation != generation
            || u128::from(nanos.saturating_sub(ring.last)) >= rest.as_nanos()
    }
}
