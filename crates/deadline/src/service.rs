//! The service of [`TimeoutLayer`](crate::TimeoutLayer).

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bartizan_core::{Clock, Deadline, RequestContext, ResponseBody, grpc_timeout::GRPC_TIMEOUT};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    TimeoutBody, TimeoutFuture,
    body::BoxError,
    call::{Call, Due, Origin},
    caller::Caller,
    layer::Shared,
    telemetry::Stage,
};

/// The service of [`TimeoutLayer`](crate::TimeoutLayer).
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Timeout<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Timeout<S>
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
        let context = RequestContext::of(&mut request);
        let now = Clock::instant_at(context.arrived(&self.shared.keeper.clock));
        let due = self.shared.due(&context, &request, now);
        let has_passed = due.end.is_some_and(|end| end <= now);
        let call = Call { keeper: Arc::clone(&self.shared.keeper), due, origin: Origin::Inbound(context) };
        if has_passed {
            return TimeoutFuture::refuse(call.exceeded(Stage::Arrival), call.face());
        }
        TimeoutFuture::run(self.inner.call(request), call)
    }
}

impl Shared {
    /// When the request must be where. Whoever else asks finds the deadline in its context.
    fn due<B>(&self, context: &RequestContext, request: &Request<B>, now: Instant) -> Due {
        let settings = &self.settings;
        let own = if settings.routes.is_empty() {
            None
        } else {
            settings.routes.get(context.route_of(request).as_str())
        };
        let timeouts = own.unwrap_or(&settings.timeouts);
        let caller = match Caller::of(request.headers(), context.protocol(), settings.header.as_ref()) {
            Caller::Silent => None,
            Caller::Waits(time) => {
                context.event().record("deadline.caller_seconds", time.as_secs_f64());
                now.checked_add(time)
            }
            Caller::Malformed => {
                self.ignored(context);
                None
            }
        };
        let own = now.checked_add(timeouts.total);
        if let Some(earlier) = [own, caller].into_iter().flatten().min() {
            context.tighten_deadline(Deadline::at(earlier));
        }
        Due {
            end: context.deadline().map(Deadline::instant),
            head: timeouts.head.and_then(|head| now.checked_add(head)),
            idle: timeouts.idle,
        }
    }

    #[cold]
    fn ignored(&self, context: &RequestContext) {
        let header = match &self.settings.header {
            Some(header) if !context.protocol().is_grpc() => header.as_str(),
            _ => GRPC_TIMEOUT,
        };
        self.keeper.telemetry.ignored(header);
        context.event().record("deadline.ignored", true);
    }
}
