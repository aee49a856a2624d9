//! What others put into requests and responses survives: extensions, headers, the status.

use http::{HeaderName, HeaderValue, Response, StatusCode};
use tower_service::Service;

use crate::{
    Probe, Script, TestBody,
    drive::{answer, reached, ready},
    prepare::Kind,
    rule::ensure,
    suite::Suite,
};

#[derive(Clone, Debug, PartialEq)]
struct Foreign(&'static str);

const HEADER: HeaderName = HeaderName::from_static("x-bartizan-testkit");
const VALUE: HeaderValue = HeaderValue::from_static("foreign");

pub(crate) async fn extensions(suite: &Suite) {
    for kind in Kind::ALL {
        let script = Script::ready();
        let mut service = (suite.make)().service(script.service());
        let probe = Probe::new();
        ready(&probe, &mut service).await;
        let mut request = suite.request(kind, TestBody::empty());
        request.extensions_mut().insert(Foreign("request"));
        request.headers_mut().insert(HEADER, VALUE);
        let (method, uri) = (request.method().clone(), request.uri().clone());

        let mut future = service.call(request);
        let call = reached(&probe, &script, &mut future).await;
        let request = &call.request;
        ensure!(
            request.extensions().get() == Some(&Foreign("request")),
            Extensions,
            "{kind:?}: a foreign extension of the request does not reach the inner service"
        );
        ensure!(
            request.headers().get(HEADER) == Some(&VALUE),
            Extensions,
            "{kind:?}: a foreign header of the request does not reach the inner service"
        );
        ensure!(
            (request.method(), request.uri()) == (&method, &uri),
            Extensions,
            "{kind:?}: {method} {uri} reaches the inner service as {} {}",
            request.method(),
            request.uri()
        );

        let mut inner = Response::new(TestBody::empty());
        *inner.status_mut() = StatusCode::ACCEPTED;
        inner.extensions_mut().insert(Foreign("response"));
        inner.headers_mut().insert(HEADER, VALUE);
        call.reply.send(Ok(inner));
        let response = answer(&probe, &mut future).await;
        ensure!(
            response.extensions().get() == Some(&Foreign("response")),
            Extensions,
            "{kind:?}: a foreign extension of the response is lost"
        );
        ensure!(
            response.headers().get(HEADER) == Some(&VALUE),
            Extensions,
            "{kind:?}: a foreign header of the response is lost"
        );
        ensure!(
            response.status() == StatusCode::ACCEPTED,
            Extensions,
            "{kind:?}: the inner service answers 202, and the layer {}",
            response.status()
        );
    }
}
