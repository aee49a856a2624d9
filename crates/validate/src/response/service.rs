//! The service.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bartizan_core::ResponseBody;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{ResponseMode, ResponseSchemaFuture, check::Asked, settings::Settings};
use crate::CheckedBody;

/// The service of [`ValidateResponseLayer`](crate::ValidateResponseLayer). Clones share the settings.
#[derive(Clone)]
pub struct ValidateResponse<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> ValidateResponse<S> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ValidateResponse<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body<Data: From<Bytes>, Error: Unpin> + Unpin,
{
    type Response = Response<ResponseBody<CheckedBody<ResBody>>>;
    type Error = S::Error;
    type Future = ResponseSchemaFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let checks = self.settings.mode != ResponseMode::Off;
        let check = checks.then(|| (Asked::of(&request), Arc::clone(&self.settings)));
        ResponseSchemaFuture::new(self.inner.call(request), check)
    }
}

impl<S: fmt::Debug> fmt::Debug for ValidateResponse<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateResponse")
            .field("inner", &self.inner)
            .field("settings", &self.settings)
            .finish()
    }
}
