//! The service of [`OutboundTimeoutLayer`](crate::OutboundTimeoutLayer).

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bartizan_core::{
    Deadline, Face, Protocol, ResponseBody,
    grpc_timeout::{self, GRPC_TIMEOUT},
};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::layer::Shared;
use crate::{
    TimeoutBody, TimeoutFuture,
    body::BoxError,
    call::{Call, Due, Origin},
    caller::{Caller, encode_millis},
    telemetry::Stage,
};

/// The service of [`OutboundTimeoutLayer`](crate::OutboundTimeoutLayer).
#[derive(Clone, Debug)]
pub struct OutboundTimeout<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> OutboundTimeout<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for OutboundTimeout<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<TimeoutBody<ResBody>>>;
    type Error = S::Error;
    type Future = TimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let settings = &self.shared.settings;
        let face = Face::of_call(&request);
        let now = self.shared.keeper.clock.now();
        let end = self.shared.end(&request, face.protocol(), now);
        let left = end.map(|end| end.saturating_duration_since(now));
        let due = Due { end, head: None, idle: settings.idle };
        let call = Call { keeper: Arc::clone(&self.shared.keeper), due, origin: Origin::Outbound(face) };
        if left.is_some_and(|left| left.is_zero() || left < settings.floor) {
            // The upstream has not heard of it, and its breaker must not.
            return TimeoutFuture::refuse(call.exceeded(Stage::Arrival).unsent(), call.face());
        }
        if let (Some(end), Some(left)) = (end, left) {
            if settings.is_total {
                request.extensions_mut().insert(Deadline::at(end));
            }
            self.shared.tell(&mut request, call.face().protocol(), left);
        }
        TimeoutFuture::run(self.inner.call(request), call)
    }
}

impl Shared {
    /// When the call must be done.
    fn end<B>(&self, request: &Request<B>, protocol: Protocol, now: Instant) -> Option<Instant> {
        let settings = &self.settings;
        let inherited = Deadline::of_call(request.extensions()).map(|deadline| {
            // Further back than a clock can go is long past.
            deadline.instant().checked_sub(settings.margin).unwrap_or(now)
        });
        let own = now.checked_add(settings.limit);
        let brought = match Caller::of(request.headers(), protocol, settings.header.as_ref()) {
            Caller::Waits(time) => now.checked_add(time),
            // Nobody but this service wrote it, and it is written anew.
            Caller::Silent | Caller::Malformed => None,
        };
        [own, inherited, brought].into_iter().flatten().min()
    }

    fn tell<B>(&self, request: &mut Request<B>, protocol: Protocol, left: Duration) {
        let (name, encode): (HeaderName, fn(Duration) -> HeaderValue) = match &self.settings.header {
            _ if protocol.is_grpc() => (HeaderName::from_static(GRPC_TIMEOUT), grpc_timeout::encode),
            Some(header) => (header.clone(), encode_millis),
            None => return,
        };
        // A map that holds no more names is no reason to refuse: the call is bounded all the same.
        let _ = request.headers_mut().try_insert(name, encode(left));
    }
}
