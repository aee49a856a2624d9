use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Response, response::Parts};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{BodyObserver, BodyReport, ObservedBody, body::Extent};
use crate::{Ending, Outcome, Protocol, outcome::Head};

/// Follows one request from the call to the end of the response body.
pub trait Observer: Sized {
    /// Whether [`on_head`](Self::on_head) is to be called: most observers wait for the end, and a head that nobody looks at
    /// moves on without a copy.
    #[inline]
    fn wants_head(&self) -> bool {
        false
    }

    /// The head of the response is there. May add headers or extensions.
    fn on_head(&mut self, head: &mut Parts) {
        let _ = head;
    }

    /// The request has ended. Called exactly once, possibly from `Drop`: it must not panic.
    fn on_end(self, outcome: Outcome);
}

/// Observes the response that `future` will give to the end of its body. `protocol` is the request's: `None` where
/// nobody has looked for it yet, and the response alone tells: then no gRPC call is known that was answered by something else.
/// `head` says whether the request was a HEAD, whose answer
/// has no body.
#[inline(always)]
pub fn observe<F, O: Observer>(
    future: F,
    protocol: impl Into<Option<Protocol>>,
    head: bool,
    observer: O,
) -> ObservedFuture<F, O> {
    ObservedFuture {
        inner: future,
        watch: Watch { observer: Some(observer), polling: false },
        protocol: protocol.into(),
        head,
    }
}

pin_project! {
    /// Response future that an [`Observer`] follows; made by [`observe`].
    ///
    /// Dropped before the response is there, it tells of a client that left; dropped because the inner future
    /// panicked, of a panic.
    #[must_use = "futures do nothing unless polled"]
    pub struct ObservedFuture<F, O: Observer> {
        #[pin]
        inner: F,
        watch: Watch<O>,
        protocol: Option<Protocol>,
        head: bool,
    }
}

impl<F, O: Observer> fmt::Debug for ObservedFuture<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedFuture").finish_non_exhaustive()
    }
}

type Observed<B, O, E> = Result<Response<ObservedBody<B, HeadSeen<O>>>, E>;

impl<F, O, B, E> Future for ObservedFuture<F, O>
where
    F: Future<Output = Result<Response<B>, E>>,
    O: Observer,
    B: Body,
{
    type Output = Observed<B, O, E>;

    // A response is large: as part of the caller this leaves it where it is wanted.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_with(cx, |body| body)
    }
}

impl<F, O: Observer> ObservedFuture<F, O> {
    /// Polls, and observes what `wrap` makes of the body: for the future of a layer that answers with another body too.
    #[inline(always)]
    pub fn poll_with<A, B, E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        wrap: impl FnOnce(A) -> B,
    ) -> Poll<Observed<B, O, E>>
    where
        F: Future<Output = Result<Response<A>, E>>,
        A: Body,
    {
        let this = self.project();
        this.watch.polling = true;
        match this.inner.poll(cx) {
            Poll::Ready(Ok(response)) => {
                let (parts, body) = response.into_parts();
                let extent = Extent::of(&body);
                let may_be_grpc = match this.protocol {
                    // No one is answered in gRPC who did not ask in it.
                    Some(protocol) => protocol.is_grpc(),
                    None => Protocol::may_be_grpc(&parts.headers),
                };
                let wants_head = this.watch.observer.as_ref().is_some_and(O::wants_head);
                // Given as it is, and answered as it is wanted: anything else would move each response once more.
                if may_be_grpc || wants_head || extent.size.is_none() {
                    let asked = Asked { head: *this.head, protocol: *this.protocol, may_be_grpc };
                    return look_closely(this.watch, parts, wrap(body), extent, &asked);
                }
                let ended = extent.has_ended(*this.head, parts.status);
                let head = Head::of_http(&parts);
                let seen = HeadSeen { head, observer: this.watch.ready() };
                let body = ObservedBody::of_http(wrap(body), extent, ended, seen);
                Poll::Ready(Ok(Response::from_parts(parts, body)))
            }
            Poll::Ready(Err(error)) => {
                this.watch.fail();
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                this.watch.polling = false;
                Poll::Pending
            }
        }
    }
}

/// What was asked for.
struct Asked {
    head: bool,
    protocol: Option<Protocol>,
    may_be_grpc: bool,
}

/// Apart, so that what most responses need is small enough to be part of the caller.
#[inline(never)]
fn look_closely<B, E, O: Observer>(
    watch: &mut Watch<O>,
    mut parts: Parts,
    body: B,
    extent: Extent,
    asked: &Asked,
) -> Poll<Observed<B, O, E>> {
    if let Some(observer) = watch.observer.as_mut().filter(|observer| observer.wants_head()) {
        observer.on_head(&mut parts);
    }
    let protocol = if asked.may_be_grpc { Protocol::from_headers(&parts.headers) } else { Protocol::Http };
    let is_grpc_call = asked.protocol.is_some_and(Protocol::is_grpc);
    let seen = HeadSeen { head: Head::of(protocol, is_grpc_call, &parts), observer: watch.ready() };
    let body = ObservedBody::of(protocol, &parts, body, extent, asked.head, seen);
    Poll::Ready(Ok(Response::from_parts(parts, body)))
}

struct Watch<O: Observer> {
    observer: Option<O>,
    /// Set while the inner future, or the observer, runs: still set in `drop` means that it panicked.
    polling: bool,
}

impl<O: Observer> Watch<O> {
    /// The inner future is ready, and so the observer goes on with the response.
    #[inline]
    fn ready(&mut self) -> O {
        self.polling = false;
        self.observer.take().expect("not polled again after it was ready")
    }

    /// The inner future is ready, and has no response.
    #[inline(never)]
    fn fail(&mut self) {
        self.ready().on_end(Outcome::without_response(Ending::ServiceError));
    }

    /// The future goes before there is a response.
    #[cold]
    #[inline(never)]
    fn abandon(&mut self) {
        if let Some(observer) = self.observer.take() {
            let panicked = self.polling || std::thread::panicking();
            let ending = if panicked { Ending::Panic } else { Ending::ClientAborted };
            observer.on_end(Outcome::without_response(ending));
        }
    }
}

impl<O: Observer> Drop for Watch<O> {
    #[inline]
    fn drop(&mut self) {
        if self.observer.is_some() {
            self.abandon();
        }
    }
}

/// An [`Observer`] that has seen the response head and waits for the end of the body.
#[derive(Debug)]
pub struct HeadSeen<O> {
    head: Head,
    observer: O,
}

impl<O: Observer> HeadSeen<O> {
    /// Apart, so that nothing is asked of a plain end that its observer can see.
    #[inline(never)]
    fn end_apart(self, report: &BodyReport) {
        self.observer.on_end(self.head.into_outcome(report));
    }
}

impl<O: Observer> BodyObserver for HeadSeen<O> {
    #[inline]
    fn on_end(self, report: BodyReport) {
        match self.head.plain_outcome(&report) {
            Some(outcome) => self.observer.on_end(outcome),
            None => self.end_apart(&report),
        }
    }
}
