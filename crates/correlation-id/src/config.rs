//! What a [`CorrelationIdLayer`](crate::CorrelationIdLayer) is told, checked.

use std::{fmt, sync::Arc};

use http::HeaderName;

/// The header of this request's id, unless the layer is told another: `x-request-id`.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header of the workflow's id, unless the layer is told another: `x-correlation-id`.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// Whether ids that come in with a request are believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trust {
    /// Callers are our own services: a valid id is taken as it is. The default.
    #[default]
    Internal,
    /// Callers are anyone: every id is replaced. What the caller sent is kept in the wide event, escaped and cut
    /// to 128 bytes, as `correlation_id.original_request_id` and `correlation_id.original_correlation_id`.
    Edge,
}

/// A setting of [`CorrelationIdLayer`](crate::CorrelationIdLayer) that can never work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is no header name, or the name of a header that already means something else to HTTP or gRPC.
    HeaderName {
        /// Which name: `request_id_header` or `correlation_id_header`.
        field: &'static str,
        /// What was given.
        name: String,
    },
    /// Both ids have the same header.
    SameHeader(HeaderName),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderName { field, name } => {
                write!(f, "{field}: {name:?} cannot be the name of a header that carries an id")
            }
            Self::SameHeader(name) => {
                write!(f, "correlation_id_header: `{name}` is the header of the request id already")
            }
        }
    }
}

impl std::error::Error for ConfigError {}

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
    // gRPC keeps `grpc-` for itself and reads a value under `-bin` as base64.
    name.starts_with("grpc-") || name.ends_with("-bin") || TAKEN.contains(&name)
}

const TAKEN: [&str; 29] = [
    "accept",
    "authorization",
    "baggage",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "location",
    "proxy-authorization",
    "retry-after",
    "set-cookie",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "www-authenticate",
    "x-forwarded-for",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cid_01_header_names_are_checked_where_they_are_set() {
        let names = Names::new("X-Amzn-RequestId", Some("workflow")).unwrap();
        assert_eq!(names.request(), "x-amzn-requestid");
        assert_eq!(names.correlation().unwrap(), "workflow");
        for bad in ["", "x request", "x-é", "Content-Length", "grpc-status", "id-bin", "traceparent"] {
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
}
