//! The service of [`OutboundRateLimitLayer`](crate::OutboundRateLimitLayer).

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bartizan_core::{Deadline, Face, QuotaViolation, Reason, Rejection, RequestHead, ResponseBody};
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{sleep, timeout};
use tower_service::Service;

use super::{
    hints,
    layer::{Line, Shared},
    upstream::{Sent, Upstream, Waiting},
};
use crate::{refusal::QUOTA_EXCEEDED, telemetry::Outcome};

pub(super) const LAYER: &str = "outbound_rate_limit";

/// The service of [`OutboundRateLimitLayer`](crate::OutboundRateLimitLayer). Clones share the limit.
pub struct OutboundRateLimit<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> OutboundRateLimit<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl Shared {
    /// Waits for a turn if there is one to wait for; else how long it would be.
    fn queue(self: &Arc<Self>, upstream: &Arc<Upstream>, too_early: Wait) -> Result<Turn, Duration> {
        let Wait { line, now, deadline, shortest } = too_early;
        let Some(Line { most, longest }) = line else { return Err(shortest) };
        let left = deadline
            .map_or(longest, |deadline| longest.min(deadline.instant().saturating_duration_since(now)));
        let expected = upstream.estimate(self.quota.as_ref(), now).max(shortest);
        if expected > left {
            return Err(expected);
        }
        let place = upstream.join(most).ok_or(expected)?;
        let shared = Arc::clone(self);
        // Boxed: waiting is the exception, and what it awaits has no names.
        Ok(Box::pin(async move {
            let upstream = Arc::clone(&place.0);
            let taken = timeout(left, wait(&shared, place)).await;
            taken.map_err(|_| upstream.estimate(shared.quota.as_ref(), shared.settings.clock.now()))
        }))
    }

    fn refuse(&self, wait: Duration) -> Rejection {
        self.telemetry.decided(Outcome::Limited);
        Rejection::new(Reason::RateLimited)
            .with_layer(LAYER)
            .with_type(QUOTA_EXCEEDED)
            .with_detail("The limit for calls to this upstream is reached. Try again later.")
            .with_retry_after(wait)
            .with_quota(QuotaViolation {
                subject: self.settings.name.clone(),
                description: "The limit for outgoing calls is reached.".into(),
            })
    }
}

/// Why a request cannot be sent at once, and how it may wait.
#[derive(Clone, Copy)]
struct Wait {
    line: Option<Line>,
    now: Instant,
    deadline: Option<Deadline>,
    shortest: Duration,
}

type Turn = Pin<Box<dyn Future<Output = Result<Sent, Duration>> + Send>>;

/// Waits behind those who came before, then until there is something to take.
async fn wait(shared: &Shared, place: Waiting) -> Sent {
    let upstream = &place.0;
    // Nobody closes it. Were it closed, the limit would hold all the same.
    let _first = upstream.line.acquire().await;
    loop {
        match upstream.take(shared.quota.as_ref(), shared.settings.clock.now()) {
            Ok(sent) => return sent,
            Err(wait) => sleep(wait).await,
        }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for OutboundRateLimit<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = OutboundRateLimitFuture<S, S::Future, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let shared = &self.shared;
        let now = shared.settings.clock.now();
        let upstream = shared.upstreams.get(&RequestHead::of(&request).authority(), now);
        let taken =
            if upstream.has_line() { Err(Duration::ZERO) } else { upstream.take(shared.quota.as_ref(), now) };
        let state = match taken {
            Ok(sent) => {
                shared.telemetry.decided(Outcome::Allowed);
                State::Send { inner: self.inner.call(request), sent: Some(sent) }
            }
            Err(shortest) => {
                let face = Face::of_call(&request);
                let line = shared.settings.waiting;
                let deadline = Deadline::of_call(request.extensions());
                match shared.queue(&upstream, Wait { line, now, deadline, shortest }) {
                    Ok(turn) => {
                        // The instance that was polled ready is the one that is called.
                        let clone = self.inner.clone();
                        let ready = mem::replace(&mut self.inner, clone);
                        State::Wait { turn, parked: Some((ready, request, face)) }
                    }
                    Err(wait) => State::Refuse { refusal: Some((shared.refuse(wait), face)) },
                }
            }
        };
        OutboundRateLimitFuture { state, shared: Arc::clone(shared) }
    }
}

impl<S: Clone> Clone for OutboundRateLimit<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: fmt::Debug> fmt::Debug for OutboundRateLimit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundRateLimit").field("inner", &self.inner).finish_non_exhaustive()
    }
}

pin_project! {
    /// Response future of [`OutboundRateLimit`]. Dropped while it waits, it leaves the line.
    #[must_use = "futures do nothing unless polled"]
    pub struct OutboundRateLimitFuture<S, F, B> {
        #[pin]
        state: State<S, F, B>,
        shared: Arc<Shared>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, F, B> {
        Wait { turn: Turn, parked: Option<(S, Request<B>, Face)> },
        Send { #[pin] inner: F, sent: Option<Sent> },
        Refuse { refusal: Option<(Rejection, Face)> },
    }
}

impl<S, B, R> Future for OutboundRateLimitFuture<S, S::Future, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                // ## Wait => Send | Refuse
                StateProj::Wait { turn, parked } => {
                    let turn = ready!(turn.as_mut().poll(cx));
                    match (parked.take(), turn) {
                        (Some((mut service, request, _)), Ok(sent)) => {
                            this.shared.telemetry.decided(Outcome::Allowed);
                            State::Send { inner: service.call(request), sent: Some(sent) }
                        }
                        (Some((_, _, face)), Err(waited)) => {
                            State::Refuse { refusal: Some((this.shared.refuse(waited), face)) }
                        }
                        (None, _) => State::Refuse { refusal: None },
                    }
                }
                StateProj::Send { inner, sent } => {
                    let response = ready!(inner.poll(cx))?;
                    let clock = &this.shared.settings.clock;
                    if let Some(sent) = sent.take() {
                        sent.answered(hints::read(&response, clock.wall()), clock.now());
                    }
                    return Poll::Ready(Ok(response.map(ResponseBody::forward)));
                }
                StateProj::Refuse { refusal } => {
                    // Polled again after it was ready, which no caller may do, it still answers.
                    let (rejection, face) =
                        refusal.take().unwrap_or_else(|| (Rejection::new(Reason::Internal), Face::default()));
                    return Poll::Ready(Ok(rejection.into_response(&face)));
                }
            };
            this.state.set(next);
        }
    }
}

impl<S, F, B> fmt::Debug for OutboundRateLimitFuture<S, F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundRateLimitFuture").finish_non_exhaustive()
    }
}
