//! The service.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bartizan_core::{ClientAddr, Reason, Rejection, RequestContext, ResponseBody, ResponseFuture};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{ForwardedOrigin, MissingAddr, layer::Settings};

/// The service of [`ClientAddrLayer`](crate::ClientAddrLayer).
#[derive(Clone)]
pub struct ClientAddrService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> ClientAddrService<S> {
    pub(crate) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

impl<S: fmt::Debug> fmt::Debug for ClientAddrService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAddrService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ClientAddrService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let context = RequestContext::of(&mut request);
        // Where one is set, another layer of this kind stands further out, and has its reasons.
        if context.client_addr().is_none() && !self.settings.note(&context, &mut request) {
            self.settings.fault.report();
            if self.settings.missing == MissingAddr::Refuse {
                return ResponseFuture::refuse(refusal(), context.face());
            }
        }
        ResponseFuture::forward(self.inner.call(request))
    }
}

impl Settings {
    /// Notes where the request comes from; says whether that is known.
    fn note<B>(&self, context: &RequestContext, request: &mut Request<B>) -> bool {
        let peer = self.peer(request.extensions());
        let (addr, depth, origin) = match &self.forwarded {
            None => (peer, 0, None),
            Some((proxies, header)) => {
                let found = header.walk(proxies, peer, request.headers());
                let told = proxies.tell_origin() && proxies.trusts(0, peer);
                let origin = if told { header.origin(&found, request.headers()) } else { None };
                (found.addr, found.depth, origin)
            }
        };
        if let Some(origin) = origin {
            if let Some(scheme) = origin.scheme() {
                context.set_forwarded_scheme(scheme);
            }
            request.extensions_mut().insert::<ForwardedOrigin>(origin);
        }
        if let Some(addr) = addr {
            context.set_client_addr(ClientAddr::new(addr).with_ipv6_prefix(self.ipv6_prefix));
        }
        let source = match (addr, depth) {
            (None, _) => "missing",
            (Some(_), 0) => "peer",
            (Some(_), _) => "forwarded",
        };
        context.event().record("client_addr.source", source);
        addr.is_some()
    }
}

/// Not the caller's fault, and not one that waiting mends: the delay keeps clients from hammering.
#[cold]
fn refusal() -> Rejection {
    Rejection::new(Reason::DependencyUnavailable)
        .with_layer("client_addr")
        .with_cause("the request does not tell the address of its peer")
        .with_retry_after(Duration::from_secs(60))
}
