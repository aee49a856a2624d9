//! One attempt to fetch the keys.

use std::{
    error::Error,
    fmt,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;

use super::{
    discovery::{DiscoveryError, Issuer},
    freshness,
};
use crate::{
    Algorithms, JwkSetError, KeySet,
    outbound::{Endpoint, Fetch, FetchError, HttpService},
};

/// Where keys come from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    Keys(Endpoint),
    Issuer(Issuer),
}

impl Origin {
    /// How it is called in logs and metrics.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Keys(endpoint) => endpoint.name(),
            Self::Issuer(issuer) => issuer.name().to_owned(),
        }
    }
}

/// How keys are fetched.
pub(super) struct Fetcher {
    pub(super) origin: Origin,
    pub(super) service: HttpService,
    pub(super) algorithms: Algorithms,
    pub(super) loopback_http: bool,
    /// For one exchange; an attempt has four at most.
    pub(super) timeout: Duration,
}

/// The address that an issuer named, and until when it is believed.
#[derive(Debug)]
pub(super) struct Discovered {
    endpoint: Endpoint,
    until: Instant,
}

/// How long an address is believed without another look at the document.
const BELIEVED: Duration = Duration::from_secs(24 * 3600);

/// Good keys, and how long they are fresh.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) keys: KeySet,
    pub(super) fresh: Duration,
}

/// Why there are none. All of these count as failures, and leave the last good keys in place.
#[derive(Debug)]
pub(super) enum AttemptError {
    Fetch(FetchError),
    /// Any but 200, and whose it is; redirects are not followed.
    Status(StatusCode, String),
    Discovery(DiscoveryError),
    Malformed(JwkSetError),
    /// A key set in which no key can be used: somebody's mistake, most likely, and no reason to refuse everybody.
    NoUsableKey,
}

impl Fetcher {
    pub(super) async fn attempt(
        &self,
        discovered: &mut Option<Discovered>,
        now: Instant,
    ) -> Result<Fetched, AttemptError> {
        let issuer = match &self.origin {
            Origin::Keys(endpoint) => return self.keys(endpoint).await,
            Origin::Issuer(issuer) => issuer,
        };
        if let Some(known) = discovered
            && now < known.until
        {
            let fetched = self.keys(&known.endpoint).await;
            if fetched.is_err() {
                known.until = now; // The keys may have moved: the next attempt looks.
            }
            return fetched;
        }
        let endpoint = match (self.discover(issuer).await, &*discovered) {
            (Ok(endpoint), _) => endpoint,
            // The document is away, the keys may not be.
            (Err(_), Some(known)) => return self.keys(&known.endpoint).await,
            (Err(error), None) => return Err(error),
        };
        let fetched = self.keys(&endpoint).await?;
        *discovered = Some(Discovered { endpoint, until: now + BELIEVED });
        Ok(fetched)
    }

    async fn discover(&self, issuer: &Issuer) -> Result<Endpoint, AttemptError> {
        let [first, second] = &issuer.documents;
        let missing = match self.address_in(issuer, first).await {
            // Not there, or a page that the server has for every path.
            Err(error @ (AttemptError::Status(..) | AttemptError::Discovery(DiscoveryError::Malformed))) => {
                error
            }
            found => return found,
        };
        // Where neither is there, the first says more.
        self.address_in(issuer, second).await.map_err(|error| match error {
            AttemptError::Status(..) => missing,
            error => error,
        })
    }

    async fn address_in(&self, issuer: &Issuer, document: &Endpoint) -> Result<Endpoint, AttemptError> {
        let answer = self.get(document).await?;
        issuer.key_address(answer.body(), self.loopback_http).map_err(AttemptError::Discovery)
    }

    async fn keys(&self, endpoint: &Endpoint) -> Result<Fetched, AttemptError> {
        let answer = self.get(endpoint).await?;
        let keys = KeySet::from_jwks(answer.body(), self.algorithms).map_err(AttemptError::Malformed)?;
        if keys.is_empty() {
            return Err(AttemptError::NoUsableKey);
        }
        Ok(Fetched { keys, fresh: freshness::lifetime(answer.headers()) })
    }

    async fn get(&self, endpoint: &Endpoint) -> Result<Response<Bytes>, AttemptError> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = endpoint.uri().clone();
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let fetch = Fetch {
            request,
            timeout: self.timeout,
            max_bytes: KeySet::MAX_BYTES,
            reads: |status| status == StatusCode::OK,
        };
        let answer = self.service.fetch(fetch).await.map_err(AttemptError::Fetch)?;
        if answer.status() == StatusCode::OK {
            Ok(answer)
        } else {
            Err(AttemptError::Status(answer.status(), endpoint.name()))
        }
    }
}

impl AttemptError {
    /// The label `outcome`.
    #[cfg(feature = "metrics")]
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Fetch(FetchError::TimedOut) => "timeout",
            Self::Fetch(FetchError::TooLarge) => "too_large",
            Self::Fetch(FetchError::Failed(_)) => "unreachable",
            Self::Status(..) => "status",
            Self::Discovery(DiscoveryError::OtherIssuer) => "wrong_issuer",
            Self::Discovery(_) => "bad_discovery",
            Self::Malformed(_) => "malformed",
            Self::NoUsableKey => "no_usable_key",
        }
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(_) => f.write_str("the server gave no answer"),
            Self::Status(status, address) => write!(f, "{address} answered with status {}", status.as_u16()),
            Self::Discovery(_) => f.write_str("the issuer does not say where its keys are"),
            Self::Malformed(_) => f.write_str("the answer is not a key set"),
            Self::NoUsableKey => f.write_str("no key of the set can be used"),
        }
    }
}

impl Error for AttemptError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Fetch(error) => Some(error),
            Self::Discovery(error) => Some(error),
            Self::Malformed(error) => Some(error),
            Self::Status(..) | Self::NoUsableKey => None,
        }
    }
}
