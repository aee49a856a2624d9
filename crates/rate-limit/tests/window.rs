//! The sliding window.

use std::time::Duration;

use bartizan_core::{Clock, ManualClock};
use bartizan_rate_limit::{Charge, Key, Limiter, Rate};
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);

fn limiter(limit: u32, period: Duration) -> (Limiter, ManualClock) {
    let time = ManualClock::new();
    let limiter = Limiter::new(Rate::new(limit, period).unwrap()).with_clock(Clock::from(time.clone()));
    (limiter.with_sliding_window().unwrap(), time)
}

fn passes(limiter: &Limiter, count: u32) -> u32 {
    (0..count).map(|_| u32::from(limiter.check(&Key::number(1)).is_allowed())).sum()
}

#[test]
fn rl_09_known_answers() {
    let (limiter, time) = limiter(60, MINUTE);
    assert_eq!(passes(&limiter, 100), 60);
    let refused = limiter.check(&Key::number(1));
    assert_eq!((refused.remaining(), refused.reset_after()), (0, 2 * MINUTE));
    // All of it counts until the window ends, and fades out in the next: one more each second.
    assert_eq!(refused.retry_after(), Some(MINUTE + Duration::from_secs(1)));
    time.advance(MINUTE);
    assert_eq!(passes(&limiter, 100), 0, "no burst at the boundary");
    time.advance(MINUTE / 4);
    assert_eq!(passes(&limiter, 100), 15);
    time.advance(MINUTE / 4);
    assert_eq!(passes(&limiter, 100), 15);
    time.advance(MINUTE / 2);
    assert_eq!(passes(&limiter, 100), 30, "the 30 of the window before still count");
    time.advance(5 * MINUTE);
    assert_eq!(passes(&limiter, 100), 60);
}

#[test]
fn rl_09_a_refund_and_a_charge_change_this_window() {
    let (limiter, _) = limiter(10, MINUTE);
    let key = Key::number(1);
    assert_eq!(passes(&limiter, 10), 10);
    assert_eq!(limiter.settle(&key, Charge::Refund(4)).remaining(), 4);
    assert_eq!(limiter.settle(&key, Charge::More(1_000)).remaining(), 0);
    assert_eq!(limiter.settle(&key, Charge::Refund(19)).remaining(), 9, "in debt by one limit at most");
    assert_eq!(limiter.settle(&key, Charge::Refund(1_000)).remaining(), 10);
    assert_eq!(limiter.check_n(&key, 11).retry_after(), None, "it never fits");
}

proptest! {
    /// Against the formula, in integers that cannot overflow; and whoever waits as told is let through, not sooner.
    #[test]
    fn rl_09_equals_the_formula(
        limit in 1_u32..40,
        period in 1_000_u64..1_000_000_000,
        steps in prop::collection::vec((0_u64..3_000, 1_u32..6), 1..100),
    ) {
        let (limiter, time) = limiter(limit, Duration::from_nanos(period));
        let (mut now, mut model) = (0_u64, Model { limit, period, window: 0, current: 0, previous: 0 });
        for (wait, cost) in steps {
            let wait = wait * period / 1_000;
            time.advance(Duration::from_nanos(wait));
            now += wait;
            model = model.at(now);
            let fits = model.fits(now, cost);
            let decision = limiter.check_n(&Key::number(1), cost);
            prop_assert_eq!(decision.is_allowed(), fits);
            model.current += if fits { u128::from(cost) } else { 0 };
            match decision.retry_after() {
                Some(wait) => {
                    prop_assert!(!fits && cost <= limit);
                    let then = now + u64::try_from(wait.as_nanos()).unwrap();
                    prop_assert!(model.at(then).fits(then, cost), "too early");
                    prop_assert!(!model.at(then - 1).fits(then - 1, cost), "too late");
                }
                None => prop_assert!(fits || cost > limit),
            }
        }
    }
}

/// The formula, in arithmetic that does not overflow.
#[derive(Clone, Copy)]
struct Model {
    limit: u32,
    period: u64,
    window: u64,
    current: u128,
    previous: u128,
}

impl Model {
    fn at(self, now: u64) -> Self {
        let window = now / self.period;
        match window - self.window {
            0 => self,
            1 => Self { window, previous: self.current, current: 0, ..self },
            _ => Self { window, previous: 0, current: 0, ..self },
        }
    }

    fn fits(self, now: u64, cost: u32) -> bool {
        let (period, left) = (u128::from(self.period), u128::from(self.period - now % self.period));
        (self.current + u128::from(cost)) * period + self.previous * left <= u128::from(self.limit) * period
    }
}
