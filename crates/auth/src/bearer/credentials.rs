//! Who asks for tokens, for what, and where.

use std::{error::Error, fmt, time::Duration};

use bartizan_core::Clock;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use form_urlencoded::{Serializer, byte_serialize};
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;
use zeroize::Zeroizing;

use super::{
    telemetry::Telemetry,
    tokens::{ClientTokens, Settings},
};
use crate::{
    ConfigError,
    error::Part,
    outbound::{Endpoint, HttpService, bounded},
};

/// What a service authenticates with at a token endpoint to act as itself: client credentials (RFC 6749 section
/// 4.4).
///
/// The id and the secret go into the `Authorization` header, encoded as RFC 6749 section 2.3.1 wants it.
#[derive(Clone)]
#[must_use = "no token is asked for until it is built"]
pub struct ClientCredentials {
    token_url: String,
    client_id: String,
    client_secret: Zeroizing<String>,
    in_body: bool,
    scope: Option<String>,
    audience: Option<String>,
    resources: Vec<String>,
    wait: Duration,
    timeout: Duration,
    loopback_http: bool,
    clock: Clock,
    telemetry: Telemetry,
}

impl ClientCredentials {
    /// A client and its secret, for the token endpoint at this https address.
    pub fn new(
        token_url: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Self {
        Self {
            token_url: token_url.into(),
            client_id: client_id.into(),
            client_secret: Zeroizing::new(client_secret.into()),
            in_body: false,
            scope: None,
            audience: None,
            resources: Vec::new(),
            wait: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            loopback_http: false,
            clock: Clock::system(),
            telemetry: Telemetry::default(),
        }
    }

    /// The scopes asked for, separated by single spaces. Default: none are named, and the server decides.
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// For whom the token is, where servers want that as `audience`. Default: not said.
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// For whom the token is, as RFC 8707 says it: an absolute address. Call it once for each. Default: not said.
    pub fn with_resource(mut self, resource: impl Into<String>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// Sends the id and the secret in the body (`client_secret_post`), for servers that take them there alone.
    /// Default: in the header (`client_secret_basic`), which logs and proxies know to hide.
    pub fn with_secret_in_body(mut self) -> Self {
        self.in_body = true;
        self
    }

    /// How long a request waits at most for a token when there is none. Default: 5 s.
    ///
    /// # Errors
    ///
    /// When it is zero, or more than 30 s.
    pub fn with_wait(mut self, wait: Duration) -> Result<Self, ConfigError> {
        let problem = "must be more than nothing and at most 30 s";
        self.wait = bounded(Part::ClientCredentials, "wait", wait, Duration::from_secs(30), problem)?;
        Ok(self)
    }

    /// How long the exchange with the token endpoint takes at most, from the connection to the last byte.
    /// Default: 5 s.
    ///
    /// # Errors
    ///
    /// When it is zero, or more than 30 s.
    pub fn with_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        let problem = "must be more than nothing and at most 30 s";
        self.timeout =
            bounded(Part::ClientCredentials, "timeout", timeout, Duration::from_secs(30), problem)?;
        Ok(self)
    }

    /// Takes addresses of this machine without TLS, for the token endpoint and for the origins that get the
    /// token: for development and tests. Default: https alone.
    pub fn with_insecure_loopback_http(mut self) -> Self {
        self.loopback_http = true;
        self
    }

    /// The clock that says when a token expires. Default: the system's. What waits is measured by tokio.
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

    /// Tokens that `client` asks for: any tower service that speaks HTTP. It must not follow redirects.
    ///
    /// Nothing is asked for before the first request.
    ///
    /// # Errors
    ///
    /// When the address is not an https address with a host, without user, password and fragment; when the id or
    /// the secret is empty, or holds anything but printable ASCII; when the scope is not words separated by
    /// single spaces; when a resource is not an absolute address without fragment.
    pub fn build_with<C, B>(self, client: C) -> Result<ClientTokens, ConfigError>
    where
        C: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        C::Error: Into<Box<dyn Error + Send + Sync>>,
        C::Future: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let endpoint =
            Endpoint::configured(Part::ClientCredentials, "token_url", &self.token_url, self.loopback_http)?;
        self.check()?;
        let (authorization, form) = (self.authorization()?, self.form());
        let telemetry = Telemetry(self.telemetry.0.named(endpoint.name()));
        let service = HttpService::new(client);
        let Self { wait, timeout, loopback_http, clock, .. } = self;
        Ok(ClientTokens::new(Settings {
            service,
            endpoint,
            authorization,
            form,
            wait,
            timeout,
            loopback_http,
            clock,
            telemetry,
        }))
    }

    /// Tokens that an [`HttpsClient`](crate::HttpsClient) asks for.
    ///
    /// # Errors
    ///
    /// As [`build_with`](Self::build_with), and when the operating system has no root certificates.
    #[cfg(feature = "https-client")]
    pub fn build(self) -> Result<ClientTokens, ConfigError> {
        let client = crate::HttpsClient::configured(self.loopback_http)?;
        self.build_with(client)
    }

    fn check(&self) -> Result<(), ConfigError> {
        // RFC 6749 appendix A.1 and A.2.
        let is_printable =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        for (field, text) in [("client_id", &self.client_id), ("client_secret", &*self.client_secret)] {
            if !is_printable(text) {
                return Err(ConfigError::new(
                    Part::ClientCredentials,
                    field,
                    "must be printable ASCII, and not empty",
                ));
            }
        }
        // Appendix A.4.
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        };
        if self.scope.as_ref().is_some_and(|scope| !scope.split(' ').all(is_word)) {
            return Err(ConfigError::new(
                Part::ClientCredentials,
                "scope",
                "must be words separated by single spaces",
            ));
        }
        if self.audience.as_ref().is_some_and(String::is_empty) {
            return Err(ConfigError::new(Part::ClientCredentials, "audience", "must not be empty"));
        }
        for (index, resource) in self.resources.iter().enumerate() {
            // RFC 8707 section 2.
            if resource.contains('#') || resource.parse().is_ok_and(|uri: http::Uri| uri.scheme().is_none()) {
                let problem = "must be an absolute address without fragment";
                return Err(ConfigError::new(
                    Part::ClientCredentials,
                    format!("resources[{index}]"),
                    problem,
                ));
            }
        }
        Ok(())
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, ConfigError> {
        if self.in_body {
            return Ok(None);
        }
        let encode = |text: &str| Zeroizing::new(byte_serialize(text.as_bytes()).collect::<String>());
        let (id, secret) = (encode(&self.client_id), encode(&self.client_secret));
        let pair = Zeroizing::new(format!("{}:{}", *id, *secret));
        let value = Zeroizing::new(format!("Basic {}", *Zeroizing::new(BASE64_STANDARD.encode(&*pair))));
        let mut value = HeaderValue::from_str(&value).map_err(|_| {
            ConfigError::new(Part::ClientCredentials, "client_secret", "does not fit into a header")
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn form(&self) -> Bytes {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if self.in_body {
            form.append_pair("client_id", &self.client_id);
            form.append_pair("client_secret", &self.client_secret);
        }
        if let Some(scope) = &self.scope {
            form.append_pair("scope", scope);
        }
        if let Some(audience) = &self.audience {
            form.append_pair("audience", audience);
        }
        for resource in &self.resources {
            form.append_pair("resource", resource);
        }
        form.finish().into()
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the address: as long as it is not checked it may hold a password.
        f.debug_struct("ClientCredentials")
            .field("client_id", &self.client_id)
            .field("secret_in_body", &self.in_body)
            .field("scope", &self.scope)
            .field("audience", &self.audience)
            .field("resources", &self.resources)
            .finish_non_exhaustive()
    }
}

/// What every request to a token endpoint has in common.
pub(super) fn request(settings: &Settings) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(settings.form.clone()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = settings.endpoint.uri().clone();
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(value) = &settings.authorization {
        headers.insert(header::AUTHORIZATION, value.clone());
    }
    request
}
