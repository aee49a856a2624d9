use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{HeaderMap, Response, StatusCode, header, response::Parts};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::web_status::WebStatus;
use crate::{GrpcCode, Protocol};

/// How a response body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyEnd {
    /// All of it was handed on.
    Complete,
    /// It failed.
    Error,
    /// It was dropped before its end: the client went away.
    Dropped,
    /// It panicked.
    Panic,
}

/// What an [`ObservedBody`] tells its observer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct BodyReport {
    /// How the body ended.
    pub end: BodyEnd,
    /// The bytes of data that were handed on.
    pub bytes: u64,
    /// The gRPC status in the trailers; for gRPC-Web, in the body's last frame.
    pub grpc: Option<GrpcCode>,
}

/// Is told once how a body ended.
pub trait BodyObserver {
    /// The body has ended. Called exactly once, possibly from `Drop`: it must not panic.
    fn on_end(self, report: BodyReport);
}

impl<F: FnOnce(BodyReport)> BodyObserver for F {
    fn on_end(self, report: BodyReport) {
        self(report);
    }
}

pin_project! {
    /// A body that tells its observer exactly once how it ended.
    ///
    /// Frames, trailers and size hints pass unchanged. A body counts as complete when it returned its last frame,
    /// and also when it was dropped although nothing more was to come, as servers do: it was at its end when it
    /// was wrapped or after its last frame, it gave all the bytes that its size or `Content-Length` announced, or
    /// the answer has no body at all (HEAD, 1xx, 204, 304). The bytes of a gRPC body do not complete it: its
    /// trailers do, or a head that has the status already. Those of gRPC-Web are in the body, as its last frame.
    pub struct ObservedBody<B, O: BodyObserver> {
        #[pin]
        inner: B,
        watch: Watch<O>,
    }
}

impl<B: Body, O: BodyObserver> ObservedBody<B, O> {
    /// Wraps the body of `response`, which answers a HEAD request if `head`.
    pub fn wrap(response: Response<B>, head: bool, observer: O) -> Response<Self> {
        let protocol = Protocol::from_headers(response.headers());
        let (parts, body) = response.into_parts();
        let body = Self::new(protocol, &parts, body, head, observer);
        Response::from_parts(parts, body)
    }

    /// The body of the response with these parts, whose protocol is known.
    #[inline(always)]
    pub(super) fn new(protocol: Protocol, parts: &Parts, inner: B, head: bool, observer: O) -> Self {
        let status = parts.status;
        let bodiless = head
            || status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        // A body that knows its size is believed, as servers do; the header is for one that does not.
        let expected = inner.size_hint().exact().or_else(|| announced(&parts.headers));
        let awaits_status = protocol.is_grpc() && !bodiless && !has_status(&parts.headers);
        let web = match protocol {
            Protocol::GrpcWeb(format) if awaits_status => Some(Box::new(WebStatus::new(format))),
            _ => None,
        };
        let watch = Watch {
            observer: Some(observer),
            bytes: 0,
            expected,
            grpc: None,
            needs_trailers: awaits_status && web.is_none(),
            web,
            ended: bodiless || inner.is_end_stream(),
            polling: false,
        };
        Self { inner, watch }
    }
}

/// The length that the header tells.
#[inline(never)]
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[inline(never)]
fn has_status(headers: &HeaderMap) -> bool {
    headers.contains_key("grpc-status")
}

impl<B, O: BodyObserver> fmt::Debug for ObservedBody<B, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedBody").field("bytes", &self.watch.bytes).finish_non_exhaustive()
    }
}

impl<B: Body, O: BodyObserver> Body for ObservedBody<B, O> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        this.watch.polling = true;
        let polled = this.inner.as_mut().poll_frame(cx);
        this.watch.polling = false;
        let frame = ready!(polled);
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.watch.saw_data(data);
                } else if let Some(trailers) = frame.trailers_ref() {
                    this.watch.grpc = GrpcCode::from_headers(trailers);
                    this.watch.settle(BodyEnd::Complete);
                }
                this.watch.ended |= this.inner.is_end_stream();
            }
            Some(Err(_)) => this.watch.settle(BodyEnd::Error),
            None => this.watch.settle(BodyEnd::Complete),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What was seen of the body so far, and who wants to know.
struct Watch<O: BodyObserver> {
    observer: Option<O>,
    bytes: u64,
    expected: Option<u64>,
    grpc: Option<GrpcCode>,
    /// Reads the status out of a gRPC-Web body.
    web: Option<Box<WebStatus>>,
    /// Nothing more can come, not even trailers.
    ended: bool,
    /// The bytes alone do not make it complete.
    needs_trailers: bool,
    /// Set while the inner body runs: still set in `drop` means that it panicked.
    polling: bool,
}

impl<O: BodyObserver> Watch<O> {
    fn saw_data(&mut self, data: &impl Buf) {
        self.bytes = self.bytes.saturating_add(data.remaining() as u64);
        if let Some(web) = &mut self.web {
            self.grpc = web.read(data);
            self.ended |= self.grpc.is_some();
        }
    }

    /// Whether a server may drop the body now and have sent all of it.
    fn is_complete(&self) -> bool {
        let all_bytes = self.expected.is_some_and(|expected| self.bytes >= expected);
        self.ended || (all_bytes && !self.needs_trailers)
    }

    fn settle(&mut self, end: BodyEnd) {
        if let Some(observer) = self.observer.take() {
            observer.on_end(BodyReport { end, bytes: self.bytes, grpc: self.grpc });
        }
    }

    fn settle_dropped(&mut self) {
        let end = if self.polling {
            BodyEnd::Panic
        } else if self.is_complete() {
            BodyEnd::Complete
        } else if std::thread::panicking() {
            BodyEnd::Panic
        } else {
            BodyEnd::Dropped
        };
        self.settle(end);
    }
}

impl<O: BodyObserver> Drop for Watch<O> {
    #[inline]
    fn drop(&mut self) {
        if self.observer.is_some() {
            self.settle_dropped();
        }
    }
}
