//! How long a call may take, and whether it may be repeated at all: known before its first attempt.

use std::time::{Duration, Instant};

use bartizan_core::{Deadline, Protocol, RequestContext, grpc_timeout, served};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header::Entry};
use rand::Rng;
use uuid::{Builder, fmt::Hyphenated};

use crate::{
    RequestHead, grpc,
    head::{IDEMPOTENCY_KEY, KeptHead},
    time::Time,
};

/// How late tokio's timer may wake who waits: it ticks in milliseconds, and so does the driver that it sleeps in; both
/// round up.
const TIMER_LATE: Duration = Duration::from_millis(2);

/// What a layer is told of time, and of calls that are retries already.
#[derive(Clone)]
pub(crate) struct Bounds {
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) min_remaining: Duration,
    pub(crate) attempt_header: Option<HeaderName>,
    pub(crate) nested: bool,
    pub(crate) clock: Time,
}

/// What holds for all attempts of a call.
pub(crate) struct Limits {
    pub(crate) start: Instant,
    pub(crate) deadline: Option<Instant>,
    /// That of the request that is served, where the scope knows it.
    pub(crate) served: Option<RequestContext>,
    /// It is a retry already, of those who asked us.
    pub(crate) is_retry: bool,
}

impl Bounds {
    pub(crate) fn new() -> Self {
        Self {
            attempt_timeout: None,
            total_timeout: None,
            min_remaining: Duration::from_millis(5),
            attempt_header: None,
            nested: false,
            clock: Time::default(),
        }
    }

    /// Looks at a call that begins, and keeps its head as the first attempt sends it.
    #[inline(always)]
    pub(crate) fn begin<B>(&self, request: &mut Request<B>) -> (KeptHead, Limits) {
        let mut head = KeptHead::of(request);
        let (start, served) = (self.clock.now(), served());
        let mut deadline = self.total_timeout.and_then(|timeout| start.checked_add(timeout));
        let mut is_retry =
            self.attempt_header.as_ref().is_some_and(|name| request.headers().contains_key(name));
        let mut heed = |context: &RequestContext| {
            deadline = earlier(deadline, context.deadline().map(Deadline::instant));
            is_retry |= context.is_retry();
        };
        if let Some(own) = head.context() {
            heed(own);
        }
        if let Some(served) = &served {
            heed(served);
        }
        // Of a total timeout further out.
        let left = head.extension::<Deadline>().copied().map(Deadline::instant);
        deadline = earlier(deadline, left);
        if head.protocol().is_grpc() {
            // Taken and given back: what is lent to a function stands in memory for all calls.
            (head, deadline, is_retry) =
                self.heed_metadata(request.headers_mut(), head, start, deadline, is_retry);
        }
        (head, Limits { start, deadline, served, is_retry: is_retry && !self.nested })
    }

    /// Heeds what the metadata of a gRPC call says, and adds what it is to say to the server.
    #[inline(never)]
    fn heed_metadata(
        &self,
        headers: &mut HeaderMap,
        mut head: KeptHead,
        start: Instant,
        deadline: Option<Instant>,
        is_retry: bool,
    ) -> (KeptHead, Option<Instant>, bool) {
        let own_timeout = grpc::timeout(headers).and_then(|timeout| start.checked_add(timeout));
        let deadline = earlier(deadline, own_timeout);
        if let Some(timeout) = self.announce(deadline, start, headers) {
            head.insert(grpc::TIMEOUT, timeout);
        }
        (head, deadline, is_retry || grpc::previous_attempts(headers) > 0)
    }

    /// When an attempt that begins now must be done, if ever, in a call with this deadline; and whether that is the end
    /// of the call.
    fn of_attempt(&self, deadline: Option<Instant>, now: Instant) -> Option<(Instant, bool)> {
        let attempt = self.attempt_timeout.and_then(|timeout| now.checked_add(timeout));
        match (attempt, deadline) {
            (Some(attempt), Some(deadline)) if attempt < deadline => Some((attempt, false)),
            (_, Some(deadline)) => Some((deadline, true)),
            (Some(attempt), None) => Some((attempt, false)),
            (None, None) => None,
        }
    }

    /// Tells the server of a gRPC call with this deadline how long the attempt that begins now may take, and says what it
    /// was told. What the caller said stays when it is shorter.
    fn announce(
        &self,
        deadline: Option<Instant>,
        now: Instant,
        headers: &mut HeaderMap,
    ) -> Option<HeaderValue> {
        let (end, _) = self.of_attempt(deadline, now)?;
        let left = end.saturating_duration_since(now);
        if grpc::timeout(headers).is_some_and(|own| own <= left) {
            return None;
        }
        let timeout = grpc_timeout::encode(left);
        headers.try_insert(grpc::TIMEOUT, timeout.clone()).is_ok().then_some(timeout)
    }
}

impl Limits {
    /// The context whose wide event is told of the call with this head: that of the request that is served, or the
    /// call's own.
    pub(crate) fn context<'a>(&'a self, head: &'a RequestHead) -> Option<&'a RequestContext> {
        self.served.as_ref().or_else(|| head.context())
    }

    /// Whether not even one attempt can be made in time.
    #[inline]
    pub(crate) fn leave_no_time(&self, bounds: &Bounds) -> bool {
        self.remaining(self.start).is_some_and(|left| left.is_zero() || left < bounds.min_remaining)
    }

    /// The time that is left; `None` when it has no end.
    #[inline]
    pub(crate) fn remaining(&self, now: Instant) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(now))
    }

    /// Whether an attempt after `wait` has time enough.
    pub(crate) fn leave_time_after(&self, wait: Duration, bounds: &Bounds, now: Instant) -> bool {
        // Who does not wait is not late.
        let late = if wait.is_zero() { Duration::ZERO } else { TIMER_LATE };
        let needed = wait.saturating_add(late).saturating_add(bounds.min_remaining);
        self.remaining(now).is_none_or(|left| needed <= left)
    }

    /// When an attempt that begins now must be done, if ever; and whether that is the end of the call.
    pub(crate) fn of_attempt(&self, bounds: &Bounds, now: Instant) -> Option<(Instant, bool)> {
        bounds.of_attempt(self.deadline, now)
    }

    /// Tells the server of a gRPC call how long this attempt may take. What the caller said stays when it is shorter.
    pub(crate) fn announce(&self, bounds: &Bounds, now: Instant, headers: &mut HeaderMap) {
        let _ = bounds.announce(self.deadline, now, headers);
    }
}

#[inline]
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A key of its own for a request that needs one and has none: a UUID as a Structured Field string.
pub(crate) fn give_key<B>(request: &mut Request<B>) {
    if !matches!(*request.method(), Method::POST | Method::PATCH) || Protocol::of(request).is_grpc() {
        return;
    }
    if let Ok(Entry::Vacant(entry)) = request.headers_mut().try_entry(IDEMPOTENCY_KEY) {
        let mut random = [0; 16];
        rand::rng().fill_bytes(&mut random);
        let mut text = [b'"'; Hyphenated::LENGTH + 2];
        Builder::from_random_bytes(random)
            .into_uuid()
            .hyphenated()
            .encode_lower(&mut text[1..=Hyphenated::LENGTH]);
        let _ = entry.try_insert(HeaderValue::from_bytes(&text).expect("hexadecimal digits and hyphens"));
    }
}
