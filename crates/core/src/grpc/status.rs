//! A refusal as the error of a tonic handler.

use http::{HeaderMap, header};
use tonic::{Code, Status};

use crate::{Face, Protocol, Rejection, served};

/// A handler of a tonic service may return a refusal: `Err(rejection.into())`, or `?`.
///
/// Code, message, details and metadata are those of a layer's refusal, as small as every client takes them, with the id
/// of the request that is served where the feature `scope` tells it. The domain of its `ErrorInfo` is `bartizan`: that
/// of a [`ProblemLayer`](crate::ProblemLayer) is not known here. To the layers outside it is a status as any other of the
/// service's: no refusal of a layer, and not counted as one.
///
/// ```
/// use bartizan_core::{Reason, Rejection};
/// use tonic::{Code, Status};
///
/// fn reserve(left: u32) -> Result<u32, Status> {
///     left.checked_sub(1).ok_or_else(|| Rejection::new(Reason::RateLimited).with_detail("Nothing is left.").into())
/// }
/// let status = reserve(0).unwrap_err();
/// assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "Nothing is left."));
/// assert!(!status.details().is_empty());
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "tonic")))]
impl From<Rejection> for Status {
    #[cold]
    fn from(rejection: Rejection) -> Self {
        let request_id = served().and_then(|context| context.request_id().cloned());
        let face = Face { addressed: true, protocol: Protocol::Grpc, head: false, http1: false, request_id };
        let mut headers = head(rejection, &face);
        // tonic writes its own.
        headers.remove(header::CONTENT_TYPE);
        Self::from_header_map(&headers).unwrap_or_else(|| Self::new(Code::Unknown, ""))
    }
}

/// The head of the whole response.
fn head(rejection: Rejection, face: &Face) -> HeaderMap {
    rejection.into_response::<tonic::body::Body>(face).into_parts().0.headers
}
