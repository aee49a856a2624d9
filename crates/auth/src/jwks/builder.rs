//! How keys are to be fetched.

use std::{error::Error, fmt, time::Duration};

use bartizan_core::Clock;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use super::{
    attempt::{Fetcher, Origin},
    discovery::Issuer,
    remote::{RemoteKeys, Settings},
    telemetry::Telemetry,
};
use crate::{
    Algorithms, ConfigError,
    error::Part,
    jwt::crypto,
    outbound::{Endpoint, HttpService, bounded},
};

/// Makes [`RemoteKeys`].
#[derive(Clone)]
#[must_use = "no keys are fetched until it is built"]
pub struct RemoteKeysBuilder {
    address: Address,
    algorithms: Algorithms,
    wait: Duration,
    timeout: Duration,
    hard_limit: Duration,
    loopback_http: bool,
    clock: Clock,
    telemetry: Telemetry,
}

#[derive(Clone, Debug)]
pub(super) enum Address {
    Keys(String),
    Issuer(String),
}

impl RemoteKeysBuilder {
    pub(super) fn new(address: Address, algorithms: Algorithms) -> Self {
        Self {
            address,
            algorithms,
            wait: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            hard_limit: Duration::from_secs(24 * 3600),
            loopback_http: false,
            clock: Clock::system(),
            telemetry: Telemetry::default(),
        }
    }

    /// How long a request waits at most while its key is unknown and the keys are fetched anew, or while the first
    /// ones are. Default: 1 s.
    ///
    /// # Errors
    ///
    /// When it is zero, or more than 10 s.
    pub fn with_wait(mut self, wait: Duration) -> Result<Self, ConfigError> {
        let problem = "must be more than nothing and at most 10 s";
        self.wait = bounded(Part::RemoteKeys, "wait", wait, Duration::from_secs(10), problem)?;
        Ok(self)
    }

    /// How long one exchange with the server takes at most, from the connection to the last byte. Default: 5 s.
    ///
    /// # Errors
    ///
    /// When it is zero, or more than 5 s.
    pub fn with_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        let problem = "must be more than nothing and at most 5 s";
        self.timeout = bounded(Part::RemoteKeys, "timeout", timeout, Duration::from_secs(5), problem)?;
        Ok(self)
    }

    /// How long keys are used after they were fetched when no fetch succeeds any more: the longest that a
    /// removed key can live on while its issuer is away. Default: 24 h.
    ///
    /// # Errors
    ///
    /// When it is less than 5 minutes, or more than 7 days.
    pub fn with_hard_limit(mut self, limit: Duration) -> Result<Self, ConfigError> {
        if limit < Duration::from_secs(5 * 60) {
            return Err(ConfigError::new(Part::RemoteKeys, "hard_limit", "must be at least 5 minutes"));
        }
        let problem = "must be at most 7 days";
        self.hard_limit =
            bounded(Part::RemoteKeys, "hard_limit", limit, Duration::from_secs(7 * 24 * 3600), problem)?;
        Ok(self)
    }

    /// Takes addresses of this machine without TLS: for development and tests. Default: https alone.
    pub fn with_insecure_loopback_http(mut self) -> Self {
        self.loopback_http = true;
        self
    }

    /// The clock that says when keys are fetched and how old they are. Default: the system's. What waits is
    /// measured by tokio.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Counts in this recorder instead of the one in force.
    #[cfg(feature = "metrics")]
    pub fn with_recorder(mut self, recorder: impl metrics::Recorder + Send + Sync + 'static) -> Self {
        self.telemetry.0.pin(recorder);
        self
    }

    /// Keys that `client` fetches: any tower service that speaks HTTP. It gets absolute `https` addresses, and
    /// answers within the timeout or is dropped; its redirects must not be followed further in.
    ///
    /// Nothing is fetched before the first request, [`ready`](RemoteKeys::ready) or [`run`](RemoteKeys::run).
    ///
    /// # Errors
    ///
    /// When the address is not an https address with a host, without user, password and fragment; an issuer must
    /// not have a query either. When no algorithm is accepted, or one of shared secrets: those are never
    /// fetched. When neither the feature `aws-lc-rs` nor `rust-crypto` is on, which verify signatures.
    pub fn build_with<C, B>(self, client: C) -> Result<RemoteKeys, ConfigError>
    where
        C: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        C::Error: Into<Box<dyn Error + Send + Sync>>,
        C::Future: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        crypto::check(Part::RemoteKeys)?;
        let loopback_http = self.loopback_http;
        let origin = match &self.address {
            Address::Keys(url) => {
                Origin::Keys(Endpoint::configured(Part::RemoteKeys, "jwks_url", url, loopback_http)?)
            }
            Address::Issuer(issuer) => Origin::Issuer(Issuer::new(issuer, loopback_http)?),
        };
        let mut algorithms = self.algorithms.iter().peekable();
        if algorithms.peek().is_none() || algorithms.any(|algorithm| algorithm.as_str().starts_with("HS")) {
            return Err(ConfigError::new(
                Part::RemoteKeys,
                "algorithms",
                "must be one or more, and none of shared secrets",
            ));
        }
        let telemetry = Telemetry(self.telemetry.0.named(origin.name()));
        let service = HttpService::new(client);
        let fetcher =
            Fetcher { origin, service, algorithms: self.algorithms, loopback_http, timeout: self.timeout };
        let Self { wait, hard_limit, clock, .. } = self;
        Ok(RemoteKeys::new(Settings { fetcher, wait, hard_limit, clock, telemetry }))
    }

    /// Keys that an [`HttpsClient`](crate::HttpsClient) fetches.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with), and when the operating system has no root certificates.
    #[cfg(feature = "https-client")]
    pub fn build(self) -> Result<RemoteKeys, ConfigError> {
        let client = crate::HttpsClient::configured(self.loopback_http)?;
        self.build_with(client)
    }
}

impl fmt::Debug for RemoteKeysBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the address: as long as it is not checked it may hold a password.
        f.debug_struct("RemoteKeysBuilder")
            .field("algorithms", &self.algorithms)
            .field("wait", &self.wait)
            .field("timeout", &self.timeout)
            .field("hard_limit", &self.hard_limit)
            .field("insecure_loopback_http", &self.loopback_http)
            .finish_non_exhaustive()
    }
}
