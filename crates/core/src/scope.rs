//! The scope of a request: what code that never sees the request can still ask for.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::RequestContext;

#[cfg(feature = "scope")]
tokio::task_local! {
    static CURRENT: RequestContext;
}

/// The context of the request that the running code serves.
///
/// Known inside the future and the response body of a request that passed the correlation layer, and in tasks
/// spawned with [`in_scope`].
#[cfg(feature = "scope")]
pub fn current() -> Option<RequestContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Carries the scope of the running request into a task spawned for it.
///
/// ```
/// # async fn audit() {}
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// tokio::spawn(bartizan_core::in_scope(audit()));
/// # }
/// ```
#[cfg(feature = "scope")]
pub fn in_scope<F>(future: F) -> Scoped<F> {
    Scoped { context: current(), inner: future }
}

/// Runs `run` within the scope of `context`. Without the feature `scope` it just runs.
fn enter<T>(context: Option<&RequestContext>, run: impl FnOnce() -> T) -> T {
    match context {
        #[cfg(feature = "scope")]
        Some(context) => CURRENT.sync_scope(context.clone(), run),
        _ => run(),
    }
}

impl RequestContext {
    /// Runs `run` within the scope of this request. Without the feature `scope` it just runs.
    ///
    /// A layer that opens the scope calls its inner service in here too: not every service waits for the first
    /// poll before it works.
    pub fn enter<T>(&self, run: impl FnOnce() -> T) -> T {
        enter(Some(self), run)
    }
}

pin_project! {
    /// A future that runs within the scope of a request, entered at each poll.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Scoped<F> {
        context: Option<RequestContext>,
        #[pin]
        inner: F,
    }
}

impl<F> Scoped<F> {
    /// Runs `future` within the scope of `context`. Without the feature `scope` the scope stays empty.
    pub fn new(context: RequestContext, future: F) -> Self {
        Self { context: Some(context), inner: future }
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        enter(this.context.as_ref(), || this.inner.poll(cx))
    }
}

pin_project! {
    /// A body that runs within the scope of a request, entered at each poll.
    #[derive(Debug)]
    pub struct ScopedBody<B> {
        context: Option<RequestContext>,
        #[pin]
        inner: B,
    }
}

impl<B> ScopedBody<B> {
    /// Runs `body` within the scope of `context`. Without the feature `scope` the scope stays empty.
    pub fn new(context: RequestContext, body: B) -> Self {
        Self { context: Some(context), inner: body }
    }
}

impl<B: Body> Body for ScopedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        enter(this.context.as_ref(), || this.inner.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(all(test, feature = "scope"))]
mod tests {
    use http::Request;

    use super::*;
    use crate::Principal;

    #[tokio::test]
    async fn a_spawned_task_keeps_the_scope_and_others_have_none() {
        let context = RequestContext::of(&mut Request::new(()));
        context.set_principal(Principal::service("billing").build());
        let subject =
            || current().and_then(|context| context.principal().map(|who| who.subject().to_owned()));
        assert_eq!(context.enter(subject), Some("billing".into()));
        let seen = Scoped::new(context, async {
            let plain = tokio::spawn(async move { subject() });
            let carried = tokio::spawn(in_scope(async move { subject() }));
            (subject(), plain.await.unwrap(), carried.await.unwrap())
        });
        assert_eq!(seen.await, (Some("billing".into()), None, Some("billing".into())));
        assert!(current().is_none());
    }
}
