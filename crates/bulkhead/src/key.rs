//! Which requests share a bulkhead.

use std::{borrow::Cow, fmt, hash::Hash, marker::PhantomData};

#[doc(inline)]
pub use bartizan_core::key::{Global, PerPrincipal, PerRoute, PerTenant};
use bartizan_core::{
    Principal, RequestHead, fact,
    phase::{self, Phase},
};

/// Which requests share a bulkhead, and where in a server's stack a layer by that key belongs.
///
/// On a client a bulkhead always stands in the client's phase `bulkhead`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which requests share a bulkhead",
    label = "not a `BulkheadKey`",
    note = "choose with `.by(…)`: `PerRoute`, `PerTenant`, `PerPrincipal`, `PerAuthority` or a `KeyFn`"
)]
pub trait BulkheadKey: Send + Sync + 'static {
    /// Where in a server's stack the layer belongs.
    type Phase: Phase;
    /// What layers before it in a server's stack must have provided: a [`fact`], a pair of facts, or `()`.
    type Needs;

    /// The key of a request. Requests without one share a bulkhead.
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>>;
}

/// The key of one request. Borrows from it; a bulkhead remembers a keyed hash of 16 bytes while requests of the key are
/// under way.
#[derive(Clone)]
pub struct Key<'a>(Repr<'a>);

#[derive(Clone)]
enum Repr<'a> {
    Text(Cow<'a, str>),
    Principal(&'a Principal),
}

impl<'a> Key<'a> {
    /// An authenticated caller: its kind, issuer and subject, whatever credential it used.
    pub fn principal(principal: &'a Principal) -> Self {
        Self(Repr::Principal(principal))
    }
}

impl Hash for Key<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match &self.0 {
            Repr::Text(text) => (0_u8, text).hash(state),
            Repr::Principal(principal) => (1_u8, principal.fingerprint()).hash(state),
        }
    }
}

impl<'a, T: Into<Cow<'a, str>>> From<T> for Key<'a> {
    fn from(text: T) -> Self {
        Self(Repr::Text(text.into()))
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may be a credential.
        f.write_str("Key")
    }
}

/// One bulkhead for all requests: the default.
impl BulkheadKey for Global {
    type Phase = phase::Load;
    type Needs = ();

    #[inline]
    fn key<'a>(&self, _: &RequestHead<'a>) -> Option<Key<'a>> {
        None
    }
}

/// One bulkhead for each route or gRPC method, so that a slow one cannot take all places.
impl BulkheadKey for PerRoute {
    type Phase = phase::Load;
    type Needs = ();

    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        Some(head.route().into())
    }
}

/// One bulkhead for each host and port that is called. For clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerAuthority;

impl BulkheadKey for PerAuthority {
    type Phase = phase::Load;
    type Needs = ();

    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        Some(head.authority()).filter(|authority| !authority.is_empty()).map(Key::from)
    }
}

/// One bulkhead for each tenant. Callers without one share a bulkhead. In a server's stack it stands after authentication.
/// On a client, with the feature `scope`, it is the tenant of the request that the call is made for.
impl BulkheadKey for PerTenant {
    type Phase = phase::PrincipalBulkhead;
    type Needs = fact::Principal;

    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        head.tenant().map(Key::from)
    }
}

/// One bulkhead for each authenticated caller. All others share one. In a server's stack it stands after authentication.
impl BulkheadKey for PerPrincipal {
    type Phase = phase::PrincipalBulkhead;
    type Needs = fact::Principal;

    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        head.principal().map(Key::principal)
    }
}

/// A key by a closure.
///
/// ```
/// use bartizan_bulkhead::{BulkheadLayer, Key, KeyFn};
///
/// let per_shard = KeyFn::new(|head| Some(Key::from(head.headers().get("x-shard")?.to_str().ok()?)));
/// let layer = BulkheadLayer::new(20)?.by(per_shard);
/// # Ok::<(), bartizan_bulkhead::ConfigError>(())
/// ```
pub struct KeyFn<F, P = phase::Load, N = ()> {
    function: F,
    place: PhantomData<fn() -> (P, N)>,
}

impl<F> KeyFn<F> {
    /// What `function` returns is the key.
    pub fn new(function: F) -> Self
    where
        F: for<'a> Fn(&RequestHead<'a>) -> Option<Key<'a>>,
    {
        Self { function, place: PhantomData }
    }
}

impl<F, P, N> KeyFn<F, P, N> {
    /// The same key for a layer that stands in another phase of a server's stack, and needs what layers before it must
    /// have provided: a [`fact`], a pair of facts, or `()`.
    #[must_use]
    pub fn at<Phase, Needs>(self) -> KeyFn<F, Phase, Needs> {
        KeyFn { function: self.function, place: PhantomData }
    }
}

impl<F, P, N> BulkheadKey for KeyFn<F, P, N>
where
    P: Phase + 'static,
    N: 'static,
    F: for<'a> Fn(&RequestHead<'a>) -> Option<Key<'a>> + Send + Sync + 'static,
{
    type Phase = P;
    type Needs = N;

    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        (self.function)(head)
    }
}

impl<F, P, N> fmt::Debug for KeyFn<F, P, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFn").finish_non_exhaustive()
    }
}
