use std::time::{Duration, Instant};

use http::Extensions;

use crate::{Clock, RequestContext};

/// The instant at which a request must be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(Instant);

impl Deadline {
    /// At this instant.
    pub fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// After this much time from now; `None` when that is later than time can tell.
    pub fn after(clock: &Clock, timeout: Duration) -> Option<Self> {
        clock.now().checked_add(timeout).map(Self)
    }

    /// The deadline of an outgoing call, from what is known of it: the earliest of the one that a layer further out
    /// left among the `extensions` of the request, that of a [`RequestContext`] there, and, with the feature `scope`,
    /// that of the request which the running code serves.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bartizan_core::{Clock, Deadline};
    ///
    /// let mut call = http::Request::new(());
    /// assert_eq!(Deadline::of_call(call.extensions()), None);
    /// let deadline = Deadline::after(&Clock::system(), Duration::from_secs(3)).unwrap();
    /// call.extensions_mut().insert(deadline);
    /// assert_eq!(Deadline::of_call(call.extensions()), Some(deadline));
    /// ```
    pub fn of_call(extensions: &Extensions) -> Option<Self> {
        let left = extensions.get::<Self>().copied();
        let own = RequestContext::get(extensions).and_then(RequestContext::deadline);
        let inbound = crate::served().and_then(|context| context.deadline());
        [left, own, inbound].into_iter().flatten().min()
    }

    /// The instant.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// What is left; zero once it has passed.
    pub fn remaining(self, clock: &Clock) -> Duration {
        self.0.saturating_duration_since(clock.now())
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn rt_11_a_call_is_bounded_by_the_earliest_deadline_that_is_known() {
        let now = Clock::system().now();
        let at = |secs| Deadline::at(now + Duration::from_secs(secs));
        let mut call = Request::new(());
        call.extensions_mut().insert(at(5));
        assert_eq!(Deadline::of_call(call.extensions()), Some(at(5)));
        RequestContext::of(&mut call).tighten_deadline(at(3));
        assert_eq!(Deadline::of_call(call.extensions()), Some(at(3)));

        let inbound = RequestContext::of(&mut Request::new(()));
        inbound.tighten_deadline(at(1));
        let expected = if cfg!(feature = "scope") { 1 } else { 3 };
        let seen = inbound.enter(|| Deadline::of_call(call.extensions()));
        assert_eq!(seen, Some(at(expected)));
    }
}
