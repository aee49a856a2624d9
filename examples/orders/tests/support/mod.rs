//! A running service, a client for it, and its log.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderMap, Request, StatusCode},
};
use bartizan::access_log::{AccessLogLayer, LogHandle};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use orders::{Orders, Supplier, Tokens};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What the access log wrote.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A running service.
pub(crate) struct Service {
    addr: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    log: Log,
    handle: LogHandle,
}

/// An answer, read to its end.
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The challenges, in their order.
    pub(crate) fn challenges(&self) -> Vec<&str> {
        self.headers.get_all("www-authenticate").iter().map(|line| line.to_str().unwrap()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body apart from the id.
    pub(crate) fn json_without_id(&self) -> Value {
        let mut body = self.json();
        body.as_object_mut().unwrap().remove("request_id").expect("every problem has the id");
        body
    }
}

async fn no_supplier(_: AccessLogLayer) -> String {
    "http://supplier.invalid".to_owned()
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_with(Router::new()).await
    }

    pub(crate) async fn start_with(more: Router<Orders>) -> Self {
        Self::start_all(more, Tokens::development().unwrap(), no_supplier).await
    }

    /// With tokens other than the development ones.
    pub(crate) async fn start_accepting(tokens: Tokens) -> Self {
        Self::start_all(Router::new(), tokens, no_supplier).await
    }

    /// With the supplier at the URL that `supplier` returns; it may share the log.
    pub(crate) async fn start_calling<F>(supplier: impl FnOnce(AccessLogLayer) -> F) -> Self
    where
        F: Future<Output = String>,
    {
        Self::start_all(Router::new(), Tokens::development().unwrap(), supplier).await
    }

    async fn start_all<F>(
        more: Router<Orders>,
        tokens: Tokens,
        supplier: impl FnOnce(AccessLogLayer) -> F,
    ) -> Self
    where
        F: Future<Output = String>,
    {
        let log = Log::default();
        let layer = AccessLogLayer::json(log.clone());
        let handle = layer.handle();
        let supplier = Supplier::new(&supplier(layer.clone()).await).unwrap();
        let app = orders::app_with(layer, supplier, None, tokens, more).unwrap().router;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>());
        tokio::spawn(server.into_future());
        Self { addr, client: Client::builder(TokioExecutor::new()).build_http(), log, handle }
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.addr));
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_owned())).unwrap();
        let (parts, body) = self.client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str, key: Option<&str>) -> Reply {
        self.send("GET", path, key, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, key: Option<&str>, json: &str) -> Reply {
        self.send("POST", path, key, &[("content-type", "application/json")], json).await
    }

    pub(crate) async fn get_with_token(&self, path: &str, token: &str) -> Reply {
        self.send("GET", path, None, &[("authorization", &format!("Bearer {token}"))], "").await
    }

    /// The same request so many times at once.
    pub(crate) async fn many(&self, count: usize, path: &str, key: &str) -> Vec<Reply> {
        let mut replies = Vec::new();
        let all = (0..count).map(|_| self.get(path, Some(key)));
        let mut all: Vec<_> = all.map(Box::pin).collect();
        std::future::poll_fn(|cx| {
            all.retain_mut(|reply| match reply.as_mut().poll(cx) {
                std::task::Poll::Ready(reply) => {
                    replies.push(reply);
                    false
                }
                std::task::Poll::Pending => true,
            });
            if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        replies
    }

    /// Sends a request and closes the connection before the answer.
    pub(crate) async fn send_and_leave(&self, path: &str, key: &str) {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: orders\r\nx-api-key: {key}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // The service has the request once another one, sent later, was answered.
        assert_eq!(self.get("/health", None).await.status, StatusCode::OK);
        drop(stream);
    }

    /// Sends a part of a body, and no more: everything that comes until the service closes the connection.
    pub(crate) async fn post_without_end(&self, path: &str, key: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: orders\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len() + 1
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        reply
    }

    /// The one line of the log that has the id of `reply`.
    pub(crate) async fn log_line(&self, reply: &Reply) -> Value {
        let id = reply.header("x-request-id").expect("every answer has an id");
        self.log_line_where(|line| line["request_id"] == id).await
    }

    /// The one line of the log that fits, once it is there.
    pub(crate) async fn log_line_where(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let mut lines = self.lines_where(&fits).await;
                assert!(lines.len() <= 1, "one line per request: {lines:?}");
                match lines.pop() {
                    Some(line) => return line,
                    // The server settles a request just after its last byte went out.
                    None => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), found).await.expect("the line is written")
    }

    /// The lines of the log that fit, of those that are there.
    pub(crate) async fn lines_where(&self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let handle = self.handle.clone();
        tokio::task::spawn_blocking(move || handle.flush(Duration::from_secs(5))).await.unwrap().unwrap();
        let text = String::from_utf8(self.log.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
        lines.filter(&fits).collect()
    }
}
