//! The keys of all limits of a layer, as one type.

use std::sync::Arc;

use bartizan_core::{Fault, phase::Phase};

use crate::{Key, KeyExtractor, RequestHead, phases::Latest};

/// Stands where the key of a limit will: call [`RateLimitLayer::by`](crate::RateLimitLayer::by).
#[derive(Clone, Copy, Debug)]
pub struct Unkeyed(pub(crate) ());

/// The keys of several limits of one layer; made by [`RateLimitLayer::and`](crate::RateLimitLayer::and).
#[derive(Debug)]
pub struct And<A, B> {
    pub(crate) first: Arc<A>,
    pub(crate) last: Arc<B>,
}

/// What a limit knows of its key.
pub(crate) struct KeyInfo {
    pub(crate) name: &'static str,
    pub(crate) fault: Option<Fault>,
    pub(crate) patience: u32,
    pub(crate) failed_credential_charge: u32,
    pub(crate) refusal: &'static str,
}

/// The keys of a layer's limits, complete or not.
pub(crate) trait Describe {
    fn describe(&self, infos: &mut Vec<KeyInfo>);
}

/// The keys of a layer's limits: a [`KeyExtractor`], or several in [`And`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whose requests a rate limit counts together",
    label = "a limit without a key",
    note = "choose with `.by(…)`: `PerClientAddr`, `PerPrincipal`, `Global`, a tuple of them, or a `KeyFn`"
)]
#[expect(private_bounds, reason = "only what this crate makes is a list of keys")]
pub trait Keys: Describe + Send + Sync + 'static {
    /// Where in a stack the layer belongs: the latest of the limits.
    type Phase: Phase;
    /// What layers before it must have provided.
    type Needs;

    #[doc(hidden)]
    const COUNT: usize;

    #[doc(hidden)]
    fn each<'a>(&self, head: &RequestHead<'a>, each: &mut impl FnMut(Option<Key<'a>>));
}

impl Describe for Unkeyed {
    fn describe(&self, infos: &mut Vec<KeyInfo>) {
        infos.push(KeyInfo { name: "", fault: None, patience: 0, failed_credential_charge: 0, refusal: "" });
    }
}

impl<K: KeyExtractor> Describe for K {
    fn describe(&self, infos: &mut Vec<KeyInfo>) {
        infos.push(KeyInfo {
            name: self.policy(),
            fault: self.fault(),
            patience: self.patience(),
            failed_credential_charge: self.failed_credential_charge(),
            refusal: self.refusal(),
        });
    }
}

impl<A: Describe, B: Describe> Describe for And<A, B> {
    fn describe(&self, infos: &mut Vec<KeyInfo>) {
        self.first.describe(infos);
        self.last.describe(infos);
    }
}

impl<K: KeyExtractor> Keys for K {
    type Phase = K::Phase;
    type Needs = K::Needs;

    const COUNT: usize = 1;

    #[inline]
    fn each<'a>(&self, head: &RequestHead<'a>, each: &mut impl FnMut(Option<Key<'a>>)) {
        each(self.key(head));
    }
}

impl<A, B> Keys for And<A, B>
where
    A: Keys,
    B: KeyExtractor,
    A::Phase: Latest<B::Phase>,
{
    type Phase = <A::Phase as Latest<B::Phase>>::Phase;
    type Needs = (A::Needs, B::Needs);

    const COUNT: usize = A::COUNT + 1;

    fn each<'a>(&self, head: &RequestHead<'a>, each: &mut impl FnMut(Option<Key<'a>>)) {
        self.first.each(head, each);
        each(self.last.key(head));
    }
}
