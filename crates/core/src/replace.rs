//! A response that becomes a refusal, or whose refusal is rendered again.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, header};
use http_body::Body;

use crate::{Protocol, Rejection, RequestContext, ResponseBody, catch::catch, problem};

/// A refusal found in a response on its way out.
pub(crate) struct Carried {
    /// The refusal, under the status that the response has by now.
    pub(crate) rejection: Rejection,
    /// Whether what was rendered does not fit the request or the status, so that it must be rendered again.
    pub(crate) is_stale: bool,
}

/// The refusal that `response` is the rendering of.
///
/// None when a layer in between answered something else instead, say a redirect to a login page or a page of its
/// own, and only left the extension: that is not ours to change.
pub(crate) fn carried<B>(response: &Response<B>, context: &RequestContext) -> Option<Carried> {
    let rejection = response.extensions().get::<Rejection>()?;
    let protocol = context.protocol();
    // A handler may hand on the refusal of a call that it made, which has no id, or that of the call.
    let is_anothers = context.request_id().is_some_and(|id| rejection.request_id() != Some(id));
    let is_stale = !rejection.is_addressed() || is_anothers;
    if Protocol::from_headers(response.headers()).is_grpc() {
        return Some(Carried { rejection: rejection.clone(), is_stale: is_stale || !protocol.is_grpc() });
    }
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || !problem::is_problem(response.headers()) {
        return None;
    }
    let is_stale = is_stale || protocol.is_grpc();
    Some(if status == rejection.reason().status() {
        Carried { rejection: rejection.clone(), is_stale }
    } else {
        // A layer in between chose another status; the body must not contradict it.
        Carried { rejection: rejection.clone().with_status(status), is_stale: true }
    })
}

/// Answers with what `render` makes of `rejection`, keeping the extensions of `response` and those of its headers
/// that do not speak of its body. The refusal's own headers are expected among them.
pub(crate) fn replace<B: Body>(
    response: Response<B>,
    rejection: Rejection,
    render: impl FnOnce(Rejection, HeaderMap) -> Response<Option<Bytes>>,
) -> Response<ResponseBody<B>> {
    let (mut parts, body) = response.into_parts();
    finish(body);
    let shown = parts.extensions.get::<Rejection>().unwrap_or(&rejection);
    shown.strip_rendering(&mut parts.headers);
    for name in DESCRIBES_THE_BODY {
        parts.headers.remove(name);
    }
    let (mut rendered, body) = render(rejection, parts.headers).into_parts();
    parts.extensions.extend(std::mem::take(&mut rendered.extensions));
    rendered.extensions = parts.extensions;
    Response::from_parts(rendered, ResponseBody::full(body))
}

/// Reads what is there of a body that is not going to be sent.
///
/// An observer further in would take a body dropped unread for a client that left, and a failure for nothing.
pub(crate) fn finish<B: Body>(body: B) {
    /// A refusal or an error page is one frame; whoever sends more is not waited for.
    const MAX_FRAMES: usize = 32;
    if body.is_end_stream() {
        return;
    }
    // A body that panics tells its observer so, and is of no use to anyone else.
    let _ = catch(|| {
        let mut body = pin!(body);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..MAX_FRAMES {
            let Poll::Ready(Some(Ok(_))) = body.as_mut().poll_frame(&mut cx) else { break };
        }
    });
}

/// Fields that spoke of the body that is gone. `Content-Range` is not among them: in a 416 it tells the length of
/// the resource (RFC 9110 section 15.5.17).
const DESCRIBES_THE_BODY: [HeaderName; 10] = [
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    header::ETAG,
    header::LAST_MODIFIED,
    header::TRAILER,
    header::TRANSFER_ENCODING,
];
