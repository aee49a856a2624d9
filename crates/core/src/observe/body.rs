use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf;
use http::{HeaderMap, Response, StatusCode, header, response::Parts};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::web_status::GrpcWebStatus;
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
    /// Whether nobody ever asked for any of it.
    pub unread: bool,
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

impl<B, O: BodyObserver> ObservedBody<B, O> {
    /// Wraps the body of `response`, which answers a HEAD request if `head`.
    pub fn wrap(response: Response<B>, head: bool, observer: O) -> Response<Self>
    where
        B: Body,
    {
        let protocol = Protocol::from_headers(response.headers());
        let (parts, body) = response.into_parts();
        let extent = Extent::of(&body);
        let body = Self::of(protocol, &parts, body, extent, head, observer);
        Response::from_parts(parts, body)
    }

    /// A body that nobody watches: of an answer that the layer itself gives.
    #[inline]
    pub fn unobserved(inner: B) -> Self {
        Self { inner, watch: Watch::new(None, 0, false) }
    }

    /// The body of a response that is no gRPC, whose size is known.
    #[inline(always)]
    pub(super) fn of_http(inner: B, extent: Extent, ended: bool, observer: O) -> Self {
        Self { inner, watch: Watch::new(Some(observer), extent.size.unwrap_or(u64::MAX), ended) }
    }

    /// The body of a response of this protocol.
    pub(super) fn of(
        protocol: Protocol,
        parts: &Parts,
        inner: B,
        extent: Extent,
        head: bool,
        observer: O,
    ) -> Self {
        let headers = &parts.headers;
        let announced = || headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
        // A body that knows its size is believed, as servers do; the header is for one that does not.
        let expected = extent.size.or_else(announced).unwrap_or(u64::MAX);
        let bodiless = is_bodiless(head, parts.status);
        let awaits_status = protocol.is_grpc() && !bodiless && !headers.contains_key("grpc-status");
        let mut watch = Watch::new(Some(observer), expected, extent.has_ended(head, parts.status));
        match protocol {
            Protocol::GrpcWeb(format) if awaits_status => {
                watch.web = Some(Box::new(GrpcWebStatus::new(format)));
            }
            _ => watch.needs_trailers = awaits_status,
        }
        Self { inner, watch }
    }
}

/// An empty body that nobody watches.
impl<B: Default, O: BodyObserver> Default for ObservedBody<B, O> {
    fn default() -> Self {
        Self::unobserved(B::default())
    }
}

/// What a body says of its end before it is read.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    /// In bytes, if it is known.
    pub(super) size: Option<u64>,
    ended: bool,
}

impl Extent {
    #[inline]
    pub(super) fn of(body: &impl Body) -> Self {
        Self { size: body.size_hint().exact(), ended: body.is_end_stream() }
    }

    /// Whether the body of such a response has ended before it is read.
    #[inline]
    pub(super) fn has_ended(self, head: bool, status: StatusCode) -> bool {
        self.ended || is_bodiless(head, status)
    }
}

/// Whether a response has no body, whatever its headers say.
#[inline]
fn is_bodiless(head: bool, status: StatusCode) -> bool {
    head || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

impl<B, O: BodyObserver> fmt::Debug for ObservedBody<B, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedBody").field("bytes", &self.watch.bytes).finish_non_exhaustive()
    }
}

impl<B: Body, O: BodyObserver> Body for ObservedBody<B, O> {
    type Data = B::Data;
    type Error = B::Error;

    // A frame is large: as part of the caller this leaves it where it is wanted.
    #[inline(always)]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        this.watch.polling = Polling::Now;
        // Handed on as it is: to take it out would copy it twice.
        let polled = this.inner.as_mut().poll_frame(cx);
        this.watch.polling = Polling::Before;
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    this.watch.saw_data(data);
                } else if let Some(trailers) = frame.trailers_ref() {
                    this.watch.saw_trailers(trailers);
                }
                this.watch.ended |= this.inner.is_end_stream();
            }
            Poll::Ready(Some(Err(_))) => this.watch.settle(BodyEnd::Error),
            Poll::Ready(None) => this.watch.settle(BodyEnd::Complete),
            Poll::Pending => {}
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

/// What was seen of the body so far, and who wants to know.
struct Watch<O: BodyObserver> {
    observer: Option<O>,
    bytes: u64,
    /// All bytes there are, `u64::MAX` where that is not known.
    expected: u64,
    grpc: Option<GrpcCode>,
    /// Reads the status out of a gRPC-Web body.
    web: Option<Box<GrpcWebStatus>>,
    /// Nothing more can come, not even trailers.
    ended: bool,
    /// The bytes alone do not make it complete.
    needs_trailers: bool,
    polling: Polling,
}

/// Whether the inner body is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Polling {
    Never,
    /// Still so in `drop` means that it panicked.
    Now,
    Before,
}

impl<O: BodyObserver> Watch<O> {
    #[inline]
    fn new(observer: Option<O>, expected: u64, ended: bool) -> Self {
        Self {
            observer,
            bytes: 0,
            expected,
            grpc: None,
            web: None,
            ended,
            needs_trailers: false,
            polling: Polling::Never,
        }
    }

    #[inline]
    fn saw_data(&mut self, data: &impl Buf) {
        self.bytes = self.bytes.saturating_add(data.remaining() as u64);
        if self.web.is_some() {
            self.read_web(data);
        }
    }

    #[inline(never)]
    fn read_web(&mut self, data: &impl Buf) {
        if let Some(web) = &mut self.web {
            self.grpc = web.read(data);
            self.ended |= self.grpc.is_some();
        }
    }

    #[inline(never)]
    fn saw_trailers(&mut self, trailers: &HeaderMap) {
        self.grpc = GrpcCode::from_headers(trailers);
        self.settle(BodyEnd::Complete);
    }

    /// Whether a server may drop the body now and have sent all of it.
    fn is_complete(&self) -> bool {
        let all_bytes = self.bytes >= self.expected;
        self.ended || (all_bytes && !self.needs_trailers)
    }

    #[inline(never)]
    fn settle(&mut self, end: BodyEnd) {
        if let Some(observer) = self.observer.take() {
            let unread = self.polling == Polling::Never;
            observer.on_end(BodyReport { end, bytes: self.bytes, grpc: self.grpc, unread });
        }
    }

    #[inline(never)]
    fn settle_dropped(&mut self) {
        let end = if self.polling == Polling::Now {
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
