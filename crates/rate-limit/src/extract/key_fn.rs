//! Keys of your own, and keys elsewhere.

use std::{fmt, marker::PhantomData};

use bartizan_core::{Fault, phase::Phase};

use crate::{Key, KeyExtractor, RequestHead};

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
    /// What layers before the limit must have provided: a [`fact`](bartizan_core::fact), a pair of facts, or `()`.
    #[must_use]
    pub fn needing<Needs>(self) -> KeyFn<P, F, Needs> {
        KeyFn { function: self.function, place: PhantomData }
    }
}

impl<P, F, N> KeyExtractor for KeyFn<P, F, N>
where
    P: Phase + 'static,
    N: 'static,
    F: for<'a> Fn(&RequestHead<'a>) -> Option<Key<'a>> + Send + Sync + 'static,
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

/// A key whose limit belongs to another phase; made by [`KeyExtractor::at`].
pub struct At<P, K> {
    key: K,
    place: PhantomData<fn() -> P>,
}

impl<P, K> At<P, K> {
    pub(super) fn new(key: K) -> Self {
        Self { key, place: PhantomData }
    }
}

impl<P: Phase + 'static, K: KeyExtractor> KeyExtractor for At<P, K> {
    type Phase = P;
    type Needs = K::Needs;

    #[inline]
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Key<'a>> {
        self.key.key(head)
    }

    fn policy(&self) -> &'static str {
        self.key.policy()
    }

    fn fault(&self) -> Option<Fault> {
        self.key.fault()
    }

    fn patience(&self) -> u32 {
        self.key.patience()
    }

    fn failed_credential_charge(&self) -> u32 {
        self.key.failed_credential_charge()
    }

    fn is_of_caller(&self) -> bool {
        self.key.is_of_caller()
    }

    fn refusal(&self) -> &'static str {
        self.key.refusal()
    }
}

impl<P, K: Clone> Clone for At<P, K> {
    fn clone(&self) -> Self {
        Self::new(self.key.clone())
    }
}

impl<P, K: fmt::Debug> fmt::Debug for At<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("At").field(&self.key).finish()
    }
}
