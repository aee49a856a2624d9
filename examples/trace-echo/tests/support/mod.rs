//! The service, and a harness that it calls back.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Path, State},
    http::HeaderMap,
    routing::post,
};
use bartizan::access_log::AccessLogLayer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What came back, by the name of the callback.
type Calls = Arc<Mutex<HashMap<String, (HeaderMap, String)>>>;

pub(crate) struct Harness {
    pub(crate) service: SocketAddr,
    pub(crate) callbacks: SocketAddr,
    calls: Calls,
}

/// A `traceparent`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Parent {
    pub(crate) trace: String,
    pub(crate) span: String,
    pub(crate) flags: String,
}

/// What one callback carried.
pub(crate) struct Callback {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Callback {
    /// The one `traceparent`, which must be valid.
    #[track_caller]
    pub(crate) fn parent(&self) -> Parent {
        let lines: Vec<_> = self.headers.get_all("traceparent").iter().collect();
        let [line] = lines[..] else { panic!("one traceparent: {lines:?}") };
        let fields: Vec<_> = line.to_str().unwrap().split('-').collect();
        let ["00", trace, span, flags] = fields[..] else { panic!("version 00: {line:?}") };
        let is_hex = |text: &str, len| {
            text.len() == len && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        assert!(is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2), "{line:?}");
        assert!(trace != "0".repeat(32) && span != "0".repeat(16), "{line:?}");
        Parent { trace: trace.into(), span: span.into(), flags: flags.into() }
    }

    /// The members of `tracestate`, over all its lines.
    pub(crate) fn state(&self) -> Vec<String> {
        let lines = self.headers.get_all("tracestate").iter().map(|line| line.to_str().unwrap());
        let members = lines.flat_map(|line| line.split(',')).map(|member| member.trim_matches([' ', '\t']));
        members.filter(|member| !member.is_empty()).map(str::to_owned).collect()
    }
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    addr
}

impl Harness {
    pub(crate) async fn start() -> Self {
        let calls = Calls::default();
        let note = async |State(calls): State<Calls>, Path(name), headers, body| {
            calls.lock().unwrap().insert(name, (headers, body));
        };
        let never = async || std::future::pending::<()>().await;
        let callbacks = Router::new().route("/never", post(never)).route("/callback/{name}", post(note));
        Self {
            service: serve(trace_echo::app(AccessLogLayer::json(std::io::sink()))).await,
            callbacks: serve(callbacks.with_state(Arc::clone(&calls))).await,
            calls,
        }
    }

    /// Sends the service `headers`, byte by byte as they are given, and the JSON `body`; returns status and answer.
    pub(crate) async fn send(&self, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.service).await.unwrap();
        let mut text = format!(
            "POST /test HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n",
            self.service,
            body.len()
        );
        for (name, value) in headers {
            text.push_str(&format!("{name}:{value}\r\n"));
        }
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status line"), answer)
    }

    /// Asks for `count` callbacks; returns what they carried.
    #[track_caller]
    pub(crate) fn ask<const N: usize>(
        &self,
        headers: &[(&str, &str)],
    ) -> impl Future<Output = [Callback; N]> {
        let url = |index| format!(r#"{{"url":"http://{}/callback/{index}","arguments":[]}}"#, self.callbacks);
        let body = format!("[{}]", (0..N).map(url).collect::<Vec<_>>().join(","));
        async move {
            self.calls.lock().unwrap().clear();
            let (status, answer) = self.send(headers, &body).await;
            assert_eq!(status, 200, "{answer}");
            std::array::from_fn(|index| self.taken(&index.to_string()))
        }
    }

    /// What the callback of this name carried.
    #[track_caller]
    pub(crate) fn taken(&self, name: &str) -> Callback {
        let (headers, body) = self.calls.lock().unwrap().remove(name).expect("the callback came");
        Callback { headers, body }
    }

    /// Whether there is a callback that was not taken.
    pub(crate) fn was_called(&self) -> bool {
        !self.calls.lock().unwrap().is_empty()
    }

    /// Asks for one callback.
    pub(crate) async fn ask_one(&self, headers: &[(&str, &str)]) -> Callback {
        let [one] = self.ask(headers).await;
        one
    }
}
