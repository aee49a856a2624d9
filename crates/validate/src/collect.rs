//! Reads a body, and stops at its limit.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;

/// A body that is being read.
#[derive(Debug)]
pub(crate) struct Collect<B> {
    body: B,
    most: usize,
    first: Bytes,
    /// Everything, once there was a second piece.
    joined: BytesMut,
    trailers: Option<Box<HeaderMap>>,
}

/// How the reading ended.
#[derive(Debug)]
pub(crate) enum End<E> {
    Whole,
    TooLarge,
    Failed(E),
}

/// What was read, when it is over.
#[derive(Debug)]
pub(crate) struct Collected<B> {
    pub(crate) bytes: Bytes,
    pub(crate) trailers: Option<Box<HeaderMap>>,
    pub(crate) body: B,
}

impl<B: Body + Unpin> Collect<B> {
    pub(crate) fn new(body: B, most: usize) -> Self {
        Self { body, most, first: Bytes::new(), joined: BytesMut::new(), trailers: None }
    }

    /// Reads on. What is over the limit is kept too, at most one frame of it, for a mode that lets it pass.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End<B::Error>> {
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(End::Whole),
                Some(Err(error)) => return Poll::Ready(End::Failed(error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.push(data),
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.trailers = Some(Box::new(trailers));
                        }
                    }
                },
            }
            if self.length() > self.most {
                return Poll::Ready(End::TooLarge);
            }
            // hyper gives no end after it has given all that was announced, only this sign.
            if self.body.is_end_stream() {
                return Poll::Ready(End::Whole);
            }
        }
    }

    fn push(&mut self, mut data: impl Buf) {
        let length = data.remaining();
        if self.length() == 0 {
            self.first = data.copy_to_bytes(length);
            return;
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.joined.reserve(length);
        while data.has_remaining() {
            let chunk = data.chunk();
            self.joined.extend_from_slice(chunk);
            let taken = chunk.len();
            data.advance(taken);
        }
    }

    fn length(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    pub(crate) fn finish(self) -> Collected<B> {
        let bytes = if self.joined.is_empty() { self.first } else { self.joined.freeze() };
        Collected { bytes, trailers: self.trailers, body: self.body }
    }
}
