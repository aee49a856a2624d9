//! Circuit breakers: a call that passes a closed one, and one that is refused.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bartizan::circuit_breaker::{BreakerPolicy, CircuitBreakerLayer, Single};
use failsafe::futures::CircuitBreaker as _;
use http::{Request, StatusCode};
use recloser::{AsyncRecloser, Recloser};
use tower_layer::Layer as _;
use tower_service::Service;

use super::request;
use crate::{Arm, Bare, Body, Budget, Prepared, Scenario};

const CLOSED: &str = "circuit breaker, closed";
const BY_UPSTREAM: &str = "circuit breaker by upstream, closed";
const OPEN: &str = "circuit breaker, open";

pub(super) fn rows() -> Vec<Scenario> {
    vec![
        Scenario::ours(CLOSED, Some(Budget::new(300, 0).not_met_yet(510, 0)), closed),
        Scenario::peer(CLOSED, "tower-resilience, count window", tower_resilience),
        Scenario::peer(CLOSED, "failsafe", failsafe),
        Scenario::peer(CLOSED, "recloser", recloser),
        Scenario::peer(CLOSED, "by hand, sees the body to its end", by_hand),
        Scenario::ours(BY_UPSTREAM, None, by_upstream),
        Scenario::ours(OPEN, None, open),
    ]
}

fn closed(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        CircuitBreakerLayer::new(BreakerPolicy::new()).by(Single).layer(bare)
    })
}

fn by_upstream(arm: Arm) -> Prepared {
    let call = || {
        let mut request = request::with_context();
        *request.uri_mut() = "http://api.example.com/v1/orders/17".parse().expect("a URI");
        request
    };
    arm.prepare(call, StatusCode::OK, |bare: Bare<Body>| {
        CircuitBreakerLayer::new(BreakerPolicy::new()).layer(bare)
    })
}

fn open(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::SERVICE_UNAVAILABLE, |bare: Bare<Body>| {
        let layer = CircuitBreakerLayer::new(BreakerPolicy::new()).by(Single);
        layer.handle().breaker("*").force_open();
        layer.layer(bare)
    })
}

fn tower_resilience(arm: Arm) -> Prepared {
    use tower_resilience_circuitbreaker::CircuitBreakerLayer;
    arm.prepare(request::with_context, StatusCode::OK, |bare: Bare<Body>| {
        CircuitBreakerLayer::builder().build().expect("the defaults are good").layer(bare)
    })
}

/// What is no tower layer, made one in the least there is: it sees errors alone, and none of statuses or bodies.
struct Wrapped<S, C, F> {
    inner: S,
    breaker: C,
    call: F,
}

impl<S, C, F, B, W, T, E> Service<Request<B>> for Wrapped<S, C, F>
where
    S: Service<Request<B>>,
    F: Fn(&C, S::Future) -> W,
    W: Future<Output = Result<T, E>>,
{
    type Response = T;
    type Error = E;
    type Future = W;

    /// The bare service always is, and their errors are not made of its.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> W {
        (self.call)(&self.breaker, self.inner.call(request))
    }
}

fn failsafe(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |inner: Bare<Body>| {
        let breaker = failsafe::Config::new().build();
        Wrapped { inner, call: move |(): &(), future| breaker.call(future), breaker: () }
    })
}

fn by_hand(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |inner: Bare<Body>| by_hand::Counted {
        inner,
        counts: Arc::default(),
    })
}

fn recloser(arm: Arm) -> Prepared {
    arm.prepare(request::with_context, StatusCode::OK, |inner: Bare<Body>| {
        let breaker = AsyncRecloser::from(Recloser::custom().build());
        Wrapped { inner, breaker, call: |breaker: &AsyncRecloser, future| breaker.call(future) }
    })
}

/// For comparison, what is only a part of the work: a response is seen to its end (CB-07). No protocol, no clock, no
/// window, no key and no refusal.
mod by_hand {
    use std::{
        pin::Pin,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering::Relaxed},
        },
        task::{Context, Poll, ready},
    };

    use http::{Request, Response};
    use http_body::{Body, Frame, SizeHint};
    use pin_project_lite::pin_project;
    use tower_service::Service;

    #[derive(Default)]
    pub(super) struct Counts {
        state: AtomicU64,
        ended: [AtomicU64; 2],
    }

    pub(super) struct Counted<S> {
        pub(super) inner: S,
        pub(super) counts: Arc<Counts>,
    }

    struct Guard {
        counts: Arc<Counts>,
        failed: bool,
        ended: bool,
    }

    impl Guard {
        #[inline]
        fn end(&mut self, failed: bool) {
            if !self.ended {
                self.ended = true;
                self.counts.ended[usize::from(failed | self.failed)].fetch_add(1, Relaxed);
            }
        }
    }

    impl Drop for Guard {
        #[inline]
        fn drop(&mut self) {
            self.end(true);
        }
    }

    pin_project! {
        pub(super) struct CountedFuture<F> {
            #[pin]
            inner: F,
            guard: Option<Guard>,
        }
    }

    pin_project! {
        pub(super) struct CountedBody<B> {
            #[pin]
            inner: B,
            guard: Guard,
        }
    }

    impl<S, B, R> Service<Request<B>> for Counted<S>
    where
        S: Service<Request<B>, Response = Response<R>>,
    {
        type Response = Response<CountedBody<R>>;
        type Error = S::Error;
        type Future = CountedFuture<S::Future>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.inner.poll_ready(cx)
        }

        fn call(&mut self, request: Request<B>) -> Self::Future {
            assert!(self.counts.state.load(Relaxed) == 0, "it is closed");
            let guard = Guard { counts: Arc::clone(&self.counts), failed: false, ended: false };
            CountedFuture { inner: self.inner.call(request), guard: Some(guard) }
        }
    }

    impl<F, R, E> Future for CountedFuture<F>
    where
        F: Future<Output = Result<Response<R>, E>>,
    {
        type Output = Result<Response<CountedBody<R>>, E>;

        #[inline(always)]
        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            let this = self.project();
            let (head, inner) = ready!(this.inner.poll(cx))?.into_parts();
            let mut guard = this.guard.take().expect("not polled again after it was ready");
            guard.failed = head.status.is_server_error();
            Poll::Ready(Ok(Response::from_parts(head, CountedBody { inner, guard })))
        }
    }

    impl<B: Body> Body for CountedBody<B> {
        type Data = B::Data;
        type Error = B::Error;

        #[inline]
        fn poll_frame(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
            let this = self.project();
            let polled = this.inner.poll_frame(cx);
            match &polled {
                Poll::Ready(None) => this.guard.end(false),
                Poll::Ready(Some(Err(_))) => this.guard.end(true),
                Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
            }
            polled
        }

        fn is_end_stream(&self) -> bool {
            self.inner.is_end_stream()
        }

        fn size_hint(&self) -> SizeHint {
            self.inner.size_hint()
        }
    }
}
