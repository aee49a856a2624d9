//! How much a limit remembers, in bytes.

use std::time::Duration;

use allocation_counter::measure;
use bartizan_core::{Clock, ManualClock};
use bartizan_rate_limit::{Charge, Key, Limiter, Rate};
use proptest::prelude::*;

#[test]
fn rl_11_a_million_keys_take_less_than_120_megabytes_and_a_flood_of_five_million_no_more() {
    const KEYS: u64 = 1_000_000;
    const FLOOD: u64 = 5_000_000;
    let time = ManualClock::new();
    let mut limiter = None;
    let used = measure(|| {
        let built = Limiter::new(Rate::per_hour(1).unwrap())
            .with_max_keys(usize::try_from(KEYS).unwrap())
            .unwrap()
            .with_clock(Clock::from(time.clone()));
        for key in 0..KEYS {
            assert!(built.check(&Key::number(key)).is_allowed());
        }
        limiter = Some(built);
    });
    let limiter = limiter.unwrap();
    assert_eq!(limiter.keys(), 1_000_000);
    assert!(used.bytes_current < 120_000_000, "{} bytes", used.bytes_current);
    // More keys take no more memory, and free nobody.
    let flood = measure(|| {
        for key in KEYS..KEYS + FLOOD {
            let _ = limiter.check(&Key::number(key));
        }
    });
    assert!(flood.bytes_current <= 0, "{} bytes", flood.bytes_current);
    assert_eq!(flood.bytes_max, 0, "not even for a moment");
    for key in (0..KEYS).step_by(1_000) {
        assert!(!limiter.check(&Key::number(key)).is_allowed(), "a limited key was freed");
    }
}

proptest! {
    /// Charges, debts and refunds against the formula in wide integers.
    #[test]
    fn rl_08_debt_and_refund_equal_the_formula(
        burst in 1_u32..20,
        steps in prop::collection::vec((0_u64..5_000, 0_u32..30, 0_u8..3), 1..100),
    ) {
        let time = ManualClock::new();
        let rate = Rate::per_second(1_000).unwrap().burst(burst).unwrap();
        let limiter = Limiter::new(rate).with_clock(Clock::from(time.clone()));
        let interval = rate.interval().as_nanos();
        let depth = interval * u128::from(burst);
        let (mut full_at, mut now) = (0_u128, 0_u128);
        for (wait, n, kind) in steps {
            let wait = Duration::from_micros(wait);
            time.advance(wait);
            now += wait.as_nanos();
            let backlog = full_at.saturating_sub(now);
            let cost = u128::from(n) * interval;
            let (decision, backlog) = match kind {
                0 => {
                    let fits = backlog + cost <= depth;
                    let decision = limiter.check_n(&Key::number(0), n);
                    prop_assert_eq!(decision.is_allowed(), fits || n == 0);
                    (decision, if fits { backlog + cost } else { backlog })
                }
                1 => {
                    let debt = (backlog + cost).min(2 * depth).max(backlog);
                    (limiter.settle(&Key::number(0), Charge::More(n)), debt)
                }
                _ => (
                    limiter.settle(&Key::number(0), Charge::Refund(n)),
                    backlog.saturating_sub(cost),
                ),
            };
            full_at = now + backlog;
            prop_assert_eq!(decision.reset_after().as_nanos(), backlog);
            prop_assert_eq!(u128::from(decision.remaining()), depth.saturating_sub(backlog) / interval);
        }
    }
}
