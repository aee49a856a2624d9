//! How often, and how long after a failure.

use std::time::Duration;

/// A part of one, drawn at random: so that the instances of a service do not all ask at the same moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jitter(u32);

impl Jitter {
    #[cfg(test)]
    pub(crate) const NONE: Self = Self(0);

    #[cfg(test)]
    pub(crate) fn new(part: u32) -> Self {
        Self(part)
    }

    pub(crate) fn random() -> Self {
        // Without randomness all instances ask at once, which is no reason not to ask.
        Self(getrandom::u32().unwrap_or(u32::MAX / 2))
    }

    /// From nothing to all of `span`.
    pub(crate) fn of(self, span: Duration) -> Duration {
        span.mul_f64(f64::from(self.0) / f64::from(u32::MAX))
    }
}

/// The pauses after failures: each twice as long as the one before, up to a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) shortest: Duration,
    pub(crate) longest: Duration,
}

impl Pace {
    /// The pause after so many failures in a row: never less than what is due, at most half as much again.
    pub(crate) fn after(self, failures: u32, jitter: Jitter) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let pause = self.shortest.saturating_mul(doubled).min(self.longest);
        pause + jitter.of(pause / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_with_jitter_on_top() {
        bolero::check!().with_type::<(u32, u32)>().for_each(|(failures, part)| {
            let pace = Pace { shortest: Duration::from_secs(1), longest: Duration::from_secs(60) };
            let pause = pace.after(*failures, Jitter::new(*part));
            let due = Duration::from_secs(2_u64.saturating_pow(failures.saturating_sub(1)).min(60));
            assert!(pause >= due && pause <= due * 3 / 2, "{pause:?} after {failures} failures");
        });
    }
}
