//! Where a request's key comes from.

use std::{fmt, marker::PhantomData};

use bartizan_core::{
    Fault, fact,
    phase::{self, Phase},
};

use crate::{Key, RequestHead};

/// Where a request's key comes from, and where in a stack a limit by that key belongs.
///
/// For a key of your own, [`KeyFn`] makes one of a closure.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whose requests a rate limit counts together",
    label = "not a `KeyExtractor`",
    note = "choose with `RateLimitLayer::new(rate).by(…)`: `PerClientAddr`, `PerPrincipal`, `Global`, or a `KeyFn`"
)]
pub trait KeyExtractor {
    /// Where in a stack the limit belongs.
    type Phase: Phase;
    /// What layers before it must have provided: a [`fact`], a pair of facts, or `()`.
    type Needs;

    /// The key of a request; `None` when it has none, see [`MissingKey`](crate::MissingKey).
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>>;

    /// The name of a limit by this key that was given no other.
    fn policy(&self) -> &'static str;

    /// What is wrong with a service when a request has no key, reported once per limit. Default: nothing.
    fn fault(&self) -> Option<Fault> {
        None
    }
}

/// One bucket per client address: before authentication, so that a flood costs no verification.
///
/// Native IPv6 addresses count by the network of one customer, as [`ClientAddr::key`] says. Needs a layer that
/// sets the client's address. Policy name: `per-address`.
///
/// [`ClientAddr::key`]: bartizan_core::ClientAddr::key
#[derive(Clone, Copy, Debug, Default)]
pub struct PerClientAddr;

impl KeyExtractor for PerClientAddr {
    type Phase = phase::AddressLimit;
    type Needs = fact::ClientAddr;

    #[inline]
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        head.context()?.client_addr().map(Key::client_addr)
    }

    fn policy(&self) -> &'static str {
        "per-address"
    }

    fn fault(&self) -> Option<Fault> {
        Some(Fault::new(
            "rate_limit",
            "a limit by client address got a request without one",
            "put `ClientAddrLayer` outside of this layer, and serve with connect info",
        ))
    }
}

/// One bucket per authenticated caller, whatever credential it uses.
///
/// Needs a layer that authenticates. Policy name: `per-principal`.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerPrincipal;

impl KeyExtractor for PerPrincipal {
    type Phase = phase::PrincipalLimit;
    type Needs = fact::Principal;

    #[inline]
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        head.context()?.principal().map(Key::principal)
    }

    fn policy(&self) -> &'static str {
        "per-principal"
    }

    fn fault(&self) -> Option<Fault> {
        Some(Fault::new(
            "rate_limit",
            "a limit by principal got a request without one",
            "put an authentication layer (not optional) outside of this layer",
        ))
    }
}

/// One bucket for all requests together. Policy name: `global`.
///
/// One caller can use it up for all others: use it to protect what is behind, beside a limit per caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Global;

impl KeyExtractor for Global {
    type Phase = phase::Load;
    type Needs = ();

    #[inline]
    fn key<'a>(&self, _: &RequestHead<'a>) -> Option<Key<'a>> {
        Some(Key::number(0))
    }

    fn policy(&self) -> &'static str {
        "global"
    }
}

/// A key by a closure, which names the phase it belongs to and, with [`needing`](Self::needing), what it needs.
///
/// Policy name: `custom`; better give it one with [`RateLimitLayer::with_name`](crate::RateLimitLayer::with_name).
///
/// ```
/// use bartizan_core::{fact, phase};
/// use bartizan_rate_limit::{Key, KeyFn, Rate, RateLimitLayer};
///
/// let per_tenant = KeyFn::<phase::PrincipalLimit, _>::new(|head| {
///     head.context()?.principal()?.tenant().map(Key::from)
/// })
/// .needing::<fact::Principal>();
/// let layer = RateLimitLayer::new("1000/min".parse()?).by(per_tenant).with_name("per-tenant")?;
/// # Ok::<(), bartizan_rate_limit::ConfigError>(())
/// ```
pub struct KeyFn<P, F, N = ()> {
    function: F,
    place: PhantomData<fn() -> (P, N)>,
}

impl<P, F> KeyFn<P, F> {
    /// A limit of phase `P` by what `function` returns.
    pub fn new(function: F) -> Self
    where
        F: for<'a> Fn(&RequestHead<'a>) -> Option<Key<'a>>,
    {
        Self { function, place: PhantomData }
    }
}

impl<P, F, N> KeyFn<P, F, N> {
    /// What layers before the limit must have provided: a [`fact`], a pair of facts, or `()`.
    #[must_use]
    pub fn needing<Needs>(self) -> KeyFn<P, F, Needs> {
        KeyFn { function: self.function, place: PhantomData }
    }
}

impl<P, F, N> KeyExtractor for KeyFn<P, F, N>
where
    P: Phase,
    F: for<'a> Fn(&RequestHead<'a>) -> Option<Key<'a>>,
{
    type Phase = P;
    type Needs = N;

    #[inline]
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        (self.function)(head)
    }

    fn policy(&self) -> &'static str {
        "custom"
    }
}

impl<P, F: Clone, N> Clone for KeyFn<P, F, N> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), place: PhantomData }
    }
}

impl<P, F, N> fmt::Debug for KeyFn<P, F, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFn").finish_non_exhaustive()
    }
}
