//! The decision, without tower.

use std::{
    collections::HashMap,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use bartizan_core::{Clock, ManualClock};
use bartizan_rate_limit::{Key, Limiter, Rate};
use governor::{RateLimiter, clock::FakeRelativeClock};
use proptest::prelude::*;

fn limiter(rate: Rate) -> (Limiter, ManualClock) {
    let time = ManualClock::new();
    (Limiter::new(rate).with_clock(Clock::from(time.clone())), time)
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn rl_08_known_answers() {
    let (limiter, time) = limiter(Rate::new(30, 60 * SECOND).unwrap().burst(16).unwrap());
    let key = Key::text("caller");
    for nth in 1..=16 {
        let decision = limiter.check(&key);
        assert!(decision.is_allowed());
        assert_eq!(decision.remaining(), 16 - nth);
        assert_eq!(decision.reset_after(), nth * 2 * SECOND);
        assert_eq!(decision.retry_after(), None);
    }
    for _ in 0..3 {
        let refused = limiter.check(&key);
        assert!(!refused.is_allowed());
        assert_eq!(refused.remaining(), 0);
        assert_eq!(refused.retry_after(), Some(2 * SECOND));
        assert_eq!(refused.reset_after(), 32 * SECOND, "a refusal takes nothing");
    }
    time.advance(2 * SECOND - Duration::from_nanos(1));
    assert_eq!(limiter.check(&key).retry_after(), Some(Duration::from_nanos(1)));
    time.advance(Duration::from_nanos(1));
    assert!(limiter.check(&key).is_allowed(), "exactly one");
    assert!(!limiter.check(&key).is_allowed());
    time.advance(33 * SECOND);
    let idle = limiter.check_n(&key, 0);
    assert_eq!((idle.remaining(), idle.reset_after()), (16, Duration::ZERO), "never more than the burst");
}

#[test]
fn rl_08_a_cost_above_the_capacity_is_always_refused_and_told_no_time() {
    let (limiter, _) = limiter(Rate::per_second(5).unwrap());
    for cost in [6, u32::MAX] {
        let refused = limiter.check_n(&Key::number(1), cost);
        assert!(!refused.is_allowed());
        assert_eq!(refused.retry_after(), None);
        assert_eq!(refused.remaining(), 5);
    }
    assert_eq!(limiter.keys(), 0, "nothing was taken, so nothing is remembered");
}

#[test]
fn rl_08_a_cost_of_zero_looks_and_takes_nothing() {
    let (limiter, _) = limiter(Rate::per_second(5).unwrap());
    let key = Key::number(1);
    assert_eq!(limiter.check_n(&key, 0).remaining(), 5);
    assert!(limiter.check_n(&key, 5).is_allowed());
    for _ in 0..2 {
        let look = limiter.check_n(&key, 0);
        assert!(look.is_allowed());
        assert_eq!((look.remaining(), look.reset_after()), (0, SECOND));
    }
}

#[test]
fn rl_08_retry_after_is_the_moment_of_the_next_success_for_any_cost() {
    let (limiter, time) = limiter(Rate::per_second(10).unwrap());
    let key = Key::number(1);
    assert!(limiter.check_n(&key, 10).is_allowed());
    let delay = limiter.check_n(&key, 4).retry_after().unwrap();
    assert_eq!(delay, Duration::from_millis(400));
    time.advance(delay - Duration::from_nanos(1));
    assert!(!limiter.check_n(&key, 4).is_allowed());
    time.advance(Duration::from_nanos(1));
    assert!(limiter.check_n(&key, 4).is_allowed());
}

#[test]
fn keys_do_not_share_a_bucket() {
    let (limiter, _) = limiter(Rate::per_second(1).unwrap());
    for key in [Key::number(1), Key::number(2), Key::text("1"), Key::text("a text longer than sixteen bytes")]
    {
        assert!(limiter.check(&key).is_allowed(), "{key:?}");
        assert!(!limiter.check(&key).is_allowed(), "{key:?}");
    }
    assert_eq!(limiter.keys(), 4);
}

#[test]
fn the_longest_rates_do_not_overflow() {
    let year = Duration::from_secs(365 * 86_400);
    for rate in [
        Rate::new(1, 70 * year).unwrap(),
        Rate::new(u32::MAX, 70 * year).unwrap(),
        Rate::new(1, Duration::from_nanos(1)).unwrap().burst(u32::MAX).unwrap(),
    ] {
        let (limiter, time) = limiter(rate);
        let key = Key::number(1);
        // More than 400 years, of the 584 that the clock has.
        for _ in 0..6 {
            assert!(limiter.check_n(&key, rate.capacity()).is_allowed());
            assert!(limiter.check_n(&key, rate.capacity()).retry_after().unwrap() <= 70 * year);
            time.advance(70 * year);
        }
    }
}

#[test]
fn rl_11_a_flood_of_distinct_keys_frees_no_limited_key() {
    let (limiter, time) = limiter(Rate::per_minute(1).unwrap());
    let limiter = limiter.with_max_keys(1_000).unwrap();
    let victim = Key::text("victim");
    assert!(limiter.check(&victim).is_allowed());
    let mut allowed = 0;
    for number in 0..200_000 {
        allowed += u32::from(limiter.check(&Key::number(number)).is_allowed());
        if number % 10_000 == 0 {
            time.advance(SECOND);
            assert!(!limiter.check(&victim).is_allowed(), "the flood freed a limited key");
        }
    }
    assert!(limiter.keys() <= 1_000);
    // 999 buckets, and one overflow bucket for each of four shards.
    assert_eq!(allowed, 999 + 4);
    time.advance(60 * SECOND);
    assert!(limiter.check(&Key::number(u64::MAX)).is_allowed(), "room again");
    assert!(limiter.check(&victim).is_allowed());
    assert!(limiter.keys() <= 1_000);
}

#[test]
fn threads_on_one_key_are_let_through_exactly_as_often_as_one() {
    const THREADS: usize = 8;
    let (limiter, _) = limiter(Rate::per_hour(1_000).unwrap());
    let allowed = AtomicU32::new(0);
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                for _ in 0..1_000 {
                    if limiter.check(&Key::text("one")).is_allowed() {
                        allowed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(allowed.load(Ordering::Relaxed), 1_000);
}

#[test]
fn rl_11_threads_that_flood_together_keep_the_bound_and_every_limit() {
    const THREADS: u64 = 4;
    const KEYS: u64 = 4_000;
    let (limiter, _) = limiter(Rate::per_hour(1).unwrap());
    let limiter = limiter.with_max_keys(1_024).unwrap();
    let allowed = AtomicU32::new(0);
    let start = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (limiter, allowed, start) = (&limiter, &allowed, &start);
            scope.spawn(move || {
                start.wait();
                for number in 0..KEYS {
                    // Half of the keys are everyone's.
                    let key = if number % 2 == 0 { number } else { number + thread * KEYS };
                    if limiter.check(&Key::number(key)).is_allowed() {
                        allowed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(limiter.keys(), 1_024);
    assert_eq!(allowed.load(Ordering::Relaxed), 1_024 + 4, "one per bucket, and one per shard's overflow");
}

#[test]
fn a_clock_that_is_shared_by_readings_never_goes_back() {
    let (limiter, time) = limiter(Rate::per_second(1).unwrap());
    let clock = Clock::from(time.clone());
    let early = clock.now();
    time.advance(10 * SECOND);
    let late: Instant = clock.now();
    let key = Key::number(1);
    assert!(limiter.check_n_at(&key, 1, late).is_allowed());
    let slow = limiter.check_n_at(&key, 1, early);
    assert_eq!(slow.retry_after(), Some(SECOND), "as of the latest reading, not eleven seconds");
}

/// RL-08 in exact arithmetic, as slowly and plainly as can be.
#[derive(Default)]
struct Model {
    full_at: HashMap<u64, u128>,
}

impl Model {
    fn check(&mut self, rate: Rate, key: u64, n: u32, now: u128) -> (bool, u128, Option<u128>, u128) {
        let interval = rate.interval().as_nanos();
        let depth = interval * u128::from(rate.capacity());
        let cost = interval * u128::from(n);
        let tat = self.full_at.get(&key).copied().unwrap_or(0).max(now);
        let allowed = tat + cost - now <= depth;
        let after = if allowed { tat + cost } else { tat };
        if allowed && n > 0 {
            self.full_at.insert(key, after);
        }
        let retry = (!allowed && n <= rate.capacity()).then(|| tat + cost - depth - now);
        (allowed, (depth - (after - now)) / interval, retry, after - now)
    }
}

proptest! {
    #[test]
    fn rl_08_equals_the_model(
        limit in 1_u32..500,
        period in 1_000_u64..100_000_000_000,
        burst in 1_u32..50,
        steps in prop::collection::vec((0_u64..4, 0_u32..60, 0_u64..3_000_000_000), 1..80),
    ) {
        let rate = Rate::new(limit, Duration::from_nanos(period)).unwrap().burst(burst).unwrap();
        let (limiter, time) = limiter(rate);
        let (mut model, mut now) = (Model::default(), 0_u128);
        for (key, n, wait) in steps {
            // Waits about as long as the bucket is deep, so that all of empty, partly full and full come up.
            let wait = wait % (2 * rate.interval().as_nanos() as u64 * u64::from(burst) + 1);
            time.advance(Duration::from_nanos(wait));
            now += u128::from(wait);
            let decision = limiter.check_n(&Key::number(key), n);
            let nanos = |duration: Duration| duration.as_nanos();
            prop_assert_eq!(
                (
                    decision.is_allowed(),
                    u128::from(decision.remaining()),
                    decision.retry_after().map(nanos),
                    nanos(decision.reset_after()),
                ),
                model.check(rate, key, n, now)
            );
        }
    }

    #[test]
    fn rl_08_equals_governor(
        limit in 1_u32..500,
        burst in 1_u32..50,
        waits in prop::collection::vec(0_u64..50_000_000, 1..80),
    ) {
        let rate = Rate::per_second(limit).unwrap().burst(burst).unwrap();
        let (ours, time) = limiter(rate);
        let clock = FakeRelativeClock::default();
        let quota = governor::Quota::per_second(limit.try_into().unwrap()).allow_burst(burst.try_into().unwrap());
        let theirs = RateLimiter::direct_with_clock(quota, clock.clone());
        for wait in waits {
            let wait = Duration::from_nanos(wait);
            time.advance(wait);
            clock.advance(wait);
            prop_assert_eq!(ours.check(&Key::number(0)).is_allowed(), theirs.check().is_ok());
        }
    }
}

#[test]
fn a_limiter_can_be_shared() {
    fn assert<T: Send + Sync + 'static>(_: &T) {}
    let (limiter, _) = limiter(Rate::per_second(1).unwrap());
    assert(&Arc::new(limiter));
}
