//! The calls of the last so many seconds.

use std::time::Duration;

use super::Totals;
use crate::sync::{AtomicU64, Ordering::SeqCst, stripe, stripes};

/// The calls of the last so many seconds, in a ring of buckets for each stripe of threads.
///
/// Nothing is locked, and nothing is cleared: a counter says of which bucket in time and of which generation it counts,
/// and whoever comes first in a later one starts it anew.
#[derive(Debug)]
pub(crate) struct TimeWindow {
    bucket_nanos: u64,
    buckets: usize,
    /// One ring after the other.
    counters: Box<[Bucket]>,
    stripe_mask: usize,
}

/// Aligned so that threads of two stripes never write to one cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Bucket {
    calls: Counter,
    failures: Counter,
    slow: Counter,
}

/// Ten bits of the generation, thirty of the bucket's number, and the count.
///
/// They come round after 1024 generations and, with the shortest buckets, after 124 days; a counter is mistaken for a
/// current one, or for one that is ahead, only if nothing touched it for about so long, and for one window at most.
#[derive(Debug)]
struct Counter(AtomicU64);

/// The generation and the bucket's number, as they stand in a counter.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp(u64);

const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const TICK_BITS: u32 = 30;
const TICK_MASK: u64 = (1 << TICK_BITS) - 1;
const GENERATION_MASK: u64 = (1 << 10) - 1;

impl Stamp {
    #[inline]
    fn new(generation: u64, tick: u64) -> Self {
        Self(((generation & GENERATION_MASK) << TICK_BITS) | (tick & TICK_MASK))
    }

    #[inline]
    fn of(word: u64) -> Self {
        Self(word >> COUNT_BITS)
    }

    fn generation(self) -> u64 {
        self.0 >> TICK_BITS
    }

    fn tick(self) -> u64 {
        self.0 & TICK_MASK
    }

    #[inline]
    fn word(self, count: u64) -> u64 {
        (self.0 << COUNT_BITS) | count
    }

    /// Whether another thread wrote `self` that is a little ahead of `other`, in numbers that come round: by few
    /// generations, and by no more time than the ring holds.
    ///
    /// What seems to be further ahead is long past, and must not keep the counter from being started anew: each recovery
    /// that fails takes two generations, in which nothing is counted.
    #[inline(never)]
    fn is_ahead_of(self, other: Self, buckets: u64) -> bool {
        /// More than a breaker goes through while a thread is on its way from the state to the counter. One that was not
        /// fast enough takes the counter of one bucket from those that were.
        const FEW: u64 = 8;
        let generations = self.generation().wrapping_sub(other.generation()) & GENERATION_MASK;
        let ticks = self.tick().wrapping_sub(other.tick()) & TICK_MASK;
        generations <= FEW && ticks <= buckets && (generations, ticks) != (0, 0)
    }
}

impl Counter {
    fn new() -> Self {
        // As if of the generation before the first.
        Self(AtomicU64::new(Stamp::new(GENERATION_MASK, 0).word(0)))
    }

    /// Adds to the count of `stamp`, unless the counter is ahead of it already: then the call is as if forgotten.
    #[inline]
    fn add(&self, stamp: Stamp, by: u64, buckets: u64) {
        let mut seen = self.0.load(SeqCst);
        loop {
            let of = Stamp::of(seen);
            let next = if of == stamp {
                seen + by.min(COUNT_MASK - (seen & COUNT_MASK))
            } else if of.is_ahead_of(stamp, buckets) {
                return;
            } else {
                stamp.word(by)
            };
            match self.0.compare_exchange_weak(seen, next, SeqCst, SeqCst) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// The count, if it is of this generation and less than `buckets` away in time.
    fn read(&self, now: Stamp, buckets: u64) -> u64 {
        let word = self.0.load(SeqCst);
        let of = Stamp::of(word);
        let age = now.tick().wrapping_sub(of.tick()) & TICK_MASK;
        // Another thread may have read its clock later, and be ahead.
        let ahead = of.tick().wrapping_sub(now.tick()) & TICK_MASK;
        if of.generation() == now.generation() && age.min(ahead) < buckets { word & COUNT_MASK } else { 0 }
    }
}

impl TimeWindow {
    pub(super) fn new(bucket: Duration, buckets: u32) -> Self {
        let (buckets, stripes) = (buckets as usize, stripes());
        let new = || Bucket { calls: Counter::new(), failures: Counter::new(), slow: Counter::new() };
        Self {
            bucket_nanos: u64::try_from(bucket.as_nanos()).unwrap_or(u64::MAX).max(1),
            buckets,
            counters: (0..buckets * stripes).map(|_| new()).collect(),
            stripe_mask: stripes - 1,
        }
    }

    /// The bucket of this thread and time, and what its counters then begin with.
    #[inline]
    fn bucket(&self, generation: u64, nanos: u64) -> Option<(&Bucket, Stamp)> {
        let tick = nanos / self.bucket_nanos;
        let place = usize::try_from(tick % self.buckets as u64).unwrap_or_default();
        let bucket = self.counters.get((stripe() & self.stripe_mask) * self.buckets + place)?;
        Some((bucket, Stamp::new(generation, tick)))
    }

    /// Adds a call of which there is nothing to say.
    #[inline(always)]
    pub(crate) fn add_call(&self, generation: u64, nanos: u64) {
        if let Some((bucket, stamp)) = self.bucket(generation, nanos) {
            bucket.calls.add(stamp, 1, self.buckets as u64);
        }
    }

    pub(super) fn add(&self, generation: u64, nanos: u64, call: Totals) {
        let Some((bucket, stamp)) = self.bucket(generation, nanos) else { return };
        let buckets = self.buckets as u64;
        // Calls first, and read last: a rate is never taken of too few.
        if call.calls > 0 {
            bucket.calls.add(stamp, call.calls, buckets);
        }
        if call.failures > 0 {
            bucket.failures.add(stamp, call.failures, buckets);
        }
        if call.slow > 0 {
            bucket.slow.add(stamp, call.slow, buckets);
        }
    }

    pub(super) fn totals(&self, generation: u64, nanos: u64) -> Totals {
        let now = Stamp::new(generation, nanos / self.bucket_nanos);
        let buckets = self.buckets as u64;
        let sum = |counter: fn(&Bucket) -> &Counter| {
            self.counters.iter().map(|bucket| counter(bucket).read(now, buckets)).sum()
        };
        let failures = sum(|bucket| &bucket.failures);
        let slow = sum(|bucket| &bucket.slow);
        Totals { calls: sum(|bucket| &bucket.calls), failures, slow }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cb_06_only_what_is_a_little_ahead_is_ahead() {
        // Near the end of both numbers, so that they come round.
        let (generation, tick) = (GENERATION_MASK - 3, TICK_MASK - 3);
        let own = Stamp::new(generation, tick);
        let by = |generations: i64, ticks: i64| {
            let stamp =
                Stamp::new(generation.wrapping_add_signed(generations), tick.wrapping_add_signed(ticks));
            stamp.is_ahead_of(own, 10)
        };
        assert!(by(1, 0) && by(8, 0) && by(0, 10) && by(1, 10));
        assert!(!by(-1, 0) && !by(-1, 10) && !by(0, -10) && !by(0, 0), "behind, or the same");
        assert!(!by(9, 0) && !by(512, 0) && !by(1_023, 0) && !by(0, 11), "so far that it is long ago");
        assert!(!by(1, -10) && !by(8, -10), "of a time that is over");
    }
}
