//! Clients on real sockets.

use std::{mem, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{TestBody, rule::fail};

async fn connect(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.expect("the server listens")
}

/// The version of HTTP that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

/// One connection of a hyper client.
pub(crate) enum Client {
    One(http1::SendRequest<TestBody>),
    Two(http2::SendRequest<TestBody>),
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr, http: Http) -> Self {
        let io = TokioIo::new(connect(addr).await);
        match http {
            Http::One => {
                let (client, connection) = http1::handshake(io).await.expect("HTTP/1.1 has no handshake");
                tokio::spawn(connection);
                Self::One(client)
            }
            Http::Two => {
                let (client, connection) =
                    http2::handshake(TokioExecutor::new(), io).await.expect("the server speaks HTTP/2");
                tokio::spawn(connection);
                Self::Two(client)
            }
        }
    }

    /// Sends `request`, of which the path counts alone, to the server.
    pub(crate) async fn send(&mut self, which: &str, mut request: Request<TestBody>) -> Response<Incoming> {
        let sent = match self {
            Self::One(client) => {
                request.headers_mut().insert(http::header::HOST, HeaderValue::from_static("testkit.invalid"));
                client.send_request(request).await
            }
            Self::Two(client) => {
                let uri = format!("http://testkit.invalid{}", request.uri().path());
                *request.uri_mut() = uri.parse().expect("a path of the suite's own");
                *request.version_mut() = http::Version::HTTP_2;
                client.send_request(request).await
            }
        };
        match sent {
            Ok(response) => response,
            Err(error) => fail!(Errors, "{which}: the connection fails before an answer: {error}"),
        }
    }
}

/// The whole of a response.
pub(crate) async fn read(which: &str, response: Response<Incoming>) -> (Response<Bytes>, Option<HeaderMap>) {
    let (parts, body) = response.into_parts();
    match body.collect().await {
        Ok(body) => {
            let trailers = body.trailers().cloned();
            (Response::from_parts(parts, body.to_bytes()), trailers)
        }
        Err(error) => fail!(Bodies, "{which}: the response body fails: {error}"),
    }
}

/// A client that writes bytes over HTTP/1.1, for what no proper client does.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// The head of an HTTP/1.1 response.
pub(crate) struct RawHead {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

impl RawClient {
    /// A connection to the server at `addr`.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    pub async fn connect(addr: SocketAddr) -> Self {
        Self { stream: connect(addr).await, unread: Vec::new() }
    }

    /// Sends `bytes`.
    ///
    /// # Panics
    ///
    /// When the server has closed the connection.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the server reads");
    }

    /// Sends the head of a `POST /` with these lines, and waits to be told to go on before the body.
    ///
    /// # Panics
    ///
    /// When the server has closed the connection.
    pub async fn expect_continue(&mut self, fields: &str) {
        let head = "POST / HTTP/1.1\r\nhost: testkit.invalid\r\nexpect: 100-continue";
        self.write(format!("{head}\r\n{fields}\r\n\r\n")).await;
    }

    /// Reads until what came contains `end`: all that came, as text.
    ///
    /// # Panics
    ///
    /// When the connection ends before, or what came is no text.
    pub async fn read_to(&mut self, end: &str) -> String {
        while !String::from_utf8_lossy(&self.unread).contains(end) {
            let more = self.fill().await;
            assert!(more.is_some(), "it ends without {end:?}: {}", String::from_utf8_lossy(&self.unread));
        }
        String::from_utf8(mem::take(&mut self.unread)).expect("text")
    }

    /// Reads the head of the next response; `None` when the connection ends before.
    pub(crate) async fn head(&mut self) -> Option<RawHead> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            self.fill().await?;
        };
        let head: Vec<u8> = self.unread.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head);
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .filter_map(|(name, value)| {
                Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
            })
            .collect();
        Some(RawHead { status, headers })
    }

    /// Reads `count` bytes; fewer when the connection ends before.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count && self.fill().await.is_some() {}
        let count = count.min(self.unread.len());
        self.unread.drain(..count).collect()
    }

    async fn fill(&mut self) -> Option<()> {
        let read = self.stream.read_buf(&mut self.unread).await.ok()?;
        (read > 0).then_some(())
    }
}
