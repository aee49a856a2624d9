//! Where keys are found.

use std::{
    fmt,
    future::Ready,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{Algorithm, KeySet, VerifyingKey};

/// Finds the key that a token says it was signed with. Shared by all requests, so a look-up must not wait.
///
/// [`KeySet`] is the source whose keys never change, [`SharedKeys`](crate::SharedKeys) one whose keys are replaced
/// by hand. A source that fetches its keys answers from memory too: what it does not know it may
/// [fetch](Self::refresh) while the request waits, and then it is asked once more.
///
/// # What the layer calls, and when
///
/// 1. [`generation`](Self::generation), once for every request with a token: a source that begins its background
///    work with the first request, or looks whether its keys are stale, does it here.
/// 2. [`lookup`](Self::lookup), for a token that was not verified before, or not since the generation changed.
/// 3. [`refresh`](Self::refresh), when that said [`Lookup::Unknown`] or [`Lookup::NotLoaded`], or found for a token that
///    names its key one that has no name, which did not verify it. If it gives a future, the request waits for that, and
///    2 is done once more; whatever it says then is final.
/// 4. [`good_for`](Self::good_for), for a token that was verified: no longer is it remembered.
pub trait KeySource: Send + Sync + 'static {
    /// A bounded wait for newer keys. [`std::future::Ready`] where there never is one.
    type Refresh: Future<Output = ()> + Send + 'static;

    /// The key that fits. Takes no lock that a fetch holds, allocates nothing, and may be called by every request.
    fn lookup(&self, query: &KeyQuery<'_>) -> Lookup;

    /// A number that changes when a key that was found before is not found any more: removed, replaced, given up with the
    /// whole set, or made ambiguous or hidden by one that was added. A token that was verified under another number is
    /// verified again (so a removed key stops working for tokens seen before, too). Whoever changes it with every change of
    /// the keys is on the safe side.
    ///
    /// Make the change visible to `lookup` first, and change the number after: a token verified in between then
    /// counts as one of the former keys.
    fn generation(&self) -> u64;

    /// A wait after which the answer may be another one; `None` if it would be the same, because the keys never
    /// change, or this one was asked for in vain a moment ago. The wait has a bound of the source's own.
    fn refresh(&self, query: &KeyQuery<'_>) -> Option<Self::Refresh>;

    /// How much longer the keys in force may be used if no others come; `None`, the default, for ever. A token that they
    /// verified is not remembered for longer, whatever becomes of the work that would give them up and change the
    /// [`generation`](Self::generation). A source that wraps another passes it on.
    fn good_for(&self) -> Option<Duration> {
        None
    }
}

/// What a token says of the key that signed it. All of it comes from the caller.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct KeyQuery<'a> {
    /// The algorithm in `alg`: one that exists, but not yet one that is accepted.
    pub algorithm: Algorithm,
    /// The key in `kid`: at most 256 bytes.
    pub kid: Option<&'a str>,
}

impl<'a> KeyQuery<'a> {
    /// The longest `kid` in bytes. A token with a longer one is refused unasked, a key with one is not used.
    pub const MAX_KID: usize = 256;

    /// A query for a key.
    pub fn new(algorithm: Algorithm, kid: Option<&'a str>) -> Self {
        Self { algorithm, kid }
    }
}

/// What a source has for a query.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Lookup {
    /// The one key that fits.
    Found(Arc<VerifyingKey>),
    /// No key has this `kid`, or there is none for this algorithm. Newer keys may.
    Unknown,
    /// The key with this `kid` is for another algorithm (JWT-04). Final.
    WrongAlgorithm,
    /// More than one key fits, so that none is tried (JWK-02, JWK-03). Final.
    Ambiguous,
    /// No keys have been loaded yet, or they are too old to be trusted: 503, never 401.
    NotLoaded {
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
}

impl KeySource for KeySet {
    type Refresh = Ready<()>;

    fn lookup(&self, query: &KeyQuery<'_>) -> Lookup {
        self.find(query)
    }

    fn generation(&self) -> u64 {
        0
    }

    fn refresh(&self, _: &KeyQuery<'_>) -> Option<Self::Refresh> {
        None
    }
}

impl<K: KeySource> KeySource for Arc<K> {
    type Refresh = K::Refresh;

    fn lookup(&self, query: &KeyQuery<'_>) -> Lookup {
        (**self).lookup(query)
    }

    fn generation(&self) -> u64 {
        (**self).generation()
    }

    fn refresh(&self, query: &KeyQuery<'_>) -> Option<Self::Refresh> {
        (**self).refresh(query)
    }

    fn good_for(&self) -> Option<Duration> {
        (**self).good_for()
    }
}

/// A source of any kind, for a layer whose issuers have sources of different kinds.
///
/// Costs an indirect call per look-up, and a box per wait.
#[derive(Clone)]
pub struct AnyKeys(Arc<dyn Erased>);

impl AnyKeys {
    /// Hides the kind of `source`.
    pub fn new(source: impl KeySource) -> Self {
        Self(Arc::new(source))
    }
}

impl fmt::Debug for AnyKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyKeys(..)")
    }
}

impl KeySource for AnyKeys {
    type Refresh = AnyRefresh;

    fn lookup(&self, query: &KeyQuery<'_>) -> Lookup {
        self.0.lookup(query)
    }

    fn generation(&self) -> u64 {
        self.0.generation()
    }

    fn refresh(&self, query: &KeyQuery<'_>) -> Option<Self::Refresh> {
        self.0.refresh(query)
    }

    fn good_for(&self) -> Option<Duration> {
        self.0.good_for()
    }
}

/// The wait of an [`AnyKeys`].
#[must_use = "futures do nothing unless polled"]
pub struct AnyRefresh(Pin<Box<dyn Future<Output = ()> + Send>>);

impl fmt::Debug for AnyRefresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyRefresh(..)")
    }
}

impl Future for AnyRefresh {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

/// [`KeySource`] without its associated type.
trait Erased: Send + Sync + 'static {
    fn lookup(&self, query: &KeyQuery<'_>) -> Lookup;
    fn generation(&self) -> u64;
    fn refresh(&self, query: &KeyQuery<'_>) -> Option<AnyRefresh>;
    fn good_for(&self) -> Option<Duration>;
}

impl<K: KeySource> Erased for K {
    fn lookup(&self, query: &KeyQuery<'_>) -> Lookup {
        KeySource::lookup(self, query)
    }

    fn generation(&self) -> u64 {
        KeySource::generation(self)
    }

    fn refresh(&self, query: &KeyQuery<'_>) -> Option<AnyRefresh> {
        KeySource::refresh(self, query).map(|wait| AnyRefresh(Box::pin(wait)))
    }

    fn good_for(&self) -> Option<Duration> {
        KeySource::good_for(self)
    }
}
