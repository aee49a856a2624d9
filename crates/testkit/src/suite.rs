//! The suite without the layer's type: what is tested, in which order, on which runtime.

use std::{panic, thread};

use axum::Router;
use bartizan_core::Reason;
use futures_util::future::LocalBoxFuture;
use http::Request;
use tokio::{net::TcpListener, runtime, task};

use crate::{
    Handle, Inner, TestBody, TestService, checks,
    contract::HeldBy,
    layer::{AxumLayer, ContractLayer, TonicLayer},
    prepare::{Kind, Prepare, PrepareLayer},
};

/// What the contract of one layer says.
pub(crate) struct Suite {
    pub(crate) make: Box<dyn Fn() -> Subject + Send>,
    pub(crate) accept: Prepare,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) shared_state: Option<Box<SharedState>>,
    pub(crate) request_bodies: bool,
}

pub(crate) type SharedState = dyn Fn(Handle, Handle) -> LocalBoxFuture<'static, ()> + Send;

/// One way in which the layer refuses.
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) make: Box<dyn Fn() -> Subject + Send>,
    pub(crate) prepare: Prepare,
    /// How many requests are accepted first.
    pub(crate) after: usize,
}

impl Suite {
    /// A request that the layer accepts.
    pub(crate) fn request(&self, kind: Kind, body: TestBody) -> Request<TestBody> {
        self.accept.apply(kind.head().map(|()| body))
    }
}

/// A layer value, without its type.
pub(crate) struct Subject {
    layer: Box<dyn Erased>,
    frameworks: Option<Box<dyn Frameworks>>,
}

trait Erased {
    fn service(&self, inner: Inner) -> TestService;
    fn service_of_clone(&self, inner: Inner) -> TestService;
    fn held(&self) -> Option<usize>;
}

trait Frameworks {
    fn on_axum(&self, router: Router) -> Router;
    fn on_tonic(&self, prepare: PrepareLayer, listener: TcpListener);
}

struct Known<L> {
    layer: L,
    held: Option<HeldBy<L>>,
}

impl<L: ContractLayer> Erased for Known<L> {
    fn service(&self, inner: Inner) -> TestService {
        self.layer.over_inner(inner)
    }

    fn service_of_clone(&self, inner: Inner) -> TestService {
        self.layer.clone().over_inner(inner)
    }

    fn held(&self) -> Option<usize> {
        self.held.as_ref().map(|held| held(&self.layer))
    }
}

impl<L: AxumLayer + TonicLayer> Frameworks for Known<L> {
    fn on_axum(&self, router: Router) -> Router {
        self.layer.on_axum(router)
    }

    fn on_tonic(&self, prepare: PrepareLayer, listener: TcpListener) {
        self.layer.on_tonic(prepare, listener);
    }
}

impl Subject {
    pub(crate) fn new<L: ContractLayer>(layer: L, held: Option<HeldBy<L>>) -> Self {
        Self { layer: Box::new(Known { layer, held }), frameworks: None }
    }

    pub(crate) fn with_frameworks<L>(layer: L, held: Option<HeldBy<L>>) -> Self
    where
        L: ContractLayer + AxumLayer + TonicLayer,
    {
        let frameworks = Box::new(Known { layer: layer.clone(), held: None });
        Self { frameworks: Some(frameworks), ..Self::new(layer, held) }
    }

    /// The service that one call of `layer()` makes.
    pub(crate) fn service(&self, inner: Inner) -> TestService {
        self.layer.service(inner)
    }

    /// The service that a clone of the layer value makes.
    pub(crate) fn service_of_clone(&self, inner: Inner) -> TestService {
        self.layer.service_of_clone(inner)
    }

    /// What the layer holds now; `None` when its contract does not say how to ask.
    pub(crate) fn held(&self) -> Option<usize> {
        self.layer.held()
    }

    /// The routes of `router` inside the layer; `None` when frameworks are not part of the contract.
    pub(crate) fn on_axum(&self, router: Router) -> Option<Router> {
        self.frameworks.as_ref().map(|layer| layer.on_axum(router))
    }

    /// Serves the echo service inside the layer; false when frameworks are not part of the contract.
    pub(crate) fn on_tonic(&self, prepare: PrepareLayer, listener: TcpListener) -> bool {
        self.frameworks.as_ref().is_some_and(|layer| {
            layer.on_tonic(prepare, listener);
            true
        })
    }
}

/// Runs everything on a thread of its own, so that it does not matter whether the caller is async.
pub(crate) fn run(suite: Suite) {
    let tests = move || {
        by_hand(&suite);
        over_sockets(&suite);
    };
    let name = thread::current().name().unwrap_or("contract").to_owned();
    let thread = thread::Builder::new().name(name).spawn(tests).expect("a thread can be started");
    if let Err(panic) = thread.join() {
        panic::resume_unwind(panic);
    }
}

/// What a test can drive poll by poll: no sockets, and time that stands still.
fn by_hand(suite: &Suite) {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime can be built");
    runtime.block_on(task::unconstrained(async {
        checks::readiness(suite).await;
        checks::errors(suite).await;
        checks::extensions(suite).await;
        checks::bodies(suite).await;
        checks::release(suite).await;
        checks::faces(suite).await;
        checks::sharing(suite).await;
    }));
}

/// What only real servers and clients show.
fn over_sockets(suite: &Suite) {
    let runtime =
        runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(async {
        checks::wire(suite).await;
        checks::frameworks(suite).await;
    });
}
