//! The service.

use std::{
    error::Error,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::{Face, Protocol, Rejection, RequestContext, ResponseBody};
use http::{HeaderMap, Request, Response, header};
use http_body::Body;
use tower_service::Service;

use crate::{
    UploadBody, UploadFuture, fault,
    form::Declared,
    policy::{Policy, Ticket},
};

/// The service of [`UploadLayer`](crate::UploadLayer). Clones share the settings.
#[derive(Clone)]
pub struct UploadService<S> {
    inner: S,
    policy: Arc<Policy>,
}

impl<S> UploadService<S> {
    pub(crate) fn new(inner: S, policy: Arc<Policy>) -> Self {
        Self { inner, policy }
    }

    /// The ticket for a form; `None` for what is no form. All that can be said before the body is polled (ERR-11).
    fn admit<B: Body>(&self, request: &Request<B>) -> Result<Option<Arc<Ticket>>, Rejection> {
        let boundary = match Declared::of(request.headers()) {
            Declared::Form(boundary) => boundary,
            Declared::Malformed => return Err(fault::boundary()),
            Declared::Other => {
                let refused = self.policy.forms_only && !request.body().is_end_stream();
                return if refused { Err(fault::unsupported()) } else { Ok(None) };
            }
        };
        let most = self.policy.limits.max_total();
        // A length is believed only where it is too large: the body is counted all the same.
        if request.body().size_hint().lower() > most {
            return Err(fault::too_large(most));
        }
        if !is_identity(request.headers()) {
            return Err(fault::coding());
        }
        let context = RequestContext::get(request.extensions()).cloned();
        Ok(Some(Arc::new(Ticket::new(Arc::clone(&self.policy), boundary, context))))
    }
}

/// Whether a body comes as it is. What a layer further out decoded, it says so of.
fn is_identity(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::CONTENT_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (None, _) => true,
        (Some(value), None) => value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"),
        (Some(_), Some(_)) => false,
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for UploadService<S>
where
    S: Service<Request<UploadBody<ReqBody>>, Response = Response<ResBody>>,
    ReqBody: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = UploadFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        if Protocol::of(&request).is_grpc() {
            return UploadFuture::pass(self.inner.call(request.map(UploadBody::untouched)));
        }
        match self.admit(&request) {
            Ok(None) => UploadFuture::pass(self.inner.call(request.map(UploadBody::untouched))),
            Ok(Some(ticket)) => {
                let face = Face::of(&request);
                // A layer further out leaves the form to this one, which is nearer to the handler.
                if let Some(outer) = request.extensions_mut().insert(Arc::clone(&ticket)) {
                    outer.open();
                }
                let request = request.map(|body| UploadBody::form(body, Arc::clone(&ticket)));
                UploadFuture::watch(self.inner.call(request), ticket, face)
            }
            Err(rejection) => {
                let context = RequestContext::get(request.extensions());
                self.policy.telemetry.failed(&rejection, context, false);
                UploadFuture::refuse(rejection, Face::of(&request))
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for UploadService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadService").field("inner", &self.inner).field("policy", &self.policy).finish()
    }
}
