//! A stream of messages that ends at the first whose rules do not hold.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};
use tonic::Status;

use super::{ValidateMessage, check_message};

/// Messages of which each keeps its rules: for a service whose codec is not
/// [`ValidatingCodec`](crate::ValidatingCodec).
///
/// After the first message that does not, the stream fails and ends.
///
/// ```
/// # use bartizan_validate::{ValidatedStream, ValidateMessage};
/// # use tonic::{Request, Status, Streaming};
/// # async fn recount<StockLevel: ValidateMessage>(request: Request<Streaming<StockLevel>>) {
/// let levels = ValidatedStream::new(request.into_inner());
/// # }
/// ```
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct ValidatedStream<S> {
    /// Gone with the first failure, and what is left of the stream with it.
    messages: Option<S>,
}

impl<S> ValidatedStream<S> {
    /// Demands the rules of each message of `messages`.
    pub fn new(messages: S) -> Self {
        Self { messages: Some(messages) }
    }
}

impl<S, M> Stream for ValidatedStream<S>
where
    S: Stream<Item = Result<M, Status>> + Unpin,
    M: ValidateMessage,
{
    type Item = Result<M, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(messages) = &mut self.messages else { return Poll::Ready(None) };
        let next = ready!(Pin::new(messages).poll_next(cx));
        let judged = next.map(|next| next.and_then(|message| check_message(&message).map(|()| message)));
        if !matches!(judged, Some(Ok(_))) {
            self.messages = None;
        }
        Poll::Ready(judged)
    }
}

impl<S, M> FusedStream for ValidatedStream<S>
where
    S: Stream<Item = Result<M, Status>> + Unpin,
    M: ValidateMessage,
{
    fn is_terminated(&self) -> bool {
        self.messages.is_none()
    }
}
