//! Prices, for which another service is asked.

use std::{error::Error, fmt, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{Request, Response, StatusCode, Uri, uri::Authority},
};
use bartizan::{
    Clock, Description, Reason, Recommended, Rejection, Stack,
    circuit_breaker::{BreakerPolicy, BreakerReport, CircuitBreakerHandle},
    deadline::BodyTimedOut,
    excerpt, retry_after,
};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{self, Client},
    rt::TokioExecutor,
};
use serde::{Deserialize, Serialize};
use tower::{Layer, ServiceExt, util::BoxCloneSyncService};

/// How long a price may take, with all attempts, from the first connection to the last byte.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long each attempt may take.
const ATTEMPT: Duration = Duration::from_secs(1);

/// When a caller may try again, where the supplier does not say.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The longest that a supplier makes our callers wait.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// The most attempts under way at once.
const AT_ONCE: u32 = 64;

/// The most bytes of an answer of the supplier.
const MAX_ANSWER: usize = 4 * 1024;

/// What a product costs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Quote {
    pub(crate) sku: String,
    pub(crate) price_cents: u64,
}

/// The supplier, as a client sees it. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Supplier {
    client: BoxCloneSyncService<Request<Empty<Bytes>>, Response<Body>, legacy::Error>,
    /// Without a slash at its end.
    base: String,
    stack: Description,
    breakers: CircuitBreakerHandle,
}

/// A URL that no supplier can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupplierUrlError(String);

impl fmt::Display for SupplierUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no URL like http://host:port", self.0)
    }
}

impl Error for SupplierUrlError {}

impl Supplier {
    /// The supplier at `url`: `http://host[:port][/path]`.
    ///
    /// # Errors
    ///
    /// When the URL is another one.
    ///
    /// # Panics
    ///
    /// When the stack of its client cannot be built; its settings are constants, so that a test would have found it.
    pub fn new(url: &str) -> Result<Self, SupplierUrlError> {
        let is_reachable = |authority: &Authority| match authority.port_u16() {
            Some(port) => port != 0 && !authority.host().is_empty() && !authority.as_str().contains('@'),
            // More than a host is then a user, or no port.
            None => authority.as_str() == authority.host(),
        };
        let is_good = |uri: &Uri| {
            uri.scheme_str() == Some("http")
                && uri.authority().is_some_and(is_reachable)
                && uri.query().is_none()
                // `Uri` forgets a fragment.
                && !url.contains('#')
        };
        url.parse().ok().filter(is_good).ok_or_else(|| SupplierUrlError(url.to_owned()))?;
        let settings = settings().expect("the settings are constants");
        let breakers = settings.breakers();
        let stack = Stack::client().recommended_with(settings);
        let described = stack.describe();
        let client = stack.build().layer(Client::builder(TokioExecutor::new()).build_http());
        let client = BoxCloneSyncService::new(client.map_response(|answer| answer.map(Body::new)));
        Ok(Self { client, base: url.trim_end_matches('/').to_owned(), stack: described, breakers })
    }

    /// The circuit breakers before the supplier, one for each host that was called.
    #[must_use]
    pub fn breakers(&self) -> Vec<BreakerReport> {
        self.breakers.report()
    }

    /// The effective order of the layers around the client, outside to inside.
    pub(crate) fn stack(&self) -> &Description {
        &self.stack
    }

    /// Asks for a price. Whatever goes wrong, the caller learns nothing of the supplier but that.
    async fn quote(&self, sku: &str) -> Result<Quote, Rejection> {
        let request = Request::get(format!("{}/quotes/{sku}", self.base))
            .body(Empty::new())
            .map_err(|error| answered_wrongly(&error.to_string()))?;
        let answer = self.client.clone().oneshot(request).await.map_err(|error| {
            if error.is_connect() {
                away(RETRY_AFTER, "the supplier cannot be reached")
            } else {
                answered_wrongly(&error.to_string())
            }
        })?;
        // A layer of the client answered in the supplier's place: out of time, or the breaker is open.
        if let Some(refusal) = answer.extensions().get::<Rejection>() {
            return Err(refusal.clone());
        }
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(no_such_product()),
            StatusCode::SERVICE_UNAVAILABLE => {
                let asked =
                    retry_after(answer.headers(), Clock::system().wall()).filter(|wait| !wait.is_zero());
                return Err(away(
                    asked.map_or(RETRY_AFTER, |wait| wait.min(MAX_RETRY_AFTER)),
                    "the supplier is away",
                ));
            }
            other => return Err(answered_wrongly(&format!("status {}", other.as_u16()))),
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| broken_off(&*error))?.to_bytes();
        let quote: Quote =
            serde_json::from_slice(&body).map_err(|error| answered_wrongly(&error.to_string()))?;
        if quote.sku != sku {
            return Err(answered_wrongly("a quote for another product"));
        }
        Ok(quote)
    }
}

/// The breaker opens when more than half of the attempts failed: of a supplier that fails every second time, retries
/// still make a good one.
fn settings() -> Result<Recommended, Box<dyn Error>> {
    let breaker = BreakerPolicy::new()
        .with_time_window(Duration::from_secs(10), 10)?
        .with_minimum_calls(10)?
        .with_failure_rate_above(50.0)?
        .with_open_time(Duration::from_secs(5))?;
    Ok(Recommended::new("supplier")?
        .with_total_timeout(PATIENCE)?
        .with_attempt_timeout(ATTEMPT)?
        .with_bulkhead(AT_ONCE)?
        .with_breaker(breaker))
}

/// `why` is for the log alone.
fn away(wait: Duration, why: &'static str) -> Rejection {
    Rejection::new(Reason::DependencyUnavailable).with_retry_after(wait).with_cause(why)
}

/// `why` is for the log alone.
fn answered_wrongly(why: &str) -> Rejection {
    Rejection::new(Reason::BadGateway).with_cause(format!("the supplier answered wrongly: {}", excerpt(why)))
}

/// An answer that did not come whole.
fn broken_off(error: &(dyn Error + 'static)) -> Rejection {
    if std::iter::successors(Some(error), |&error| error.source()).any(|error| error.is::<BodyTimedOut>()) {
        Rejection::new(Reason::DeadlineExceeded).with_cause("the supplier took too long")
    } else {
        answered_wrongly(&error.to_string())
    }
}

fn no_such_product() -> Rejection {
    Rejection::new(Reason::RouteNotFound).with_detail("There is no such product.")
}

/// `GET /v1/quotes/{sku}`
pub(crate) async fn quote(
    State(supplier): State<Supplier>,
    Path(sku): Path<String>,
) -> Result<Json<Quote>, Rejection> {
    if !is_sku(&sku) {
        return Err(no_such_product());
    }
    supplier.quote(&sku).await.map(Json)
}

/// Whether the text can be a path segment of the supplier's as it is: no other path is asked for on a caller's word.
fn is_sku(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && text.bytes().any(|byte| byte != b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_is_one_plain_path_segment() {
        let longest = "x".repeat(64);
        for good in ["sku-1", "A_b.9", "a..b", longest.as_str()] {
            assert!(is_sku(good), "{good}");
        }
        let too_long = "x".repeat(65);
        for bad in ["", ".", "..", "a/b", "a%2fb", "a?b", "a b", "ä", "a\n", too_long.as_str()] {
            assert!(!is_sku(bad), "{bad}");
        }
    }

    #[test]
    fn a_supplier_has_an_http_url() {
        for good in ["http://127.0.0.1:4000", "http://supplier.internal/", "http://supplier.internal/v2/"] {
            assert!(Supplier::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "supplier",
            "/quotes",
            "https://supplier.internal",
            "http://a/?b",
            "http://me@a",
            "ftp://a",
            "http://a/#b",
            "http://a:99999",
            "http://a:",
            "http://:80",
            "http://a:0",
        ] {
            assert_eq!(Supplier::new(bad).unwrap_err(), SupplierUrlError(bad.to_owned()));
        }
    }
}
