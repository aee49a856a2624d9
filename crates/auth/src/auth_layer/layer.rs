//! The layer that asks for a key or a token.

use std::{fmt, marker::PhantomData, sync::Arc};

use bartizan_core::{ServerLayer, phase};
use tower_layer::Layer;

use super::service::{AuthService, Both};
use crate::{ApiKeyLayer, ConfigError, JwtLayer, Optional, Presence, Required};

/// Asks for an API key or a token, and sets the request's principal. The one that is there decides.
///
/// A request with both is refused with 400, one with neither with 401 and the challenges of both. What the two layers
/// were set up to do, they do here. Let their identity headers be two: in one, the owner of a key and the subject of a
/// token are the same caller if they have the same name, and the layer reports that when it is made.
///
/// ```
/// use bartizan_auth::{Algorithm, ApiKeyLayer, AuthLayer, JwtLayer, KeySet, StaticKeys, TokenPolicy, VerifyingKey};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(any(feature = "aws-lc-rs", feature = "rust-crypto"))] {
/// # let key = VerifyingKey::from_secret(Algorithm::Hs256, &[7; 32])?;
/// let keys = ApiKeyLayer::new(StaticKeys::new([])?);
/// let tokens = JwtLayer::new(KeySet::from(key), TokenPolicy::new("https://id.example", ["orders"])?);
/// let layer = AuthLayer::new(keys, tokens).with_bypass("/health")?;
/// # }
/// # Ok(()) }
/// ```
///
/// Belongs to phase `Authentication`. Clones share the keys.
#[must_use = "a layer does nothing until it is applied"]
pub struct AuthLayer<K, T, C = (), P = Required> {
    both: Arc<Both<K, T, C>>,
    presence: PhantomData<fn() -> P>,
}

impl<K, T, C> AuthLayer<K, T, C> {
    /// Requires from every request what one of the two layers requires.
    pub fn new(keys: ApiKeyLayer<K>, tokens: JwtLayer<T, C>) -> Self {
        Self { both: Arc::new(Both::new(keys.shared, tokens.shared)), presence: PhantomData }
    }
}

impl<K, T, C, P> AuthLayer<K, T, C, P> {
    /// Lets requests without a key and without a token pass, without a principal; one that is not accepted is refused
    /// all the same. The layer then provides no `Principal` to a checked stack.
    pub fn optional(self) -> AuthLayer<K, T, C, Optional> {
        AuthLayer { both: self.both, presence: PhantomData }
    }

    /// Opens one path, as [`ApiKeyLayer`](ApiKeyLayer::with_bypass) does. A path that one of the two layers opened is
    /// open, too.
    ///
    /// # Errors
    ///
    /// When the path holds an escape, an empty or a dot segment, a query, or does not begin with `/`.
    pub fn with_bypass(mut self, path: &str) -> Result<Self, ConfigError> {
        Arc::make_mut(&mut self.both).settings.add_bypass(path)?;
        Ok(self)
    }

    /// Counts what neither layer decides, requests with no credential and with several, in this recorder instead of
    /// the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(mut self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.both).settings.telemetry.pin(recorder);
        self
    }
}

impl<K, T, C, P> Clone for AuthLayer<K, T, C, P> {
    fn clone(&self) -> Self {
        Self { both: Arc::clone(&self.both), presence: PhantomData }
    }
}

impl<K, T, C, P: Presence> fmt::Debug for AuthLayer<K, T, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("optional", &P::OPTIONAL)
            .field("challenges", &[&self.both.keys.settings.challenge, &self.both.tokens.settings.challenge])
            .field("bypass", &self.both.settings.bypass)
            .finish_non_exhaustive()
    }
}

impl<S, K, T, C, P> Layer<S> for AuthLayer<K, T, C, P> {
    type Service = AuthService<S, K, T, C, P>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService::new(inner, Arc::clone(&self.both))
    }
}

impl<K, T, C, P: Presence> ServerLayer for AuthLayer<K, T, C, P> {
    type Phase = phase::Authentication;
    type Needs = ();
    type Provides = P::Provides;

    fn name(&self) -> &'static str {
        "auth"
    }
}
