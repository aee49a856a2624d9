//! Keys of your own.

use std::{borrow::Cow, fmt, marker::PhantomData};

use bartizan_core::{
    RequestHead,
    phase::{self, Phase},
};

use super::BreakerKey;

/// A key by a closure.
///
/// ```
/// use std::borrow::Cow;
/// use bartizan_circuit_breaker::{BreakerPolicy, CircuitBreakerLayer, KeyFn};
///
/// // A shard fails as one.
/// let per_shard = KeyFn::new(|head| head.headers().get("x-shard")?.to_str().ok().map(Cow::Borrowed));
/// let layer = CircuitBreakerLayer::new(BreakerPolicy::new()).by(per_shard);
/// ```
pub struct KeyFn<F, P = phase::Load, N = ()> {
    function: F,
    place: PhantomData<fn() -> (P, N)>,
}

impl<F> KeyFn<F> {
    /// What `function` returns is the key.
    pub fn new(function: F) -> Self
    where
        F: for<'a> Fn(&RequestHead<'a>) -> Option<Cow<'a, str>>,
    {
        Self { function, place: PhantomData }
    }
}

impl<F, P, N> KeyFn<F, P, N> {
    /// The same key for a layer that stands in another phase of a server's stack, and needs what layers before it must
    /// have provided: a [`fact`](bartizan_core::fact), a pair of facts, or `()`.
    #[must_use]
    pub fn at<Phase, Needs>(self) -> KeyFn<F, Phase, Needs> {
        KeyFn { function: self.function, place: PhantomData }
    }
}

impl<F, P, N> BreakerKey for KeyFn<F, P, N>
where
    P: Phase + 'static,
    N: 'static,
    F: for<'a> Fn(&RequestHead<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
{
    type Phase = P;
    type Needs = N;

    #[inline]
    fn key<'a>(&self, head: &RequestHead<'a>) -> Option<Cow<'a, str>> {
        (self.function)(head)
    }
}

impl<F: Clone, P, N> Clone for KeyFn<F, P, N> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), place: PhantomData }
    }
}

impl<F, P, N> fmt::Debug for KeyFn<F, P, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFn").finish_non_exhaustive()
    }
}
