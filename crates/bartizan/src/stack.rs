//! A stack of layers in an order that the compiler checks.

use std::marker::PhantomData;

use bartizan_core::{
    AddTo, After, Client, Facts, IntoLayer, KnownIn, Server,
    phase::{Phase, Start},
};
use tower_layer::{Identity, Stack as Nested};

use crate::{
    describe::{Description, Entry},
    fallible::{self, FallibleLayer},
};

/// A stack of layers, put together from the outside in and checked by the compiler.
///
/// The first layer pushed sees the request first. A layer is accepted when its [phase](crate::phase) is that of the
/// layer before it or one further in, and when the layers before it provide what it needs; anything else is an
/// error of `cargo check` at the offending argument, which says what to do. Nothing of this exists at run time:
/// [`build`](Self::build) returns a plain tower [`Layer`](tower_layer::Layer).
///
/// A layer out of order does not compile:
///
/// ```compile_fail
/// use bartizan::{NormalizeLayer, ProblemLayer, Stack};
///
/// let stack = Stack::server().push(NormalizeLayer::new()).push(ProblemLayer::new());
/// ```
#[must_use]
#[derive(Debug, Clone)]
pub struct Stack<Side = Server, At = Start, Known = Facts, L = Identity> {
    layer: L,
    entries: Vec<Entry>,
    types: PhantomData<(Side, At, Known)>,
}

impl Stack<Server> {
    /// A stack around a service.
    pub fn server() -> Self {
        Self::empty()
    }

    /// A stack for one route, where an outer stack out of reach provides what is assumed: a
    /// [fact](crate::fact), or a pair of them.
    ///
    /// Nothing checks the assumption. Where the outer stack is at hand, [`inside`](Self::inside) is better.
    pub fn server_assuming<Assumed>() -> Stack<Server, Start, Assumed::Facts>
    where
        Assumed: AddTo<Facts>,
    {
        Stack::empty()
    }
}

impl Stack<Client> {
    /// A stack around an outgoing client.
    pub fn client() -> Self {
        Self::empty()
    }
}

impl<Side, At, Known> Stack<Side, At, Known> {
    fn empty() -> Self {
        Self { layer: Identity::new(), entries: Vec::new(), types: PhantomData }
    }
}

impl<Side, At, Known, L> Stack<Side, At, Known, L> {
    /// Adds a layer of this family, or an `Option` of one, inside those pushed before.
    #[expect(clippy::type_complexity, reason = "the type says what the compiler has checked")]
    pub fn push<N>(
        self,
        layer: N,
    ) -> Stack<Side, N::Phase, <N::Provides as AddTo<Known>>::Facts, Nested<N::Layer, L>>
    where
        N: IntoLayer<Side>,
        N::Phase: After<At>,
        N::Needs: KnownIn<Known>,
        N::Provides: AddTo<Known>,
    {
        let entry = match layer.name() {
            Some(name) => Entry::own(<N::Phase as Phase>::NAME, name),
            None => Entry::off(<N::Phase as Phase>::NAME),
        };
        self.nest(layer.into_layer(), entry)
    }

    /// Adds any other tower layer where the stack stands: it has the phase of the layer before it.
    ///
    /// The layer must keep the error type of the service it wraps; for one that does not, see
    /// [`push_fallible`](Self::push_fallible). `name` is for [`describe`](Self::describe).
    pub fn push_foreign<N>(self, name: &'static str, layer: N) -> Stack<Side, At, Known, Nested<N, L>>
    where
        At: Phase,
    {
        self.nest(layer, Entry::foreign(At::NAME, name))
    }

    /// Adds any other tower layer in a phase of its own, checked like that of our layers:
    /// `push_foreign_at::<phase::Cors, _>("cors", layer)`.
    pub fn push_foreign_at<P, N>(self, name: &'static str, layer: N) -> Stack<Side, P, Known, Nested<N, L>>
    where
        P: Phase + After<At>,
    {
        self.nest(layer, Entry::foreign(P::NAME, name))
    }

    /// Adds a tower layer that changes the error type, as tower's timeout, load shed and buffer do, and turns its
    /// errors into refusals.
    ///
    /// `refusal` decides which [`Rejection`](crate::Rejection) an error becomes. The errors of the service further in
    /// pass through it too, and the result has none left: its error type is `Infallible`, as axum wants.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bartizan::{Reason, Rejection, Stack};
    /// use http::{Request, Response, StatusCode};
    /// use tower::{BoxError, Layer, ServiceExt, timeout::TimeoutLayer};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), BoxError> {
    /// let stack = Stack::server().push_fallible("timeout", TimeoutLayer::new(Duration::from_secs(1)), |error: BoxError| {
    ///     Rejection::new(if error.is::<tower::timeout::error::Elapsed>() {
    ///         Reason::DeadlineExceeded
    ///     } else {
    ///         Reason::Internal
    ///     })
    /// });
    /// let service = stack.build().layer(tower::service_fn(async |request: Request<String>| {
    ///     if request.uri().path() == "/slow" {
    ///         tokio::time::sleep(Duration::from_secs(2)).await;
    ///     }
    ///     Ok::<_, BoxError>(Response::new(request.into_body()))
    /// }));
    ///
    /// let quick = service.clone().oneshot(Request::get("/quick").body(String::new())?).await?;
    /// assert_eq!(quick.status(), StatusCode::OK);
    /// let slow = service.oneshot(Request::get("/slow").body(String::new())?).await?;
    /// assert_eq!(slow.status(), StatusCode::GATEWAY_TIMEOUT);
    /// # Ok(()) }
    /// ```
    pub fn push_fallible<N, R>(
        self,
        name: &'static str,
        layer: N,
        refusal: R,
    ) -> Stack<Side, At, Known, Nested<FallibleLayer<N, R>, L>>
    where
        Side: fallible::Side,
        At: Phase,
    {
        self.nest(FallibleLayer::new::<Side>(layer, refusal), Entry::foreign(At::NAME, name))
    }

    fn nest<N, P, K>(self, layer: N, entry: Entry) -> Stack<Side, P, K, Nested<N, L>> {
        let Self { layer: outer, mut entries, .. } = self;
        entries.push(entry);
        Stack { layer: Nested::new(layer, outer), entries, types: PhantomData }
    }

    /// Starts the stack of one route inside this one, with what this one provides and where it ended.
    ///
    /// ```
    /// use bartizan::{NormalizeLayer, ProblemLayer, Stack};
    ///
    /// let outer = Stack::server().push(ProblemLayer::new());
    /// let route = outer.inside().push(NormalizeLayer::new());
    /// assert_eq!(route.describe().to_string(), "1. normalize  normalize\n");
    /// ```
    pub fn inside(&self) -> Stack<Side, At, Known> {
        Stack::empty()
    }

    /// The effective order, outside to inside, one layer per line.
    pub fn describe(&self) -> Description {
        Description::new(self.entries.clone())
    }

    /// The layer that applies the whole stack.
    pub fn build(self) -> L {
        self.layer
    }
}
