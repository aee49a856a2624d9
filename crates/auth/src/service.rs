//! The service behind an [`ApiKeyLayer`](crate::ApiKeyLayer).

use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::ResponseBody;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{
    ApiKeyFuture, AsyncKeyStore, CachedKeys, HeldFuture, KeyStore, Presence, admit::Shared, layer::Required,
};

/// Service of [`ApiKeyLayer`](crate::ApiKeyLayer). Clones share the store.
pub struct ApiKeyService<S, K, P = Required> {
    inner: S,
    shared: Arc<Shared<K>>,
    presence: PhantomData<fn() -> P>,
}

impl<S, K, P> ApiKeyService<S, K, P> {
    pub(crate) fn new(inner: S, shared: Arc<Shared<K>>) -> Self {
        Self { inner, shared, presence: PhantomData }
    }
}

impl<S: Clone, K, P> Clone for ApiKeyService<S, K, P> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.shared))
    }
}

impl<S: fmt::Debug, K, P> fmt::Debug for ApiKeyService<S, K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, K, P, ReqBody, ResBody> Service<Request<ReqBody>> for ApiKeyService<S, K, P>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    K: KeyStore,
    P: Presence,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ApiKeyFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        self.shared.call(&mut self.inner, request, P::OPTIONAL)
    }
}

/// With a store that must be waited for. What it remembers is answered without waiting.
impl<S, A, P, ReqBody, ResBody> Service<Request<ReqBody>> for ApiKeyService<S, CachedKeys<A>, P>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    A: AsyncKeyStore,
    P: Presence,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = HeldFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        Shared::call_cached(&self.shared, &mut self.inner, request, P::OPTIONAL)
    }
}
