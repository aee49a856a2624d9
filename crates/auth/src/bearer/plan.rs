//! When a token is asked for. Time is passed in.

use std::time::{Duration, Instant};

use crate::outbound::{Jitter, Pace};

/// How long after a token that a server called invalid was replaced, another may be.
const WINDOW: Duration = Duration::from_secs(30);

/// The pauses after failures.
const PACE: Pace = Pace { shortest: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// When a token is asked for.
///
/// ```text
/// Idle    => Running   a token is missing, about to expire, or called invalid
/// Running => Idle      by success, failure, or the end of the task
/// ```
#[derive(Debug, Default)]
pub(super) struct Plan {
    running: bool,
    not_before: Option<Instant>,
    failures: u32,
    window_ends: Option<Instant>,
}

/// What somebody does who wants a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Wait for the one that is asked for already.
    Join,
    /// Ask for one.
    Begin,
    /// Not before this time is over.
    Refuse(Duration),
}

impl Plan {
    pub(super) fn ask(&mut self, now: Instant) -> Ask {
        if self.running {
            return Ask::Join;
        }
        let pause = self.pause(now);
        if !pause.is_zero() {
            return Ask::Refuse(pause);
        }
        self.running = true;
        Ask::Begin
    }

    /// How long nobody asks.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        self.not_before.map_or(Duration::ZERO, |time| time.saturating_duration_since(now))
    }

    /// A server called the token invalid. One that calls every token so does not make us ask without end.
    pub(super) fn ask_for_another(&mut self, now: Instant) -> Ask {
        if !self.running
            && let Some(pause) = self.window_ends.and_then(|ends| ends.checked_duration_since(now))
            && !pause.is_zero()
        {
            return Ask::Refuse(pause);
        }
        let ask = self.ask(now);
        if ask == Ask::Begin {
            self.window_ends = Some(now + WINDOW);
        }
        ask
    }

    pub(super) fn succeed(&mut self, now: Instant) {
        // Tokens that live for a second are no reason to ask more often.
        *self =
            Self { not_before: Some(now + PACE.shortest), window_ends: self.window_ends, ..Self::default() };
    }

    pub(super) fn fail(&mut self, now: Instant, jitter: Jitter) {
        self.running = false;
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + PACE.after(self.failures, jitter));
    }

    /// The task ended without an end.
    pub(super) fn abandon(&mut self, now: Instant, jitter: Jitter) {
        if self.running {
            self.fail(now, jitter);
        }
    }
}

/// When a token of this lifetime is replaced, and when it is not used any more, both from when it was asked for.
pub(super) fn times(lifetime: Duration, jitter: Jitter) -> (Duration, Duration) {
    // Never so late that it expires on its way.
    let usable = lifetime - (lifetime / 10).min(Duration::from_secs(10));
    (lifetime * 3 / 4 + jitter.of(lifetime / 8), usable)
}

#[cfg(test)]
mod tests {
    use bartizan_core::Clock;

    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn aut_08_one_asks_for_all_and_failures_make_pauses() {
        let (mut plan, now) = (Plan::default(), Clock::system().now());
        assert_eq!(plan.ask(now), Ask::Begin);
        assert_eq!(plan.ask(now), Ask::Join);
        plan.fail(now, Jitter::NONE);
        assert_eq!(plan.ask(now), Ask::Refuse(secs(1)));
        assert_eq!(plan.ask(now + secs(1)), Ask::Begin);
        plan.fail(now + secs(1), Jitter::NONE);
        assert_eq!(plan.ask(now + secs(1)), Ask::Refuse(secs(2)));
        assert_eq!(plan.ask(now + secs(3)), Ask::Begin);
        plan.succeed(now + secs(3));
        assert_eq!(plan.ask(now + secs(4)), Ask::Begin);
        plan.abandon(now + secs(4), Jitter::NONE);
        assert_eq!(plan.ask(now + secs(4)), Ask::Refuse(secs(1)), "the pauses begin anew");
    }

    #[test]
    fn aut_08_a_server_that_calls_every_token_invalid_gets_one_in_a_window() {
        let (mut plan, now) = (Plan::default(), Clock::system().now());
        assert_eq!(plan.ask_for_another(now), Ask::Begin);
        assert_eq!(plan.ask_for_another(now), Ask::Join);
        plan.succeed(now);
        assert_eq!(plan.ask_for_another(now + secs(10)), Ask::Refuse(secs(20)));
        assert_eq!(plan.ask(now + secs(10)), Ask::Begin, "what expires is another matter");
        plan.succeed(now + secs(10));
        assert_eq!(plan.ask_for_another(now + WINDOW), Ask::Begin);
    }

    #[test]
    fn aut_08_a_token_is_replaced_before_it_expires() {
        bolero::check!().with_type::<(u32, u32)>().for_each(|(lifetime, part)| {
            let lifetime = secs(u64::from(*lifetime).clamp(1, 24 * 3600));
            let (refresh, usable) = times(lifetime, Jitter::new(*part));
            assert!(refresh < usable && usable < lifetime, "{refresh:?} < {usable:?} < {lifetime:?}");
        });
    }
}
