//! A share of the calls in a sliding window.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bartizan_core::stripe;

use crate::ConfigError;

/// So many parts does a window have.
const PARTS: u64 = 10;

/// More slots than parts, so that a slot which is read is not one that is written anew.
const SLOTS: usize = 16;

/// Calls are counted apart by as many threads, so that these do not fight for a cache line.
const STRIPES: usize = 8;

/// No more retries in a sliding window than a share of the calls in it, and a minimum on top.
///
/// The decision without tower, clock or lock. Time is passed in; readings that go back a little count as the newest.
/// Counts are kept in tenths of the window: calls of the last nine to ten tenths count, and retries of the last ten to
/// eleven, so that no window of that length has more than its share.
///
/// ```
/// use std::time::Duration;
/// use bartizan_core::Clock;
/// use bartizan_retry::RatioBudget;
///
/// let budget = RatioBudget::new(0.2, 0, Duration::from_secs(10))?;
/// let now = Clock::system().now();
/// (0..10).for_each(|_| budget.deposit(now));
/// assert!(budget.withdraw(now) && budget.withdraw(now));
/// assert!(!budget.withdraw(now), "two retries for ten calls");
/// # Ok::<(), bartizan_retry::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct RatioBudget {
    /// In thousandths.
    ratio: u64,
    /// Retries in a window for which no call is needed.
    floor: u64,
    part_nanos: u64,
    origin: OnceLock<Instant>,
    calls: [Stripe; STRIPES],
    retries: Stripe,
}

/// Counts of parts of a window, each with the number of its part. On cache lines of its own: of 128 bytes, which
/// processors fetch at once.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe([Slot; SLOTS]);

/// The number of the part in the upper half, the count in the lower.
#[derive(Debug, Default)]
struct Slot(AtomicU64);

impl RatioBudget {
    /// # Errors
    ///
    /// When `ratio` is not a finite number from 0 to 1000, `window` is not between a second and an hour, or both ratio
    /// and minimum are 0.
    pub fn new(ratio: f64, min_per_second: u32, window: Duration) -> Result<Self, ConfigError> {
        if !(0.0..=1_000.0).contains(&ratio) {
            return Err(ConfigError::new("ratio", "must be a number from 0 to 1000"));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&window) {
            return Err(ConfigError::new("window", "must be between a second and an hour"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most a million")]
        let ratio = (ratio * 1_000.0).round() as u64;
        if ratio == 0 && min_per_second == 0 {
            return Err(ConfigError::new("ratio", "must be at least 0.001, or there must be a minimum"));
        }
        let window_nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let floor = u128::from(min_per_second) * window.as_nanos() / 1_000_000_000;
        Ok(Self {
            ratio,
            floor: u64::try_from(floor).unwrap_or(u64::MAX),
            part_nanos: window_nanos / PARTS,
            origin: OnceLock::new(),
            calls: Default::default(),
            retries: Stripe::default(),
        })
    }

    /// A call was made.
    #[inline]
    pub fn deposit(&self, now: Instant) {
        let part = self.part(now);
        self.calls[stripe::of_thread() % STRIPES].slot(part).add(part);
    }

    /// Takes one retry; false when none is left. However many threads take at once, no more than the share is given.
    pub fn withdraw(&self, now: Instant) -> bool {
        let part = self.part(now);
        // Taken first, and given back if that was too much: whoever is last of those who may stay sees all others.
        let slot = self.retries.slot(part);
        let taken_in = slot.add(part);
        if self.retries.sum(part, PARTS + 1) <= self.limit(part) {
            return true;
        }
        slot.take_back(taken_in);
        false
    }

    /// A retry that was taken at `withdrawn` is not made after all: another may be.
    pub fn give_back(&self, withdrawn: Instant) {
        let part = self.part(withdrawn);
        self.retries.slot(part).take_back(part);
    }

    fn limit(&self, part: u32) -> u64 {
        let calls: u64 = self.calls.iter().map(|stripe| stripe.sum(part, PARTS)).sum();
        self.floor.saturating_add(calls.saturating_mul(self.ratio) / 1_000)
    }

    /// The number of the part of time that `now` is in. After 13 years of one-second windows it starts again.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "only neighbours are compared")]
    fn part(&self, now: Instant) -> u32 {
        let origin = self.origin.get_or_init(|| now);
        let elapsed = now.saturating_duration_since(*origin);
        // It starts again after centuries.
        let nanos = elapsed.as_secs().wrapping_mul(1_000_000_000).wrapping_add(elapsed.subsec_nanos().into());
        // Far enough from 0 that what was never written is older than any window.
        (nanos / self.part_nanos) as u32
    }
}

/// The fifth part of the calls in 10 seconds, and 10 per second on top: the values of Finagle and Linkerd.
impl Default for RatioBudget {
    fn default() -> Self {
        Self::new(0.2, 10, Duration::from_secs(10)).expect("good values")
    }
}

impl Stripe {
    #[inline]
    fn slot(&self, part: u32) -> &Slot {
        &self.0[part as usize % SLOTS]
    }

    /// What the last `parts` up to `part` hold.
    fn sum(&self, part: u32, parts: u64) -> u64 {
        let held = |slot: &Slot| {
            let (of, count) = slot.read();
            // A slot that a faster thread has begun already counts as this part's.
            let age = u64::from(part.wrapping_sub(of));
            let is_ahead = of.wrapping_sub(part) < SLOTS as u32 / 4;
            if age < parts || is_ahead { u64::from(count) } else { 0 }
        };
        self.0.iter().map(held).sum()
    }
}

impl Slot {
    #[expect(clippy::cast_possible_truncation, reason = "two halves")]
    fn split(value: u64) -> (u32, u32) {
        ((value >> 32) as u32, value as u32)
    }

    fn join(part: u32, count: u32) -> u64 {
        u64::from(part) << 32 | u64::from(count)
    }

    fn read(&self) -> (u32, u32) {
        Self::split(self.0.load(Ordering::SeqCst))
    }

    /// Counts one for `part`; says for which it was counted, which is a newer one where the thread was that slow.
    #[inline]
    fn add(&self, part: u32) -> u32 {
        let mut value = self.0.load(Ordering::SeqCst);
        loop {
            let (of, count) = Self::split(value);
            // What is older is overwritten; what is newer stays, and is added to.
            let is_older = part.wrapping_sub(of).wrapping_sub(1) < u32::MAX / 2;
            let (of, count) = if is_older { (part, 1) } else { (of, count.saturating_add(1)) };
            let next = Self::join(of, count);
            match self.0.compare_exchange_weak(value, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return of,
                Err(current) => value = current,
            }
        }
    }

    /// Takes one of `part` back, unless the slot is another part's by now.
    fn take_back(&self, part: u32) {
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |value| {
            let (of, count) = Self::split(value);
            (of == part && count > 0).then(|| Self::join(of, count - 1))
        });
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use bartizan_core::Clock;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn budget(ratio: f64, min: u32) -> RatioBudget {
        RatioBudget::new(ratio, min, 10 * SECOND).unwrap()
    }

    fn withdrawn(budget: &RatioBudget, now: Instant) -> usize {
        (0..10_000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn rt_07_the_default_is_a_fifth_and_ten_per_second() {
        let (budget, now) = (RatioBudget::default(), Clock::system().now());
        assert_eq!(withdrawn(&budget, now), 100, "ten per second of the window");
        (0..1_000).for_each(|_| budget.deposit(now));
        assert_eq!(withdrawn(&budget, now), 200, "a fifth of a thousand on top");
        assert_eq!(withdrawn(&budget, now + 9 * SECOND), 0);
    }

    #[test]
    fn rt_07_the_window_slides() {
        let (budget, start) = (budget(0.5, 0), Clock::system().now());
        for second in 0..20 {
            (0..10).for_each(|_| budget.deposit(start + second * SECOND));
        }
        let now = start + 19 * SECOND;
        assert_eq!(withdrawn(&budget, now), 50, "the calls of ten seconds");
        assert_eq!(
            withdrawn(&budget, now + 5 * SECOND),
            0,
            "five seconds have gone, and all that was taken counts"
        );
        (0..100).for_each(|_| budget.deposit(now + 10 * SECOND));
        assert_eq!(withdrawn(&budget, now + 10 * SECOND), 0, "what was taken ten seconds ago still counts");
        assert_eq!(withdrawn(&budget, now + 11 * SECOND), 50);
        assert_eq!(withdrawn(&budget, now + 1_000_000 * SECOND), 0, "nothing is left of long ago");
    }

    #[test]
    fn rt_07_no_window_has_more_retries_than_its_share() {
        // A call each 10 ms, and a retry whenever there is one to have.
        let (budget, start) = (budget(0.2, 0), Clock::system().now());
        let mut retries = Vec::new();
        for tick in 0..6_000_u32 {
            let now = start + tick * SECOND / 100;
            budget.deposit(now);
            while budget.withdraw(now) {
                retries.push(now);
            }
        }
        for first in &retries {
            let within = retries.iter().filter(|at| *at >= first && **at < *first + 10 * SECOND).count();
            assert!(within <= 200, "{within}");
        }
        assert!(retries.len() > 6_000 / 5 * 8 / 10, "and most of it is given: {}", retries.len());
    }

    #[test]
    fn rt_07_what_is_given_back_is_there_for_another_and_is_no_more_than_was_taken() {
        let (budget, start) = (budget(0.0, 1), Clock::system().now());
        assert_eq!(withdrawn(&budget, start), 10);
        let later = start + 3 * SECOND;
        (0..4).for_each(|_| budget.give_back(start));
        assert_eq!(withdrawn(&budget, later), 4);
        (0..20).for_each(|_| budget.give_back(start));
        assert_eq!(withdrawn(&budget, later), 6, "six were taken then, and four later");
        // Where others are counted by now, nothing is given back.
        let much_later = start + 16 * SECOND;
        assert_eq!(withdrawn(&budget, much_later), 10);
        budget.give_back(start);
        assert_eq!(withdrawn(&budget, much_later), 0);
    }

    #[test]
    fn rt_07_time_that_goes_back_a_little_counts_as_the_newest() {
        let (budget, now) = (budget(1.0, 0), Clock::system().now() + 100 * SECOND);
        budget.deposit(now);
        budget.deposit(now - 3 * SECOND);
        assert_eq!(withdrawn(&budget, now), 2);
    }

    #[test]
    fn rt_07_threads_that_take_at_once_get_no_more_than_there_is() {
        for round in 0..50 {
            let (budget, now) = (budget(0.2, 1), Clock::system().now());
            let start = now + round * SECOND;
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..250).for_each(|_| budget.deposit(start)));
                }
            });
            let taken: usize = thread::scope(|scope| {
                let takers: Vec<_> = (0..4)
                    .map(|_| scope.spawn(|| (0..200).filter(|_| budget.withdraw(start)).count()))
                    .collect();
                takers.into_iter().map(|taker| taker.join().unwrap()).sum()
            });
            assert!(taken <= 210, "{taken} of 210");
            assert_eq!(taken + withdrawn(&budget, start), 210, "nor is any lost");
        }
    }

    #[test]
    fn lay_06_a_budget_that_cannot_work_is_refused() {
        let field = |ratio, min, window| RatioBudget::new(ratio, min, window).unwrap_err().field();
        for ratio in [-0.1, 1_000.1, f64::NAN, f64::INFINITY] {
            assert_eq!(field(ratio, 1, SECOND), "ratio");
        }
        assert_eq!(field(0.0001, 0, SECOND), "ratio");
        assert_eq!(field(0.2, 1, Duration::ZERO), "window");
        assert_eq!(field(0.2, 1, 3_601 * SECOND), "window");
    }
}
