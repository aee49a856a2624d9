//! An identity provider on a real socket that does what it should, or anything but.
#![allow(dead_code, reason = "each test uses its part")]

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bartizan_auth::Algorithm;
use bytes::Bytes;
use http::{StatusCode, header};
use http_body::Frame;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::mint::{ISSUER, NOW, Signer, claims};

/// What the provider answers with.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    Good,
    Status(u16),
    /// To its own keys, which would be good.
    Redirect,
    /// This body instead of the keys.
    Text(String),
    /// A body of more than 512 KiB that never ends.
    Huge,
    /// A byte, and then nothing more.
    Drip,
    /// Nothing, until the mood changes.
    Silent,
}

/// A provider. Stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Idp {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    addr: SocketAddr,
    mood: watch::Sender<Mood>,
    keys: Mutex<Vec<Value>>,
    issuer: Mutex<Option<String>>,
    moved_to: Mutex<Option<String>>,
    documents: Mutex<Vec<&'static str>>,
    has_a_page_for_all: AtomicBool,
    key_fetches: AtomicUsize,
    document_fetches: AtomicUsize,
}

pub(crate) const OPENID: &str = "/.well-known/openid-configuration";
pub(crate) const OAUTH: &str = "/.well-known/oauth-authorization-server";

impl Idp {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            addr,
            mood: watch::Sender::new(Mood::Good),
            keys: Mutex::default(),
            issuer: Mutex::default(),
            moved_to: Mutex::default(),
            documents: Mutex::new(vec![OPENID]),
            has_a_page_for_all: AtomicBool::new(false),
            key_fetches: AtomicUsize::new(0),
            document_fetches: AtomicUsize::new(0),
        });
        let server = Some(serve(listener, Arc::clone(&shared)));
        Self { addr, shared, server }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn keys_url(&self) -> String {
        format!("http://{}/keys", self.addr)
    }

    /// Publishes these keys and no others.
    pub(crate) fn publish(&self, keys: impl IntoIterator<Item = Value>) {
        *self.shared.keys.lock().unwrap() = keys.into_iter().collect();
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.shared.mood.send_replace(mood);
    }

    /// Claims to be another issuer.
    pub(crate) fn claim(&self, issuer: &str) {
        *self.shared.issuer.lock().unwrap() = Some(issuer.to_owned());
    }

    /// Has no keys any more, and says that they are here.
    pub(crate) fn move_keys(&self, url: String) {
        *self.shared.moved_to.lock().unwrap() = Some(url);
    }

    /// Serves the discovery document at these paths alone.
    pub(crate) fn serve_documents(&self, paths: &[&'static str]) {
        *self.shared.documents.lock().unwrap() = paths.to_vec();
    }

    /// Answers with a page, and 200, where it has nothing.
    pub(crate) fn serve_a_page_for_all_else(&self) {
        self.shared.has_a_page_for_all.store(true, Ordering::SeqCst);
    }

    pub(crate) fn key_fetches(&self) -> usize {
        self.shared.key_fetches.load(Ordering::SeqCst)
    }

    pub(crate) fn document_fetches(&self) -> usize {
        self.shared.document_fetches.load(Ordering::SeqCst)
    }

    /// Refuses connections from now on.
    pub(crate) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            let _ = server.await;
        }
    }

    /// Takes connections again, at the same address.
    pub(crate) async fn restart(&mut self) {
        let listener = TcpListener::bind(self.addr).await.unwrap();
        self.server = Some(serve(listener, Arc::clone(&self.shared)));
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

fn serve(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    let app = Router::new().fallback(answer).with_state(shared);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() })
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path();
    let body = if path == "/keys" {
        shared.key_fetches.fetch_add(1, Ordering::SeqCst);
        if shared.moved_to.lock().unwrap().is_some() {
            return status(StatusCode::GONE, Body::empty());
        }
        json!({"keys": *shared.keys.lock().unwrap()})
    } else {
        shared.document_fetches.fetch_add(1, Ordering::SeqCst);
        if !shared.documents.lock().unwrap().contains(&path) {
            return if shared.has_a_page_for_all.load(Ordering::SeqCst) {
                status(StatusCode::OK, Body::from("<!doctype html><title>Sign in</title>"))
            } else {
                status(StatusCode::NOT_FOUND, Body::empty())
            };
        }
        let own = format!("http://{}", shared.addr);
        let issuer = shared.issuer.lock().unwrap().clone().unwrap_or_else(|| own.clone());
        let keys = shared.moved_to.lock().unwrap().clone().unwrap_or_else(|| format!("{own}/keys"));
        json!({"issuer": issuer, "jwks_uri": keys})
    };
    let mut moods = shared.mood.subscribe();
    let mood = moods.wait_for(|mood| !matches!(mood, Mood::Silent)).await.unwrap().clone();
    match mood {
        Mood::Good => status(StatusCode::OK, Body::from(body.to_string())),
        Mood::Status(code) => status(StatusCode::from_u16(code).unwrap(), Body::from(body.to_string())),
        Mood::Redirect => {
            let mut response = status(StatusCode::FOUND, Body::from(body.to_string()));
            let target = format!("http://{}/keys", shared.addr).parse().unwrap();
            response.headers_mut().insert(header::LOCATION, target);
            response
        }
        Mood::Text(text) => status(StatusCode::OK, Body::from(text)),
        Mood::Huge => {
            status(StatusCode::OK, Body::new(Endless { chunk: vec![b' '; 16 * 1024].into(), once: false }))
        }
        Mood::Drip => {
            status(StatusCode::OK, Body::new(Endless { chunk: Bytes::from_static(b"{"), once: true }))
        }
        Mood::Silent => unreachable!("waited for another mood"),
    }
}

fn status(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// A chunk again and again, or once and then silence.
struct Endless {
    chunk: Bytes,
    once: bool,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.chunk.is_empty() {
            return Poll::Pending; // For ever: the connection is what ends it.
        }
        let chunk = self.chunk.clone();
        if self.once {
            self.chunk = Bytes::new();
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

/// A key with a name, as an identity provider has it.
pub(crate) struct Named {
    pub(crate) kid: String,
    signer: Signer,
}

impl Named {
    pub(crate) fn new(kid: &str) -> Self {
        Self { kid: kid.to_owned(), signer: Signer::for_algorithm(Algorithm::Es256) }
    }

    /// The public half, as it is published.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = self.signer.jwk();
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!("ES256");
        jwk["use"] = json!("sig");
        jwk
    }

    /// A good token, for a year of the tests' time. Each `id` is another one.
    pub(crate) fn token(&self, id: usize) -> String {
        self.token_of(ISSUER, id)
    }

    /// The same, in the name of another.
    pub(crate) fn token_of(&self, issuer: &str, id: usize) -> String {
        let claims = claims(&json!({"iss": issuer, "exp": NOW + 365 * 86_400, "jti": id.to_string()}));
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.kid});
        self.signer.token(Algorithm::Es256, &header, &claims)
    }
}
