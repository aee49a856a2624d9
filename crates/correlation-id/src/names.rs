//! The names of the headers: those that carry the ids are a setting, and checked.

use std::sync::Arc;

use http::HeaderName;

use crate::ConfigError;

/// The header of this request's id, unless the layer is told another: `x-request-id`.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header of the workflow's id, unless the layer is told another: `x-correlation-id`.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// The caller's place in a trace (W3C Trace Context).
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What the systems that follow the trace say of it (W3C Trace Context).
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What travels along for every service (W3C Baggage).
pub(crate) const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// The names of the two headers. The usual ones are the same for all layers, so that no request pays for a
/// count of references that all threads share.
#[derive(Clone, Debug)]
pub(crate) enum Names {
    Usual(&'static Pair),
    Own(Arc<Pair>),
}

#[derive(Debug)]
pub(crate) struct Pair {
    request: HeaderName,
    correlation: Option<HeaderName>,
}

static BOTH: Pair = Pair { request: REQUEST_ID, correlation: Some(CORRELATION_ID) };
static REQUEST_ONLY: Pair = Pair { request: REQUEST_ID, correlation: None };

impl Names {
    pub(crate) fn new(request: &str, correlation: Option<&str>) -> Result<Self, ConfigError> {
        let request = header_name("request_id_header", request)?;
        let correlation = correlation.map(|name| header_name("correlation_id_header", name)).transpose()?;
        match correlation {
            Some(name) if name == request => Err(ConfigError::SameHeader(name)),
            None if request == REQUEST_ID => Ok(Self::Usual(&REQUEST_ONLY)),
            correlation => Ok(Self::Own(Arc::new(Pair { request, correlation }))),
        }
    }

    /// The header of the request id.
    pub(crate) fn request(&self) -> &HeaderName {
        &self.pair().request
    }

    /// The header of the correlation id; `None` where only request ids travel.
    pub(crate) fn correlation(&self) -> Option<&HeaderName> {
        self.pair().correlation.as_ref()
    }

    fn pair(&self) -> &Pair {
        match self {
            Self::Usual(pair) => pair,
            Self::Own(pair) => pair,
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::Usual(&BOTH)
    }
}

fn header_name(field: &'static str, name: &str) -> Result<HeaderName, ConfigError> {
    HeaderName::from_bytes(name.as_bytes())
        .ok()
        .filter(|name| !is_taken(name.as_str()))
        .ok_or_else(|| ConfigError::HeaderName { field, name: name.to_owned() })
}

/// Whether HTTP, gRPC or W3C Trace Context gives the header another meaning.
fn is_taken(name: &str) -> bool {
    // gRPC keeps `grpc-` for itself and reads a value under `-bin` as base64; browsers keep `sec-` for themselves.
    let is_kept = name.starts_with("grpc-") || name.ends_with("-bin") || name.starts_with("sec-");
    is_kept || TAKEN.binary_search(&name).is_ok()
}

/// In order. The standard fields of HTTP, and what is as good as one: a request keeps them for what they mean, and
/// this layer replaces and overwrites what it does not like.
const TAKEN: [&str; 123] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-patch",
    "accept-post",
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-request-headers",
    "access-control-request-method",
    "age",
    "allow",
    "alt-svc",
    "alt-used",
    "authentication-info",
    "authorization",
    "b3",
    "baggage",
    "cache-control",
    "cache-status",
    "cdn-cache-control",
    "clear-site-data",
    "connection",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-security-policy-report-only",
    "content-type",
    "cookie",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "date",
    "deprecation",
    "dpop",
    "early-data",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-event-id",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "mime-version",
    "origin",
    "permissions-policy",
    "pragma",
    "prefer",
    "preference-applied",
    "priority",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "proxy-status",
    "range",
    "ratelimit",
    "ratelimit-policy",
    "referer",
    "referrer-policy",
    "refresh",
    "repr-digest",
    "retry-after",
    "server",
    "server-timing",
    "set-cookie",
    "signature",
    "signature-input",
    "strict-transport-security",
    "sunset",
    "te",
    "timing-allow-origin",
    "traceparent",
    "traceresponse",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "uber-trace-id",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "vary",
    "via",
    "want-content-digest",
    "want-repr-digest",
    "warning",
    "www-authenticate",
    "x-api-key",
    "x-b3-flags",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-content-type-options",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-frame-options",
    "x-real-ip",
    "x-xss-protection",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cid_01_header_names_are_checked_where_they_are_set() {
        let names = Names::new("X-Amzn-RequestId", Some("workflow")).unwrap();
        assert_eq!(names.request(), "x-amzn-requestid");
        assert_eq!(names.correlation().unwrap(), "workflow");
        for bad in [
            "",
            "x request",
            "x-é",
            "Content-Length",
            "grpc-status",
            "id-bin",
            "traceparent",
            "origin",
            "allow",
            "server",
            "idempotency-key",
            "user-agent",
            "range",
            "link",
            "accept-encoding",
            "sec-fetch-site",
            "x-api-key",
        ] {
            let error = Names::new(bad, None).unwrap_err();
            assert!(error.to_string().starts_with("request_id_header: "), "{error}");
            let error = Names::new("x-id", Some(bad)).unwrap_err();
            assert!(error.to_string().starts_with("correlation_id_header: "), "{error}");
        }
        let error = Names::new("x-id", Some("X-ID")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "correlation_id_header: `x-id` is the header of the request id already"
        );
    }

    #[test]
    fn the_names_that_are_taken_are_in_order() {
        assert!(TAKEN.is_sorted_by(|a, b| a < b));
        assert!(TAKEN.iter().all(|name| HeaderName::from_bytes(name.as_bytes()).unwrap() == *name));
    }
}
