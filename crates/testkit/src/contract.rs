//! The contract, as one call per layer.

use std::{fmt, future::Future, sync::Arc};

use bartizan_core::Reason;
use futures_util::future::LocalBoxFuture;
use http::Request;

use crate::{
    Handle,
    layer::{AxumLayer, ContractLayer, TonicLayer},
    prepare::Prepare,
    suite::{Refusal, SharedState, Subject, Suite, run},
};

/// Something that a layer holds while a request is on its way: permits, locks, a count of active requests.
pub trait Held {
    /// How many it holds now, over all services that share its state.
    fn held(&self) -> usize;
}

/// The contract of the layer that `make` makes. Nothing is tested until [`Contract::check`] is called.
///
/// `make` is called once per test, so that tests do not see each other's state. Each layer must accept at least
/// 32 requests that [`accept`](Contract::accept) prepared.
///
/// ```
/// use bartizan_core::NormalizeLayer;
///
/// bartizan_testkit::contract(NormalizeLayer::new).check();
/// ```
///
/// What types can show is shown at compile time: a layer whose services have another error, or cannot be cloned
/// or shared between threads, has no [`check`](Contract::check).
///
/// ```compile_fail,E0271
/// use bartizan_core::RejectionToErrorLayer;
///
/// bartizan_testkit::contract(RejectionToErrorLayer::new).check(); // the error is a boxed one
/// ```
pub fn contract<L>(make: impl Fn() -> L + Send + Sync + 'static) -> Contract<L> {
    Contract {
        make: Arc::new(make),
        accept: Prepare::new(|_| {}),
        refusals: Vec::new(),
        held: None,
        shared_state: None,
        request_bodies: true,
    }
}

/// What a layer is expected to do; made by [`contract`].
#[must_use = "nothing is tested until `check` is called"]
pub struct Contract<L> {
    make: Make<L>,
    accept: Prepare,
    refusals: Vec<(Reason, Make<L>, Prepare, usize)>,
    held: Option<HeldBy<L>>,
    shared_state: Option<Box<SharedState>>,
    request_bodies: bool,
}

type Make<L> = Arc<dyn Fn() -> L + Send + Sync>;

impl<L> fmt::Debug for Contract<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: Vec<_> = self.refusals.iter().map(|(reason, ..)| reason).collect();
        f.debug_struct("Contract")
            .field("refusals", &reasons)
            .field("held", &self.held.is_some())
            .field("shared_state", &self.shared_state.is_some())
            .finish_non_exhaustive()
    }
}

impl<L> Contract<L> {
    /// Makes a request one that the layer accepts: credentials, a peer address, whatever it needs.
    ///
    /// The request has its method, path, version and, for gRPC, its content type already; leave those alone. It
    /// is called for each request, over a socket after the request has arrived, so that extensions count too.
    /// Default: requests are accepted as they are.
    pub fn accept(mut self, prepare: impl Fn(&mut Request<()>) + Send + Sync + 'static) -> Self {
        self.accept = Prepare::new(prepare);
        self
    }

    /// The layer refuses requests that `prepare` was applied to with this reason.
    ///
    /// What `accept` does is not done to them. May be called several times.
    pub fn refuse(
        mut self,
        reason: Reason,
        prepare: impl Fn(&mut Request<()>) + Send + Sync + 'static,
    ) -> Self {
        self.refusals.push((reason, Arc::clone(&self.make), Prepare::new(prepare), 0));
        self
    }

    /// A layer that `make` makes accepts `count` requests, and refuses the next, all prepared by
    /// [`accept`](Self::accept).
    ///
    /// Shows at once that the state is shared by clones and by all services of one layer value. Time stands
    /// still in most of the tests and hardly passes in the others, so a limit per minute does not recover
    /// meanwhile; a layer with a clock of its own is best given a manual one. May be called several times.
    ///
    /// # Panics
    ///
    /// When `count` is zero: that is [`refuse`](Self::refuse).
    pub fn refuse_after(
        mut self,
        count: usize,
        reason: Reason,
        make: impl Fn() -> L + Send + Sync + 'static,
    ) -> Self {
        assert!(count > 0, "a layer that refuses the first request is for `refuse`");
        // The preparation is filled in when the contract is complete: `accept` may come later.
        self.refusals.push((reason, Arc::new(make), Prepare::new(|_| {}), count));
        self
    }

    /// What the layer holds while a request is on its way. It is more than zero until the response body ends, and
    /// returns to zero however the request ends.
    pub fn held(mut self, held: impl Fn(&L) -> usize + Send + Sync + 'static) -> Self {
        self.held = Some(Arc::new(held));
        self
    }

    /// [`held`](Self::held) for a layer that implements [`Held`], as it can in the unit tests of its own crate.
    pub fn holds(self) -> Self
    where
        L: Held + 'static,
    {
        self.held(L::held)
    }

    /// Shows that state which no refusal shows is shared. `show` gets two handles, once of a service and its
    /// clone, once of two services that one layer value made, and asserts that the second sees what the first did.
    pub fn shared_state<F>(mut self, show: impl Fn(Handle, Handle) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        self.shared_state =
            Some(Box::new(move |first, second| Box::pin(show(first, second)) as LocalBoxFuture<'static, ()>));
        self
    }

    /// The layer's purpose is the request body: it may read all of it before it hands the request on.
    ///
    /// Everything but the request body's frames is tested all the same.
    pub fn reads_request_bodies(mut self) -> Self {
        self.request_bodies = false;
        self
    }

    /// Runs the whole suite.
    ///
    /// It runs on a thread and an async runtime of its own, in virtual time where no socket is involved, so that
    /// it can be called from a plain test and from an async one.
    ///
    /// # Panics
    ///
    /// When the layer breaks the contract. The message starts with the rule: `LAY-03: …`.
    pub fn check(self)
    where
        L: ContractLayer + AxumLayer + TonicLayer,
    {
        run(self.into_suite(Subject::with_frameworks));
    }

    /// Runs the suite without an axum router and a tonic server: for a layer of outgoing requests.
    ///
    /// # Panics
    ///
    /// As [`check`](Self::check).
    pub fn check_client(self)
    where
        L: ContractLayer,
    {
        run(self.into_suite(Subject::new));
    }

    fn into_suite(self, subject: fn(L, Option<HeldBy<L>>) -> Subject) -> Suite
    where
        L: 'static,
    {
        let make = |make: Make<L>| {
            let held = self.held.clone();
            Box::new(move || subject(make(), held.clone())) as Box<dyn Fn() -> Subject + Send>
        };
        Suite {
            refusals: self
                .refusals
                .into_iter()
                .map(|(reason, maker, prepare, after)| Refusal {
                    reason,
                    make: make(maker),
                    prepare: if after > 0 { self.accept.clone() } else { prepare },
                    after,
                })
                .collect(),
            make: make(self.make),
            accept: self.accept,
            shared_state: self.shared_state,
            request_bodies: self.request_bodies,
        }
    }
}

/// How to ask a layer what it holds.
pub(crate) type HeldBy<L> = Arc<dyn Fn(&L) -> usize + Send + Sync>;
