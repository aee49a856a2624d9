//! The layer that puts a token on outgoing requests.

use std::{fmt, marker::PhantomData, sync::Arc};

use bartizan_core::{ClientLayer, phase};
use http::{Request, Uri, header};
use tower_layer::Layer;

use super::{BearerService, ClientTokens, NoResend, ResendCloned, ResendEmpty, origin::Origin};
use crate::{ConfigError, error::Part};

/// Puts the token of a client on its outgoing requests, as `Authorization: Bearer …`.
///
/// ```
/// use bartizan_auth::{BearerLayer, ClientCredentials};
/// use http::{Request, Response, StatusCode};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Most often `build()`, which asks over https. Any tower service can.
/// let endpoint = service_fn(async |_| {
///     let token = r#"{"access_token": "abc", "token_type": "Bearer", "expires_in": 3600}"#;
///     Ok::<_, std::io::Error>(Response::new(String::from(token)))
/// });
/// let tokens = ClientCredentials::new("https://id.example/token", "billing", "s3cret")
///     .with_scope("orders:read")
///     .build_with(endpoint)?;
///
/// let layer = BearerLayer::new(tokens, ["https://orders.example"])?;
/// let client = layer.layer(service_fn(async |request: Request<String>| {
///     let (status, seen) = match request.headers().get("authorization") {
///         Some(value) => (StatusCode::OK, value.to_str().unwrap_or_default().to_owned()),
///         None => (StatusCode::UNAUTHORIZED, String::new()),
///     };
///     Ok::<_, std::io::Error>(Response::builder().status(status).body(seen).expect("it is well formed"))
/// }));
///
/// let ours = Request::get("https://orders.example/v1/orders").body(String::new())?;
/// assert_eq!(client.clone().oneshot(ours).await?.status(), StatusCode::OK);
///
/// let foreign = Request::get("https://elsewhere.example/").body(String::new())?;
/// assert_eq!(client.oneshot(foreign).await?.status(), StatusCode::UNAUTHORIZED, "the token is not for everybody");
/// # Ok(()) }
/// ```
///
/// 1. A request to another origin, and one that carries an `Authorization` already, passes as it is. So a
///    redirect to another origin, followed further out, gets no token.
/// 2. Without a token that is good the request waits for one, at most [5
///    seconds](crate::ClientCredentials::with_wait). If none comes, the answer is a refusal: 503
///    `dependency_unavailable` or `UNAVAILABLE`, with the time after which it makes sense to try again.
/// 3. When the server answers that the token is invalid (401, or for gRPC `UNAUTHENTICATED` before any message,
///    with a challenge that says `invalid_token`), another one is asked for, and the request is sent once more
///    if it has no body; see [`with_resend_of_clones`](Self::with_resend_of_clones). Every other answer is the
///    caller's. A server that calls every token invalid gets a new one in 30 seconds at most.
///
/// Belongs to phase `Credentials`, inside of retries: each attempt has the token of its time. Clones, and the
/// services made of one, share the token. `R` is which requests are sent once more.
#[must_use = "a layer does nothing until it is applied"]
pub struct BearerLayer<R = ResendEmpty> {
    shared: Arc<Shared>,
    resend: PhantomData<fn() -> R>,
}

#[derive(Clone)]
pub(super) struct Shared {
    pub(super) tokens: ClientTokens,
    origins: Box<[Origin]>,
    relative: bool,
}

impl BearerLayer {
    /// The most origins that a layer takes: each request is compared with all of them.
    pub const MAX_ORIGINS: usize = 64;

    /// Sends the token to these origins, such as `https://orders.example`, and to no others.
    ///
    /// # Errors
    ///
    /// When there are none, more than 64, or one is not scheme, host and port of an https address.
    pub fn new<I>(tokens: ClientTokens, origins: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let loopback_http = tokens.allows_loopback_http();
        let parse = |(index, origin): (usize, I::Item)| Origin::parse(index, origin.as_ref(), loopback_http);
        let origins: Box<[Origin]> = origins
            .into_iter()
            .take(Self::MAX_ORIGINS + 1)
            .enumerate()
            .map(parse)
            .collect::<Result<_, _>>()?;
        if !(1..=Self::MAX_ORIGINS).contains(&origins.len()) {
            return Err(ConfigError::new(Part::Bearer, "origins", "must be 1 to 64"));
        }
        Ok(Self { shared: Arc::new(Shared { tokens, origins, relative: false }), resend: PhantomData })
    }

    /// Sends requests with a body once more, too: for bodies whose clones are cheap and whole, such as
    /// `Full<Bytes>`. A clone is kept for each request until its answer begins. Default: only requests without a
    /// body, of any type that has a `Default`.
    pub fn with_resend_of_clones(self) -> BearerLayer<ResendCloned> {
        self.with_resend()
    }

    /// Sends nothing twice: for bodies of any type. The next request has another token all the same.
    pub fn without_resend(self) -> BearerLayer<NoResend> {
        self.with_resend()
    }

    /// Sends once more what `R` can copy: a [`ResendBody`](crate::ResendBody) of your own.
    pub fn with_resend<R>(self) -> BearerLayer<R> {
        BearerLayer { shared: self.shared, resend: PhantomData }
    }
}

impl<R> BearerLayer<R> {
    /// Puts the token also on requests whose address names no origin, only a path: for a client that is
    /// connected to one server, such as a tonic channel, which adds its origin further in. That must then be one
    /// of the origins. Default: such requests get no token.
    pub fn with_relative_addresses(mut self) -> Self {
        Arc::make_mut(&mut self.shared).relative = true;
        self
    }
}

impl Shared {
    /// Whether the request is one that gets the token.
    pub(super) fn is_for<B>(&self, request: &Request<B>) -> bool {
        let is_origin = |uri: &Uri| match (uri.scheme(), uri.authority()) {
            (None, None) => self.relative,
            _ => self.origins.iter().any(|origin| origin.is_of(uri)),
        };
        !request.headers().contains_key(header::AUTHORIZATION) && is_origin(request.uri())
    }
}

impl<R> Clone for BearerLayer<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), resend: PhantomData }
    }
}

impl<R> fmt::Debug for BearerLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerLayer")
            .field("tokens", &self.shared.tokens)
            .field("origins", &self.shared.origins)
            .field("relative_addresses", &self.shared.relative)
            .finish()
    }
}

impl<S, R> Layer<S> for BearerLayer<R> {
    type Service = BearerService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        BearerService::new(inner, Arc::clone(&self.shared))
    }
}

impl<R> ClientLayer for BearerLayer<R> {
    type Phase = phase::client::Credentials;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        "bearer"
    }
}
