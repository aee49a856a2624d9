//! A service under test, for those who only want answers.

use std::fmt;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::{
    Script, TestBody, TestError, TestService,
    prepare::{Kind, Prepare},
    suite::Subject,
};

/// A service of the layer under test, around one that answers every request with 200 and `ok`.
#[derive(Clone)]
pub struct Handle {
    service: TestService,
    accept: Prepare,
}

impl Handle {
    pub(crate) fn of(subject: &Subject, accept: &Prepare) -> Self {
        Self { service: subject.service(ok().service()), accept: accept.clone() }
    }

    /// Sends a GET that the layer accepts, and reads the whole response.
    ///
    /// # Panics
    ///
    /// When the service or the body fails.
    pub async fn accepted(&self) -> Response<Bytes> {
        let request = self.accept.apply(Kind::Get.head().map(|()| TestBody::empty()));
        self.send(request).await.expect("an accepted request is answered")
    }

    /// Sends `request` as it is, and reads the whole response.
    ///
    /// # Errors
    ///
    /// When the service or the body fails.
    pub async fn send(&self, request: Request<TestBody>) -> Result<Response<Bytes>, TestError> {
        let (parts, body) = self.service.clone().oneshot(request).await?.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// A script that answers every request with 200 and `ok`, without reading the request body.
pub(crate) fn ok() -> Script {
    Script::answering(async |_| Ok(Response::new(TestBody::full("ok"))))
}
