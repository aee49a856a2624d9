//! The service.

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bartizan_core::{
    ClientAddr, Fault, Reason, Rejection, RequestContext, ResponseBody, ResponseFuture, peer_addr,
};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{MissingAddr, layer::Settings};

/// The service of [`ClientAddrLayer`](crate::ClientAddrLayer).
#[derive(Clone)]
pub struct ClientAddrService<S> {
    inner: S,
    settings: Settings,
    fault: Arc<Fault>,
}

impl<S> ClientAddrService<S> {
    pub(crate) fn new(inner: S, settings: Settings, fault: Arc<Fault>) -> Self {
        Self { inner, settings, fault }
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
        let peer = peer_addr(request.extensions());
        let context = RequestContext::of(&mut request);
        if !self.settings.note(&context, peer) {
            self.fault.report();
            if self.settings.missing == MissingAddr::Refuse {
                return ResponseFuture::refuse(refusal(), context.face());
            }
        }
        ResponseFuture::forward(self.inner.call(request))
    }
}

impl Settings {
    /// Notes where the request comes from; says whether that is known.
    fn note(&self, context: &RequestContext, peer: Option<IpAddr>) -> bool {
        if context.client_addr().is_some() {
            // Another layer of this kind stands further out, and has its reasons.
            return true;
        }
        let source = match peer {
            Some(ip) => {
                context.set_client_addr(ClientAddr::new(ip).with_ipv6_prefix(self.ipv6_prefix));
                "peer"
            }
            None => "missing",
        };
        context.event().record("client_addr.source", source);
        peer.is_some()
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
