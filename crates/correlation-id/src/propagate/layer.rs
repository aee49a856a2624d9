//! The layer and its settings.

use std::{fmt, sync::Arc};

use bartizan_core::{ClientLayer, Clock, phase};
use http::HeaderName;
use tower_layer::Layer;

use super::{LogicalCallLayer, Propagate, authorities::Authorities, call::Mint};
use crate::{ConfigError, MakeId, names::Names};

/// Sends the ids, the trace and the allowed baggage of the request that is being served along with each outgoing
/// request.
///
/// ```
/// use bartizan_core::{CorrelationId, RequestContext, RequestId};
/// use bartizan_correlation_id::PropagateLayer;
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = PropagateLayer::new().layer(tower::service_fn(async |request: Request<()>| {
///     Ok::<_, std::convert::Infallible>(Response::new(request.into_parts().0.headers))
/// }));
///
/// // What `CorrelationIdLayer` does for the request that is being served.
/// let serving = RequestContext::of(&mut Request::new(()));
/// serving.set_request_id(RequestId::new("r-7")?);
/// serving.set_correlation_id(CorrelationId::new("w-1")?);
///
/// // The handler hands its context on. With the feature `scope` that is not needed.
/// let call = Request::get("http://stock.internal/").extension(serving.clone()).body(())?;
/// let sent = client.clone().oneshot(call).await?.into_body();
/// assert_eq!(sent["x-request-id"], "r-7");
/// assert_eq!(sent["x-correlation-id"], "w-1");
/// assert_eq!(sent["traceparent"].len(), 55);
///
/// // What the caller set by hand stays.
/// let call = Request::get("http://stock.internal/").extension(serving).header("x-request-id", "mine").body(())?;
/// let sent = client.oneshot(call).await?.into_body();
/// assert_eq!(sent["x-request-id"], "mine");
/// assert_eq!(sent["x-correlation-id"], "w-1");
/// # Ok(()) }
/// ```
///
/// # Whose ids
///
/// Those of the [`RequestContext`](bartizan_core::RequestContext) in the outgoing request's extensions, if there is
/// one that knows an id or a trace. Else those of the request that the running code serves (feature `scope`), also
/// in a task spawned with `bartizan_core::in_scope`. A call that belongs to no request begins a workflow and a
/// trace of its own; so does, for the half it lacks, one of a request that only one of the two server layers saw.
///
/// # What is sent
///
/// | header | value |
/// |---|---|
/// | `x-request-id` | the id of the request being served, the same on all its calls and further on: one id finds the lines of one request in the logs of every service |
/// | `x-correlation-id` | the id of the workflow |
/// | `traceparent` | the trace, with a new parent id for each request sent; over gRPC one for all attempts of a call, if a [`LogicalCallLayer`](crate::LogicalCallLayer) stands outside of the retries |
/// | `tracestate` | as it was received, if it was |
/// | `baggage` | the members that [`with_baggage`](Self::with_baggage) allows |
///
/// gRPC metadata is the same headers. A header that the caller set by hand stays as it is. A `traceparent` of the
/// caller's own also keeps ours of `tracestate` away, for the two speak of one trace.
///
/// A proxy that sends the request on that it received sends the headers in it too: give it
/// [`with_overwrite`](Self::with_overwrite).
///
/// # In a stack
///
/// Phase `client::Attempt`: inside of retries, so that each attempt has its own parent id. It needs nothing,
/// provides nothing, refuses nothing, and the response passes untouched.
///
/// Clones share their settings.
#[derive(Clone)]
#[must_use]
pub struct PropagateLayer {
    settings: Arc<Settings>,
}

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) names: Names,
    pub(super) mint: Mint,
    pub(super) overwrite: bool,
    /// `None`: everywhere.
    pub(super) authorities: Option<Authorities>,
    pub(super) baggage: Box<[Box<str>]>,
}

impl PropagateLayer {
    /// The layer with its defaults: the headers `x-request-id` and `x-correlation-id`, no baggage, sent everywhere,
    /// never over what the caller set.
    pub fn new() -> Self {
        Self {
            settings: Arc::new(Settings {
                names: Names::default(),
                mint: Mint::default(),
                overwrite: false,
                authorities: None,
                baggage: Box::default(),
            }),
        }
    }

    fn edit(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Sends the ids in these headers; without a second name, only the request id. Default:
    /// [`REQUEST_ID`](crate::REQUEST_ID) and [`CORRELATION_ID`](crate::CORRELATION_ID).
    ///
    /// # Errors
    ///
    /// When a text is no header name or the name of a header that means something else, or both are the same.
    pub fn with_headers(
        mut self,
        request_id: impl AsRef<str>,
        correlation_id: Option<&str>,
    ) -> Result<Self, ConfigError> {
        self.edit().names = Names::new(request_id.as_ref(), correlation_id)?;
        Ok(self)
    }

    /// Sends the baggage members with these keys on. Default: none, for anyone before us may have put anything into
    /// them, and everyone behind us can read them. Keys are told apart by case (W3C Baggage section 3.3.1).
    ///
    /// # Errors
    ///
    /// When a key is not a token (RFC 9110 section 5.6.2), and so the key of no member.
    pub fn with_baggage<I>(mut self, keys: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let key = |key: I::Item| {
            let key = key.into();
            // The name of a header is a token too.
            match HeaderName::from_bytes(key.as_bytes()) {
                Ok(_) => Ok(key.into_boxed_str()),
                Err(_) => Err(ConfigError::BaggageKey(key)),
            }
        };
        self.edit().baggage = keys.into_iter().map(key).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Sends anything to these authorities alone: `host` or `host:port`, in any case. Default: everywhere.
    ///
    /// Without a port, the default one of the request's scheme is meant. The authority is that of the request's
    /// URI, and that of its `host` header only if the URI has none. A request that names no authority goes
    /// nowhere known: give a generated gRPC client its own with `with_origin`.
    ///
    /// ```
    /// use bartizan_correlation_id::PropagateLayer;
    ///
    /// let ours = PropagateLayer::new().with_authorities(["stock.internal", "billing.internal:8443", "[::1]:50051"])?;
    /// assert!(PropagateLayer::new().with_authorities(["https://stock.internal"]).is_err());
    /// assert!(PropagateLayer::new().with_authorities(["*.internal"]).is_err());
    /// # Ok::<_, bartizan_correlation_id::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the list is empty, or an entry is no host name, address or `host:port`.
    pub fn with_authorities<I>(mut self, authorities: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.edit().authorities = Some(Authorities::new(authorities)?);
        Ok(self)
    }

    /// Whether what the request brings of these headers gives way to ours. Default: it stays.
    ///
    /// What we have none of, and what [`with_authorities`](Self::with_authorities) keeps here, is then removed. So is what
    /// was meant for the connection on which the request came (RFC 9110 section 7.6.1): `Connection` and all that it names,
    /// `Keep-Alive`, `Proxy-Connection`, `Transfer-Encoding`, `Upgrade`, and a `TE` that is not `trailers`. A proxy of
    /// connections that change their protocol sets its own further in.
    pub fn with_overwrite(mut self, overwrite: bool) -> Self {
        self.edit().overwrite = overwrite;
        self
    }

    /// Makes the ids of calls that belong to no request this way. Default: [`UuidV7`](crate::UuidV7).
    pub fn with_generator(mut self, generator: impl MakeId) -> Self {
        self.edit().mint.generator = Arc::new(generator);
        self
    }

    /// The share of the traces that begin with a call of ours which is sampled, from 0.0 to 1.0. Default: 1.0, all of
    /// them, as for [`TraceContextLayer`](crate::TraceContextLayer::with_sampled_share).
    ///
    /// # Errors
    ///
    /// When the share is not between 0 and 1.
    pub fn with_sampled_share(mut self, share: f64) -> Result<Self, ConfigError> {
        self.edit().mint.set_sampled_share(share)?;
        Ok(self)
    }

    /// The layer for the outside of the retries, which makes ids and traces of calls that belong to no request as this one
    /// is told to: its own are asked for no more then.
    pub fn of_calls(&self) -> LogicalCallLayer {
        LogicalCallLayer::minting(self.settings.mint.clone())
    }

    /// Reads the time for such ids from this clock. Default: the system's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.edit().mint.clock = clock;
        self
    }
}

impl Default for PropagateLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PropagateLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PropagateLayer")
            .field("request_id_header", self.settings.names.request())
            .field("correlation_id_header", &self.settings.names.correlation())
            .field("overwrite", &self.settings.overwrite)
            .field("authorities", &self.settings.authorities)
            .field("baggage", &self.settings.baggage)
            .finish_non_exhaustive()
    }
}

impl ClientLayer for PropagateLayer {
    type Phase = phase::client::Attempt;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        "propagate"
    }
}

impl<S> Layer<S> for PropagateLayer {
    type Service = Propagate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Propagate::new(inner, Arc::clone(&self.settings))
    }
}
