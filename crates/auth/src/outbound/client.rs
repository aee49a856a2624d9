//! One HTTP exchange with a server that is not trusted to be quick, small or sane.

use std::{error::Error, fmt, future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tokio::time::timeout;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// What is sent, and what of the answer is read.
pub(crate) struct Fetch {
    pub(crate) request: Request<Full<Bytes>>,
    /// For the whole of it, from the connection to the last byte.
    pub(crate) timeout: Duration,
    /// The most bytes of a body.
    pub(crate) max_bytes: usize,
    /// Whose bodies are read. Others are not waited for, and empty.
    pub(crate) reads: fn(StatusCode) -> bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum FetchError {
    TimedOut,
    TooLarge,
    Failed(BoxError),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "the server took too long",
            Self::TooLarge => "the answer is too large",
            Self::Failed(_) => "the exchange with the server failed",
        })
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(&**error),
            _ => None,
        }
    }
}

/// A tower service of any type that speaks HTTP. Boxed: it is used once in minutes.
#[derive(Clone)]
pub(crate) struct HttpService(Arc<dyn Exchange>);

impl HttpService {
    pub(crate) fn new<C, B>(service: C) -> Self
    where
        C: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        C::Error: Into<BoxError>,
        C::Future: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        Self(Arc::new(service))
    }

    pub(crate) async fn fetch(&self, fetch: Fetch) -> Result<Response<Bytes>, FetchError> {
        let Fetch { request, timeout: limit, max_bytes, reads } = fetch;
        timeout(limit, self.0.exchange(request, max_bytes, reads)).await.unwrap_or(Err(FetchError::TimedOut))
    }
}

type Exchanged<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, FetchError>> + Send + 'a>>;

trait Exchange: Send + Sync {
    fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        max_bytes: usize,
        reads: fn(StatusCode) -> bool,
    ) -> Exchanged<'_>;
}

impl<C, B> Exchange for C
where
    C: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync,
    C::Error: Into<BoxError>,
    C::Future: Send,
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        max_bytes: usize,
        reads: fn(StatusCode) -> bool,
    ) -> Exchanged<'_> {
        let mut service = self.clone();
        Box::pin(async move {
            let failed = |error: C::Error| FetchError::Failed(error.into());
            poll_fn(|cx| service.poll_ready(cx)).await.map_err(failed)?;
            let (parts, body) = service.call(request).await.map_err(failed)?.into_parts();
            if !reads(parts.status) {
                return Ok(Response::from_parts(parts, Bytes::new()));
            }
            let body = Limited::new(body, max_bytes).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() { FetchError::TooLarge } else { FetchError::Failed(error) }
            })?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        })
    }
}
