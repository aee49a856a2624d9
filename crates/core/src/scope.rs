//! The scope of a request: what code that never sees the request can still ask for.

#[cfg(feature = "scope")]
use std::{cell::Cell, mem::ManuallyDrop};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::RequestContext;

#[cfg(feature = "scope")]
thread_local! {
    // Without a destructor the slot is there for as long as its thread, at no cost to find out. It drops nothing,
    // and has nothing to drop: `Entered` leaves it as it was.
    static CURRENT: Cell<Option<ManuallyDrop<RequestContext>>> = const { Cell::new(None) };
}

/// The context of the request that the running code serves.
///
/// Known inside the future and the response body of a request that passed the correlation layer, and in tasks
/// spawned with [`in_scope`].
#[cfg(feature = "scope")]
pub fn current() -> Option<RequestContext> {
    CURRENT.with(|current| {
        let context = current.take().map(ManuallyDrop::into_inner);
        current.set(context.clone().map(ManuallyDrop::new));
        context
    })
}

/// The context of the request that the running code serves, for layers that work without the feature `scope` too:
/// without it no request is known.
#[inline]
pub fn served() -> Option<RequestContext> {
    #[cfg(feature = "scope")]
    return current();
    #[cfg(not(feature = "scope"))]
    None
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
    Scoped { context: current(), inner: Some(future) }
}

/// The scope of a request while its task runs: the context stands in a slot of the thread, where [`current`] finds
/// it, and goes back home when this is dropped, in a panic too. Without a context at home, or the feature `scope`,
/// nothing changes.
///
/// This is tokio's task-local by hand. Its `sync_scope` wants a clone of the context and takes some 150 instructions
/// at each poll; moving the context in and out takes ten.
struct Entered<'a> {
    #[cfg_attr(not(feature = "scope"), expect(dead_code))]
    home: Option<&'a mut Option<RequestContext>>,
}

impl<'a> Entered<'a> {
    #[inline]
    fn new(home: &'a mut Option<RequestContext>) -> Self {
        let mut entered = Self { home: home.is_some().then_some(home) };
        entered.swap();
        entered
    }

    #[inline]
    fn swap(&mut self) {
        #[cfg(feature = "scope")]
        if let Some(home) = &mut self.home {
            let inward = home.take().map(ManuallyDrop::new);
            **home = CURRENT.replace(inward).map(ManuallyDrop::into_inner);
        }
    }
}

impl Drop for Entered<'_> {
    #[inline]
    fn drop(&mut self) {
        self.swap();
    }
}

impl RequestContext {
    /// Runs `run` within the scope of this request. Without the feature `scope` it just runs.
    pub fn enter<T>(&self, run: impl FnOnce() -> T) -> T {
        let mut context = Some(self.clone());
        let _entered = Entered::new(&mut context);
        run()
    }
}

pin_project! {
    /// A future that runs within the scope of a request, entered at each poll, and to drop it, when it is done or
    /// given up.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Scoped<F> {
        context: Option<RequestContext>,
        // Empty once its context is taken.
        #[pin]
        inner: Option<F>,
    }

    impl<F> PinnedDrop for Scoped<F> {
        fn drop(this: Pin<&mut Self>) {
            if this.context.is_some() {
                this.empty();
            }
        }
    }
}

impl<F> Scoped<F> {
    /// Runs `future` within the scope of `context`. Without the feature `scope` the scope stays empty.
    pub fn new(context: RequestContext, future: F) -> Self {
        Self { context: Some(context), inner: Some(future) }
    }

    /// Calls `service` within the scope of `context` and keeps its future there: not every service waits for the
    /// first poll before it works.
    #[inline]
    pub fn call<S, R>(context: RequestContext, service: &mut S, request: R) -> Self
    where
        S: Service<R, Future = F>,
    {
        let mut context = Some(context);
        let entered = Entered::new(&mut context);
        let inner = service.call(request);
        drop(entered);
        Self { context, inner: Some(inner) }
    }

    /// Takes the context from a future that is done, for what follows it; `None` when it had none. What the future
    /// still holds is dropped.
    #[inline]
    pub fn take_context(mut self: Pin<&mut Self>) -> Option<RequestContext> {
        self.as_mut().empty();
        self.project().context.take()
    }

    /// Drops the future within its scope.
    #[inline]
    fn empty(self: Pin<&mut Self>) {
        let mut this = self.project();
        let _entered = Entered::new(this.context);
        this.inner.set(None);
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    // A response is large: as part of the caller this leaves it where it is wanted.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _entered = Entered::new(this.context);
        this.inner.as_pin_mut().expect("polled after completion").poll(cx)
    }
}

pin_project! {
    /// A body that runs within the scope of a request, entered at each poll, and to be dropped.
    #[derive(Debug)]
    pub struct ScopedBody<B> {
        context: Option<RequestContext>,
        // Empty only while this is dropped.
        #[pin]
        inner: Option<B>,
    }

    impl<B> PinnedDrop for ScopedBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.context.is_some() {
                let _entered = Entered::new(this.context);
                this.inner.set(None);
            }
        }
    }
}

impl<B> ScopedBody<B> {
    /// Runs `body` within the scope of `context`. Without a context, or the feature `scope`, the scope stays as
    /// it is.
    pub fn new(context: impl Into<Option<RequestContext>>, body: B) -> Self {
        Self { context: context.into(), inner: Some(body) }
    }
}

/// An empty body, in no scope.
impl<B: Default> Default for ScopedBody<B> {
    fn default() -> Self {
        Self::new(None, B::default())
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
        let _entered = Entered::new(this.context);
        this.inner.as_pin_mut().expect("there until it is dropped").poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_some_and(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, B::size_hint)
    }
}

#[cfg(all(test, feature = "scope"))]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        pin::pin,
    };

    use http::Request;

    use super::*;
    use crate::Principal;

    #[test]
    fn the_scope_ends_where_it_began_even_in_a_panic() {
        let named = |name: &'static str| {
            let context = RequestContext::of(&mut Request::new(()));
            context.set_principal(Principal::service(name).build());
            context
        };
        let subject = || current().map(|context| context.principal().unwrap().subject().to_owned());
        named("outer").enter(|| {
            named("inner").enter(|| assert_eq!(subject().as_deref(), Some("inner")));
            let panicked = catch_unwind(AssertUnwindSafe(|| named("broken").enter(|| panic!("on purpose"))));
            assert!(panicked.is_err());
            assert_eq!(subject().as_deref(), Some("outer"));
        });
        assert_eq!(subject(), None);
    }

    #[tokio::test]
    async fn a_service_is_called_in_the_scope_and_its_future_gives_the_context_back() {
        let context = RequestContext::of(&mut Request::new(()));
        let mut service = tower::service_fn(|()| {
            let in_call = current().is_some();
            async move { Ok::<_, ()>((in_call, current().is_some())) }
        });
        let mut scoped = pin!(Scoped::call(context, &mut service, ()));
        assert_eq!(scoped.as_mut().await, Ok((true, true)));
        assert!(current().is_none());
        assert!(scoped.as_mut().take_context().is_some());
        assert!(scoped.as_mut().take_context().is_none());
    }

    #[test]
    fn what_is_given_up_is_dropped_within_the_scope() {
        struct Look<'a>(&'a Cell<bool>);
        impl Drop for Look<'_> {
            fn drop(&mut self) {
                self.0.set(current().is_some());
            }
        }
        impl Body for Look<'_> {
            type Data = &'static [u8];
            type Error = std::convert::Infallible;

            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
                Poll::Pending
            }
        }
        let context = || RequestContext::of(&mut Request::new(()));
        let seen = Cell::new(false);
        let look = Look(&seen);
        drop(Scoped::new(context(), async move {
            let _look = look;
            std::future::pending::<()>().await;
        }));
        assert!(seen.replace(false), "a future that was never polled");
        drop(ScopedBody::new(context(), Look(&seen)));
        assert!(seen.replace(false));
        let look = Look(&seen);
        let holds_on = std::future::poll_fn(move |_| {
            let _held = &look;
            Poll::Ready(())
        });
        let mut done = pin!(Scoped::new(context(), holds_on));
        assert!(done.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_ready());
        assert!(done.as_mut().take_context().is_some());
        assert!(seen.replace(false), "what a future still holds when it is done");
        assert!(current().is_none());
    }

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
