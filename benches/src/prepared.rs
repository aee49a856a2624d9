use std::{
    fmt,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::runtime::{Builder, EnterGuard};
use tower_service::Service;

/// The body of every request, and of the responses unless a layer wants another.
pub type Body = Full<Bytes>;

/// How many requests are counted together. What happens once in a while, like a full buffer that is handed to another
/// thread, is spread over them.
pub const BATCH: usize = 1024;

/// Enough for every table and cache of a layer to have the size it keeps, and for a buffer to outgrow a batch.
const WARM_UP: usize = 2 * BATCH;

/// A warm stack, and requests to send through it.
pub struct Prepared {
    send: Box<dyn FnMut(Request<Body>) -> StatusCode>,
    request: Box<dyn Fn() -> Request<Body>>,
    settle: Box<dyn Fn()>,
    expected: StatusCode,
    /// Of the runtime that the stack asks for.
    entered: Option<EnterGuard<'static>>,
}

impl Prepared {
    pub(crate) fn new<S, B>(
        mut service: S,
        request: impl Fn() -> Request<Body> + 'static,
        expected: StatusCode,
    ) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + 'static,
        B: http_body::Body,
    {
        Self {
            send: Box::new(move |request| send(&mut service, request)),
            request: Box::new(request),
            settle: Box::new(|| ()),
            expected,
            entered: None,
        }
    }

    /// In a tokio runtime with time, which nobody drives, for a layer that asks for one where it does not wait.
    ///
    /// # Panics
    ///
    /// When no runtime can be made.
    pub(crate) fn in_runtime(make: impl FnOnce() -> Self) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime can be made");
        // For as long as the program runs, so that the guard borrows from nothing that moves.
        let entered = Box::leak(Box::new(runtime)).enter();
        Self { entered: Some(entered), ..make() }
    }

    /// `settle` waits until no work of earlier requests is left, for a layer that leaves work to another thread.
    pub(crate) fn settled_by(self, settle: impl Fn() + 'static) -> Self {
        Self { settle: Box::new(settle), ..self }
    }

    pub(crate) fn warm(mut self) -> Self {
        // Twice, because a buffer that is handed to another thread has a twin.
        for _ in 0..2 {
            let last = (0..WARM_UP).map(|_| (self.send)((self.request)())).last();
            assert_eq!(last, Some(self.expected), "the scenario measures what it says");
            (self.settle)();
        }
        self
    }

    /// Builds and sends [`BATCH`] requests. This is what is measured.
    ///
    /// The building is measured too, in both arms: were the requests made ahead, a run would free what it did not
    /// allocate, and pay for an allocator out of balance rather than for the layer.
    #[inline(never)]
    pub fn run(&mut self) {
        for _ in 0..BATCH {
            let request = (self.request)();
            std::hint::black_box((self.send)(request));
        }
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("in_runtime", &self.entered.is_some()).finish_non_exhaustive()
    }
}

/// One request, to the end of the response's body. The bare service never waits, so nothing may be pending.
fn send<S, B>(service: &mut S, request: Request<Body>) -> StatusCode
where
    S: Service<Request<Body>, Response = Response<B>>,
    B: http_body::Body,
{
    let mut context = Context::from_waker(Waker::noop());
    assert!(
        matches!(service.poll_ready(&mut context), Poll::Ready(Ok(()))),
        "the bare service is always ready"
    );
    let future = pin!(service.call(request));
    let Poll::Ready(Ok(response)) = future.poll(&mut context) else {
        panic!("the bare service answers at once, and no layer here waits or fails")
    };
    let status = response.status();
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut context) {
        std::hint::black_box(&frame.is_ok());
    }
    status
}
