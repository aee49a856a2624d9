//! The decision over a token: no request, no time of its own, no waiting.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bartizan_core::{Principal, PrincipalBuilder};

use super::{
    ClaimsShape, KeyQuery, KeySource, Lookup, TokenPolicy,
    policy::Window,
    shape,
    token::{ClaimNames, Claims, Compact, Header, MAX_SIGNATURE, Segment, decode_signature},
};
use crate::{Failure, pop::Confirmation};

/// An issuer, and the keys that it alone signs with.
#[derive(Debug)]
pub(crate) struct Issuer<K> {
    pub(crate) keys: Arc<K>,
    pub(crate) policy: TokenPolicy,
}

impl<K> Clone for Issuer<K> {
    fn clone(&self) -> Self {
        Self { keys: Arc::clone(&self.keys), policy: self.policy.clone() }
    }
}

/// What a caller proved to be.
#[derive(Debug)]
pub(crate) struct Identity<C> {
    pub(crate) principal: Principal,
    pub(crate) claims: C,
    /// What must be proven with each request: a token seen before is no proof.
    pub(crate) confirmation: Confirmation,
}

impl<C: Clone> Clone for Identity<C> {
    fn clone(&self) -> Self {
        Self {
            principal: self.principal.clone(),
            claims: self.claims.clone(),
            confirmation: self.confirmation,
        }
    }
}

impl<C: ClaimsShape> Identity<C> {
    /// The same, in memory of its own.
    pub(crate) fn unshared(&self) -> Self {
        Self {
            principal: shape::unshared(&self.principal),
            claims: self.claims.unshared(),
            confirmation: self.confirmation,
        }
    }
}

/// A good token.
#[derive(Debug)]
pub(crate) struct Verified<C> {
    pub(crate) identity: Identity<C>,
    /// When it may be remembered: while it is good, and as long as its keys may be used.
    pub(crate) window: Window,
    pub(crate) source: Source,
}

/// Whose keys verified a token, and which generation of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) issuer: usize,
    pub(crate) generation: u64,
}

/// A token that is not good, or not yet.
#[derive(Debug)]
pub(crate) enum Unverified<R> {
    Refused {
        failure: Failure,
        /// Its `jti`, if it was well signed.
        id: Option<Box<str>>,
        retry_after: Option<Duration>,
    },
    /// The keys are being fetched: verify once more after this.
    Wait(R),
}

impl<R> From<Failure> for Unverified<R> {
    fn from(failure: Failure) -> Self {
        Self::Refused { failure, id: None, retry_after: None }
    }
}

/// How tokens are verified.
pub(crate) struct Verifier<K, C> {
    pub(crate) issuers: Vec<Issuer<K>>,
    pub(crate) names: ClaimNames,
    pub(crate) enrich: Option<Enrich<C>>,
}

/// What the service knows better than the names of claims can say.
pub(crate) type Enrich<C> = fn(&C, PrincipalBuilder) -> PrincipalBuilder;

impl<K, C> Clone for Verifier<K, C> {
    fn clone(&self) -> Self {
        Self { issuers: self.issuers.clone(), names: self.names.clone(), enrich: self.enrich }
    }
}

impl<K: KeySource, C: ClaimsShape> Verifier<K, C> {
    /// Whether a token that these keys verified before would be verified by the same again.
    pub(crate) fn is_current(&self, source: Source) -> bool {
        self.issuers.get(source.issuer).is_some_and(|issuer| issuer.keys.generation() == source.generation)
    }

    /// What the token proves at `now`, counted from 1970. With `may_wait`, an unknown key is asked for.
    ///
    /// The claims are read before the signature is verified, for they say whose keys to take; what they say is
    /// judged after.
    pub(crate) fn verify(
        &self,
        token: &[u8],
        now: Duration,
        may_wait: bool,
    ) -> Result<Verified<C>, Unverified<K::Refresh>> {
        let compact = Compact::split(token)?;
        let mut signature = [0; MAX_SIGNATURE];
        let signature = decode_signature(compact.signature, &mut signature)?;
        let mut header = Segment::<256>::new();
        let header = Header::read(header.text(compact.header)?)?;
        let mut payload = Segment::<1024>::new();
        let json = payload.text(compact.payload)?;
        let mut claims = Claims::default();
        claims.fill(json, &self.names)?;

        let index = self.owner_of(&claims).ok_or(Failure::WrongIssuer)?;
        let Issuer { keys, policy } = &self.issuers[index];
        // Before the look-up: a key that is removed meanwhile was one of this generation.
        let source = Source { issuer: index, generation: keys.generation() };
        let query = KeyQuery::new(header.algorithm, header.kid.as_deref());
        let key = match keys.lookup(&query) {
            Lookup::Found(key) if key.algorithm() == header.algorithm => key,
            Lookup::Found(_) | Lookup::WrongAlgorithm => return Err(Failure::WrongAlgorithm.into()),
            Lookup::Ambiguous => return Err(Failure::AmbiguousKey.into()),
            missing @ (Lookup::Unknown | Lookup::NotLoaded { .. }) => {
                let refresh = if may_wait { keys.refresh(&query) } else { None };
                return Err(refresh.map_or_else(|| without_key(&missing), Unverified::Wait));
            }
        };
        if !key.verify(compact.signed, signature) {
            // A key without a name only stood in for the one that the token names, which newer keys may have.
            let is_unknown = query.kid.is_some() && key.kid().is_none();
            let refresh = if may_wait && is_unknown { keys.refresh(&query) } else { None };
            return Err(refresh.map_or_else(|| Failure::BadSignature.into(), Unverified::Wait));
        }
        let refused = |failure| Unverified::Refused {
            failure,
            id: claims.id.as_deref().map(Into::into),
            retry_after: None,
        };
        let mut window = policy.check(&claims, header.kind, now).map_err(refused)?;
        let own = C::read(json).ok_or_else(|| refused(Failure::InvalidClaims))?;
        let mut principal = shape::principal(&claims, policy.issuer());
        if let Some(time) = SystemTime::UNIX_EPOCH.checked_add(window.until) {
            principal = principal.expires_at(time);
        }
        if let Some(enrich) = self.enrich {
            principal = enrich(&own, principal);
        }
        let identity =
            Identity { principal: principal.build(), claims: own, confirmation: claims.confirmation };
        if let Some(left) = keys.good_for() {
            window.until = window.until.min(now.saturating_add(left));
        }
        Ok(Verified { identity, window, source })
    }

    fn owner_of(&self, claims: &Claims<'_>) -> Option<usize> {
        let issuer = claims.issuer.as_deref()?;
        self.issuers.iter().position(|known| known.policy.issuer() == issuer)
    }
}

fn without_key<R>(missing: &Lookup) -> Unverified<R> {
    match missing {
        Lookup::NotLoaded { retry_after } => {
            Unverified::Refused { failure: Failure::KeysNotLoaded, id: None, retry_after: Some(*retry_after) }
        }
        _ => Failure::UnknownKey.into(),
    }
}
