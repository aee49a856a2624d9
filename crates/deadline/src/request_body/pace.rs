//! How fast a body must come: a plain type, with time passed in.

use std::time::Duration;

/// How fast a body must come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Each frame takes at most so long.
    pub(super) idle: Duration,
    /// All of them together take at most so long.
    pub(super) rate: Option<MinRate>,
}

/// At least so many bytes per second, after a time of grace.
#[derive(Clone, Copy, Debug)]
pub(super) struct MinRate {
    pub(super) bytes_per_second: u32,
    pub(super) grace: Duration,
}

/// What has come so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    bytes: u64,
    waited: Duration,
}

impl Progress {
    /// A frame has come, after it was waited for so long.
    pub(super) fn add(&mut self, bytes: u64, waited: Duration) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.waited = self.waited.saturating_add(waited);
    }

    /// How long the next frame may be waited for.
    pub(super) fn patience(&self, pace: &Pace) -> Duration {
        let Some(MinRate { bytes_per_second, grace }) = pace.rate else { return pace.idle };
        let rate = u64::from(bytes_per_second);
        let seconds = Duration::from_secs(self.bytes / rate);
        let earned = seconds + Duration::from_nanos(self.bytes % rate * 1_000_000_000 / rate);
        pace.idle.min(grace.saturating_add(earned).saturating_sub(self.waited))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn without_a_rate_each_frame_has_its_own_time() {
        let pace = Pace { idle: ms(100), rate: None };
        let mut progress = Progress::default();
        for _ in 0..1_000 {
            progress.add(1, ms(99));
            assert_eq!(progress.patience(&pace), ms(100));
        }
    }

    #[test]
    fn bytes_buy_time_and_waiting_spends_it() {
        let rate = MinRate { bytes_per_second: 100, grace: ms(1_000) };
        let pace = Pace { idle: ms(5_000), rate: Some(rate) };
        let mut progress = Progress::default();
        assert_eq!(progress.patience(&pace), ms(1_000));
        progress.add(50, ms(400));
        assert_eq!(progress.patience(&pace), ms(1_100));
        progress.add(1_000_000, ms(0));
        assert_eq!(progress.patience(&pace), ms(5_000), "and never more than for one frame");
        let mut trickle = Progress::default();
        let frames = std::iter::from_fn(|| {
            let left = trickle.patience(&pace);
            trickle.add(1, ms(90));
            (left >= ms(90)).then_some(())
        });
        // Each byte buys 10 ms and costs 90: 1000 ms are used up at the 13th.
        assert_eq!(frames.count(), 12);
    }

    proptest! {
        /// What keeps to the rate is never too slow, however it is cut into frames.
        #[test]
        fn who_keeps_to_the_rate_passes(frames in prop::collection::vec(1_u64..10_000, 1..200), rate in 1_u32..1_000_000) {
            let pace = Pace { idle: Duration::MAX, rate: Some(MinRate { bytes_per_second: rate, grace: ms(1) }) };
            let mut progress = Progress::default();
            for bytes in frames {
                prop_assert!(progress.patience(&pace) > Duration::ZERO);
                progress.add(bytes, Duration::from_nanos(bytes * 1_000_000_000 / u64::from(rate)));
            }
        }

        #[test]
        fn no_numbers_make_it_panic(bytes: u64, waited: Duration, idle: Duration, grace: Duration, rate in 1..=u32::MAX) {
            let mut progress = Progress::default();
            progress.add(bytes, waited);
            progress.add(bytes, waited);
            let pace = Pace { idle, rate: Some(MinRate { bytes_per_second: rate, grace }) };
            prop_assert!(progress.patience(&pace) <= idle);
        }
    }
}
