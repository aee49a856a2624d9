//! The layer that asks for an API key.

use std::{fmt, marker::PhantomData, sync::Arc};

use bartizan_core::{Clock, ServerLayer, fact, phase};
use http::HeaderName;
use tower_layer::Layer;

use crate::{ApiKeyService, ConfigError, admit::Shared, challenge, settings::Settings};

/// Every request must carry a credential.
#[derive(Debug)]
pub enum Required {}

/// A request may carry a credential; a bad one is refused all the same.
#[derive(Debug)]
pub enum Optional {}

/// Whether a credential is required: [`Required`] or [`Optional`].
pub trait Presence: sealed::Sealed {
    /// What layers further in may rely on.
    type Provides;
}

impl Presence for Required {
    type Provides = fact::Principal;
}

impl Presence for Optional {
    type Provides = ();
}

mod sealed {
    pub trait Sealed {
        const OPTIONAL: bool;
    }

    impl Sealed for super::Required {
        const OPTIONAL: bool = false;
    }

    impl Sealed for super::Optional {
        const OPTIONAL: bool = true;
    }
}

/// Asks for an API key and sets the request's principal. See the [crate](crate) for what it does.
///
/// Belongs to phase `Authentication`. Clones and the services made of it share the store.
#[must_use = "a layer does nothing until it is applied"]
pub struct ApiKeyLayer<K, P = Required> {
    pub(crate) shared: Arc<Shared<K>>,
    presence: PhantomData<fn() -> P>,
}

impl<K> ApiKeyLayer<K> {
    /// Requires a key of `store` from every request.
    pub fn new(store: K) -> Self {
        Self { shared: Arc::new(Shared::new(Arc::new(store), Settings::new())), presence: PhantomData }
    }

    /// Lets requests without a key pass, without a principal; a key that is not accepted is refused all the
    /// same. The layer then provides no `Principal` to a checked stack.
    pub fn optional(self) -> ApiKeyLayer<K, Optional> {
        ApiKeyLayer { shared: self.shared, presence: PhantomData }
    }
}

impl<K, P> ApiKeyLayer<K, P> {
    /// The realm in the challenge `ApiKey realm="…"`. Default: `api`.
    ///
    /// # Errors
    ///
    /// When it has not 1 to 128 printable ASCII characters.
    pub fn with_realm(mut self, realm: &str) -> Result<Self, ConfigError> {
        self.edit().challenge = challenge::for_realm(realm)?;
        Ok(self)
    }

    /// Accepts the key in this parameter of the query too. Default: no. Query strings end up in logs, histories
    /// and `Referer`: use it only where a caller cannot set a header. Answers to such requests get
    /// `Cache-Control: no-store` unless they are `private` or `no-store` already.
    ///
    /// # Errors
    ///
    /// When the name has not 1 to 64 letters, digits or `-._~`.
    pub fn with_query_parameter(mut self, name: &str) -> Result<Self, ConfigError> {
        self.edit().set_query_parameter(name)?;
        Ok(self)
    }

    /// Leaves the credential in the request for the handler, marked sensitive. Default: it is removed, and with
    /// it any `Authorization` of another scheme.
    pub fn with_credential_kept(mut self) -> Self {
        self.edit().keep_credential = true;
        self
    }

    /// Tells the owner of the key to the handler in this header. What the caller sent under that name is removed
    /// from every request, also from those that pass without a key. Default: none. It is the name of the owner alone:
    /// beside a [`JwtLayer`](crate::JwtLayer), give that a header of its own.
    ///
    /// # Errors
    ///
    /// When the header already means something else, as `authorization` and `host` do.
    pub fn with_identity_header(mut self, name: HeaderName) -> Result<Self, ConfigError> {
        self.edit().set_identity_header(name)?;
        Ok(self)
    }

    /// Opens one path: its requests pass without a look at their credentials, and without a principal. Call it
    /// once per path. Default: none.
    ///
    /// The path is compared byte for byte with what this layer sees (a nested router has removed its prefix),
    /// so no other spelling of it passes. For gRPC: `/grpc.health.v1.Health/Check`.
    ///
    /// To a checked stack the layer still provides `Principal`, so that a limit by principal may follow. On an
    /// open path there is none: [`RequireLayer`](crate::RequireLayer) refuses with 401, and any other layer that
    /// needs one does what it does when its need is not met.
    ///
    /// # Errors
    ///
    /// When the path holds an escape, an empty or a dot segment, a query, or does not begin with `/`.
    pub fn with_bypass(mut self, path: &str) -> Result<Self, ConfigError> {
        self.edit().add_bypass(path)?;
        Ok(self)
    }

    /// The clock whose wall time decides whether a key works yet, or still. Default: the system's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.edit().clock = clock;
        self
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(mut self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.edit().telemetry.pin(recorder);
        self
    }

    /// A clone made before keeps its own settings.
    fn edit(&mut self) -> &mut Settings {
        &mut Arc::make_mut(&mut self.shared).settings
    }
}

impl<K, P> Clone for ApiKeyLayer<K, P> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), presence: PhantomData }
    }
}

impl<K, P: Presence> fmt::Debug for ApiKeyLayer<K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.shared.settings;
        f.debug_struct("ApiKeyLayer")
            .field("optional", &P::OPTIONAL)
            .field("challenge", &settings.challenge)
            .field("query_parameter", &settings.query_parameter)
            .field("keep_credential", &settings.keep_credential)
            .field("identity_header", &settings.identity_header)
            .field("bypass", &settings.bypass)
            .finish_non_exhaustive()
    }
}

impl<S, K, P> Layer<S> for ApiKeyLayer<K, P> {
    type Service = ApiKeyService<S, K, P>;

    fn layer(&self, inner: S) -> Self::Service {
        ApiKeyService::new(inner, Arc::clone(&self.shared))
    }
}

impl<K, P: Presence> ServerLayer for ApiKeyLayer<K, P> {
    type Phase = phase::Authentication;
    type Needs = ();
    type Provides = P::Provides;

    fn name(&self) -> &'static str {
        "api_key"
    }
}
