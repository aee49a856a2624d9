//! Outgoing calls whose first attempt succeeds, which most do.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    time::Duration,
};

use bartizan::{
    RequestContext,
    retry::{HedgeLayer, RetryLayer},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tower::retry::{
    Policy, RetryLayer as TowerRetryLayer,
    budget::{Budget as _, TpsBudget},
};
use tower_layer::Layer as _;
use tower_resilience_retry::RetryLayer as ResilienceLayer;

use super::request;
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

const NO_BODY: &str = "retry, first attempt succeeds, no body";
const SOME_BODY: &str = "retry, first attempt succeeds, body of 1 KB";
const HEDGE: &str = "hedge, the first copy answers at once, no body";
const TOWER: &str = "tower `Retry` with a budget";
const TOWER_RESILIENCE: &str = "tower-resilience";

pub(super) fn rows() -> Vec<Scenario> {
    vec![
        Scenario::ours(NO_BODY, Some(Budget::new(600, 0).not_met_yet(1_220, 0)), |arm| {
            ours(arm, request::with_context)
        }),
        Scenario::peer(NO_BODY, TOWER, |arm| tower(arm, request::with_context)),
        Scenario::peer(NO_BODY, TOWER_RESILIENCE, |arm| tower_resilience(arm, request::with_context)),
        Scenario::peer(NO_BODY, "by hand, keeps the head", by_hand),
        Scenario::ours(SOME_BODY, None, |arm| ours(arm, with_body)),
        Scenario::peer(SOME_BODY, TOWER, |arm| tower(arm, with_body)),
        Scenario::peer(SOME_BODY, TOWER_RESILIENCE, |arm| tower_resilience(arm, with_body)),
        Scenario::ours(HEDGE, None, hedge),
    ]
}

/// The bare service does not read it: what is measured is to be ready for another attempt.
fn with_body() -> Request<Body> {
    request::with_context().map(|_| Body::new(Bytes::from_static(&[b'x'; 1_024])))
}

fn ours(arm: Arm, request: fn() -> Request<Body>) -> Prepared {
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| RetryLayer::new().layer(bare))
}

fn by_hand(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| by_hand::Keeping(bare))
}

fn hedge(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        HedgeLayer::after(Duration::from_secs(1)).expect("longer than zero").layer(bare)
    })
}

/// Retries server errors, within tower's own budget.
#[derive(Clone)]
struct ServerErrors(Arc<TpsBudget>);

impl Policy<Request<Body>, Response<Body>, Infallible> for ServerErrors {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<Body>, Infallible>,
    ) -> Option<Self::Future> {
        if result.as_ref().is_ok_and(|response| !response.status().is_server_error()) {
            self.0.deposit();
            return None;
        }
        self.0.withdraw().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

fn tower(arm: Arm, request: fn() -> Request<Body>) -> Prepared {
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| {
        TowerRetryLayer::new(ServerErrors(Arc::new(TpsBudget::default()))).layer(bare)
    })
}

fn tower_resilience(arm: Arm, request: fn() -> Request<Body>) -> Prepared {
    arm.prepare(request, StatusCode::OK, |bare: Bare<Body>| {
        ResilienceLayer::<Request<Body>, Response<Body>, Infallible>::builder()
            .max_attempts(3)
            .retry_on_response(|response: &Response<Body>| response.status().is_server_error())
            .build()
            .layer(bare)
    })
}

/// For comparison, what is only a part of the work: the head is kept in memory that the thread has, and the status looked
/// at. No body, no clock, no budget, no policy, no deadline and no metrics.
mod by_hand {
    use std::{
        cell::Cell,
        pin::Pin,
        task::{Context, Poll, ready},
    };

    use http::{HeaderName, HeaderValue, Method, Request, Response, Version};
    use pin_project_lite::pin_project;
    use tower_service::Service;

    use super::RequestContext;

    /// What makes a request again.
    #[derive(Default)]
    struct Kept {
        method: Method,
        version: Version,
        target: String,
        fields: Vec<(HeaderName, HeaderValue)>,
        context: Option<RequestContext>,
    }

    thread_local! {
        static SPARE: Cell<Option<Box<Kept>>> = const { Cell::new(None) };
    }

    impl Kept {
        fn of<B>(request: &Request<B>) -> Box<Self> {
            let mut kept = SPARE.take().unwrap_or_default();
            kept.method = request.method().clone();
            kept.version = request.version();
            kept.target.push_str(request.uri().path());
            kept.fields.extend(request.headers().iter().map(|(name, value)| (name.clone(), value.clone())));
            kept.context = RequestContext::get(request.extensions()).cloned();
            kept
        }

        fn leave(mut self: Box<Self>) {
            self.target.clear();
            self.fields.clear();
            self.context = None;
            SPARE.set(Some(self));
        }
    }

    #[derive(Clone)]
    pub(super) struct Keeping<S>(pub(super) S);

    pin_project! {
        pub(super) struct KeepingFuture<F> {
            #[pin]
            inner: F,
            kept: Option<Box<Kept>>,
        }
    }

    impl<S, B, R> Service<Request<B>> for Keeping<S>
    where
        S: Service<Request<B>, Response = Response<R>>,
    {
        type Response = Response<R>;
        type Error = S::Error;
        type Future = KeepingFuture<S::Future>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.0.poll_ready(cx)
        }

        fn call(&mut self, request: Request<B>) -> Self::Future {
            let kept = Some(Kept::of(&request));
            KeepingFuture { inner: self.0.call(request), kept }
        }
    }

    impl<F, R, E> Future for KeepingFuture<F>
    where
        F: Future<Output = Result<Response<R>, E>>,
    {
        type Output = Result<Response<R>, E>;

        #[inline(always)]
        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            let this = self.project();
            let response = ready!(this.inner.poll(cx))?;
            assert!(!response.status().is_server_error(), "nothing is repeated here");
            if let Some(kept) = this.kept.take() {
                kept.leave();
            }
            Poll::Ready(Ok(response))
        }
    }
}
