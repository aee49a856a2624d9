//! The calls that a request asks for.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::State,
    http::{Request, StatusCode, Uri, header},
};
use bartizan::{
    Reason, Rejection, Stack,
    correlation_id::{Propagate, PropagateLayer},
    excerpt,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use tokio::time::timeout;
use tower::{Layer, ServiceExt};

/// The most calls that one request may ask for.
const MAX_CALLS: usize = 32;

/// How long one call may take.
const PER_CALL: Duration = Duration::from_secs(5);

/// How long all calls of a request may take.
const IN_ALL: Duration = Duration::from_secs(20);

/// The most bytes of an answer that are read; they are not looked at.
const MAX_ANSWER: usize = 64 * 1024;

/// One call, as the suite asks for it.
#[derive(Debug, Deserialize)]
struct Call {
    url: String,
    #[serde(default)]
    arguments: serde_json::Value,
}

/// The client behind its layers. Clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Propagate<Client<HttpConnector, Full<Bytes>>>);

impl Caller {
    pub(crate) fn new() -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self(Stack::client().push(PropagateLayer::new()).build().layer(client))
    }

    /// Sends `arguments` to `url`, and waits for the end of the answer, whatever it says.
    async fn call(&self, url: &Uri, arguments: &serde_json::Value) -> Result<(), Rejection> {
        let request = Request::post(url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(arguments.to_string()))
            .map_err(|error| unreachable_by_us(&error))?;
        let exchange = async {
            let answer = self.0.clone().oneshot(request).await.map_err(|error| unreachable_by_us(&error))?;
            // Read to its end, a connection can be used again. One with more to say is closed instead.
            let _ = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
            Ok(())
        };
        timeout(PER_CALL, exchange).await.unwrap_or_else(|_| Err(Rejection::new(Reason::DeadlineExceeded)))
    }
}

fn unreachable_by_us(error: &dyn std::error::Error) -> Rejection {
    Rejection::new(Reason::BadGateway)
        .with_detail("A call could not be made.")
        .with_cause(excerpt(&error.to_string()).into_owned())
}

/// `POST /test`
pub(crate) async fn make(State(caller): State<Caller>, body: Bytes) -> Result<StatusCode, Rejection> {
    let calls = read(&body)?;
    let all = async {
        for (url, arguments) in &calls {
            caller.call(url, arguments).await?;
        }
        Ok(StatusCode::OK)
    };
    timeout(IN_ALL, all).await.unwrap_or_else(|_| Err(Rejection::new(Reason::DeadlineExceeded)))
}

/// All that a request asks for, checked before the first call is made.
fn read(body: &[u8]) -> Result<Vec<(Uri, serde_json::Value)>, Rejection> {
    let calls: Vec<Call> = serde_json::from_slice(body).map_err(|error| {
        Rejection::new(if error.is_data() { Reason::SchemaViolation } else { Reason::MalformedRequest })
            .with_detail(excerpt(&error.to_string()).into_owned())
    })?;
    if calls.len() > MAX_CALLS {
        let detail = format!("More than {MAX_CALLS} calls in one request.");
        return Err(Rejection::new(Reason::SchemaViolation).with_detail(detail));
    }
    let checked = |(index, Call { url, arguments }): (usize, Call)| match url.parse::<Uri>() {
        Ok(url) if url.scheme_str() == Some("http") && url.host().is_some() => Ok((url, arguments)),
        _ => Err(Rejection::new(Reason::SchemaViolation)
            .with_detail(format!("The url of call {index} is no absolute http URL."))),
    };
    calls.into_iter().enumerate().map(checked).collect()
}
