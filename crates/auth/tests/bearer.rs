//! Outgoing requests, and the token they carry, in virtual time.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bartizan_auth::{BearerLayer, ClientCredentials, ClientTokens};
use bartizan_core::{Clock, Reason, Rejection, RequestContext, TimeSource};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Empty, Full};
use serde_json::json;
use tokio::{
    sync::Semaphore,
    task::yield_now,
    time::{Instant, advance},
};
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

const TOKEN_URL: &str = "https://id.example/token";
const ORIGIN: &str = "https://api.example";

struct Paused;

impl TimeSource for Paused {
    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }

    fn wall(&self) -> std::time::SystemTime {
        std::time::SystemTime::UNIX_EPOCH
    }
}

/// A token endpoint in memory. Its tokens are `token-1`, `token-2` …
#[derive(Clone)]
struct Endpoint {
    asked: Arc<Mutex<Vec<(Parts, String)>>>,
    fails: Arc<Mutex<Option<u16>>>,
    lifetime: u64,
    answers: Arc<Semaphore>,
}

impl Endpoint {
    fn new() -> Self {
        Self {
            asked: Arc::default(),
            fails: Arc::default(),
            lifetime: 3600,
            answers: Arc::new(Semaphore::new(1_000_000)),
        }
    }

    fn build(&self, credentials: ClientCredentials) -> ClientTokens {
        let endpoint = self.clone();
        let client = tower::service_fn(move |request: Request<Full<Bytes>>| {
            let endpoint = endpoint.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let count = {
                    let mut asked = endpoint.asked.lock().unwrap();
                    asked.push((parts, String::from_utf8(body.to_vec()).unwrap()));
                    asked.len()
                };
                endpoint.answers.acquire().await.unwrap().forget();
                let (status, answer) = match *endpoint.fails.lock().unwrap() {
                    Some(status) => (status, json!({"error": "invalid_client"})),
                    None => {
                        let token = format!("token-{count}");
                        (
                            200,
                            json!({"access_token": token, "token_type": "Bearer", "expires_in": endpoint.lifetime}),
                        )
                    }
                };
                Ok::<_, io::Error>(Response::builder().status(status).body(answer.to_string()).unwrap())
            }
        });
        credentials.with_clock(Clock::new(Paused)).build_with(client).unwrap()
    }

    fn tokens(&self) -> ClientTokens {
        self.build(ClientCredentials::new(TOKEN_URL, "billing", "s3cret"))
    }

    fn layer(&self) -> BearerLayer {
        BearerLayer::new(self.tokens(), [ORIGIN]).unwrap()
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Answers nothing until there are permits.
    fn hold(&self) {
        self.answers.forget_permits(usize::MAX);
    }

    fn fail(&self, status: u16) {
        *self.fails.lock().unwrap() = Some(status);
    }
}

/// A server that knows which tokens are good.
#[derive(Clone, Default)]
struct Server {
    seen: Arc<Mutex<Vec<String>>>,
    /// Tokens that are called invalid.
    invalid: Arc<Mutex<Vec<&'static str>>>,
    /// All are.
    hostile: bool,
}

type Client<B> = BoxCloneSyncService<Request<B>, Response<String>, Infallible>;

impl Server {
    fn answer<B>(&self, request: &Request<B>) -> Response<String> {
        let token = request.headers().get(header::AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
        self.seen.lock().unwrap().push(token.to_owned());
        let is_invalid =
            self.hostile || self.invalid.lock().unwrap().iter().any(|bad| token == format!("Bearer {bad}"));
        if is_invalid {
            return Response::builder()
                .status(401)
                .header("www-authenticate", "Bearer realm=\"api\", error=\"invalid_token\"")
                .body("no".into())
                .unwrap();
        }
        Response::new("yes".into())
    }

    fn behind<L, S, B, R>(&self, layer: &L) -> Client<B>
    where
        L: Layer<Client<B>, Service = S>,
        S: Service<Request<B>, Response = Response<R>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        R: 'static,
        B: Send + 'static,
    {
        let server = self.clone();
        let inner = BoxCloneSyncService::new(tower::service_fn(move |request: Request<B>| {
            std::future::ready(Ok(server.answer(&request)))
        }));
        // The body that came is of no interest here, the head and the extensions are.
        BoxCloneSyncService::new(layer.layer(inner).map_response(|response| response.map(|_| String::new())))
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn get<B: Default>(uri: &str) -> Request<B> {
    Request::get(uri).body(B::default()).unwrap()
}

async fn status<B: Send + 'static>(client: &Client<B>, request: Request<B>) -> u16 {
    client.clone().oneshot(request).await.unwrap().status().as_u16()
}

async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

const API: &str = "https://api.example/v1/orders";

#[tokio::test(start_paused = true)]
async fn aut_08_the_token_goes_to_configured_origins_alone() {
    let (endpoint, server) = (Endpoint::new(), Server::default());
    let client = server.behind::<_, _, Empty<Bytes>, _>(&endpoint.layer());
    for elsewhere in [
        "https://evil.example/",
        "http://api.example/",
        "https://api.example:8443/",
        "https://api.example.evil.example/",
        "https://api.example@evil.example/",
        "/v1/orders",
    ] {
        assert_eq!(status(&client, get(elsewhere)).await, 200);
        assert_eq!(server.seen().pop().unwrap(), "", "{elsewhere}");
    }
    assert_eq!(endpoint.count(), 0, "nobody needed one");
    for ours in [API, "https://API.example:443/"] {
        assert_eq!(status(&client, get(ours)).await, 200);
        assert_eq!(server.seen().pop().unwrap(), "Bearer token-1");
    }
    // A redirect that a layer further out follows is a request like any other.
    assert_eq!(status(&client, get("https://elsewhere.example/moved")).await, 200);
    assert_eq!(server.seen().pop().unwrap(), "");
    assert_eq!(endpoint.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn aut_08_addresses_without_an_origin_get_it_where_that_is_allowed() {
    let (endpoint, server) = (Endpoint::new(), Server::default());
    let client = server.behind::<_, _, Empty<Bytes>, _>(&endpoint.layer().with_relative_addresses());
    assert_eq!(status(&client, get("/pkg.Orders/Create")).await, 200);
    assert_eq!(status(&client, get("https://evil.example/")).await, 200);
    assert_eq!(server.seen(), ["Bearer token-1", ""]);
}

#[tokio::test(start_paused = true)]
async fn aut_08_an_authorization_set_by_hand_stays() {
    let (endpoint, server) = (Endpoint::new(), Server::default());
    let client = server.behind::<_, _, Empty<Bytes>, _>(&endpoint.layer());
    let mut request = get::<Empty<Bytes>>(API);
    request.headers_mut().insert(header::AUTHORIZATION, "Basic YTpi".parse().unwrap());
    assert_eq!(status(&client, request).await, 200);
    assert_eq!((server.seen(), endpoint.count()), (vec!["Basic YTpi".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn aut_08_client_credentials_are_sent_as_the_rfc_wants_them() {
    let credentials = || {
        ClientCredentials::new(TOKEN_URL, "bill ing:1", "s3 cret&%")
            .with_scope("orders:read orders:write")
            .with_audience("https://api.example")
            .with_resource("https://a.example")
            .with_resource("https://b.example")
    };
    let server = Server::default();
    let more = "scope=orders%3Aread+orders%3Awrite&audience=https%3A%2F%2Fapi.example\
                &resource=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example";
    for in_body in [false, true] {
        let endpoint = Endpoint::new();
        let credentials = if in_body { credentials().with_secret_in_body() } else { credentials() };
        let layer = BearerLayer::new(endpoint.build(credentials), [ORIGIN]).unwrap();
        assert_eq!(status(&server.behind::<_, _, Empty<Bytes>, _>(&layer), get(API)).await, 200);
        let (parts, body) = endpoint.asked.lock().unwrap().pop().unwrap();
        assert_eq!((&parts.method, parts.uri.to_string()), (&Method::POST, TOKEN_URL.to_owned()));
        assert_eq!(parts.headers["content-type"], "application/x-www-form-urlencoded");
        if in_body {
            let secret = "client_id=bill+ing%3A1&client_secret=s3+cret%26%25";
            assert_eq!(body, format!("grant_type=client_credentials&{secret}&{more}"));
            assert!(!parts.headers.contains_key(header::AUTHORIZATION));
        } else {
            assert_eq!(body, format!("grant_type=client_credentials&{more}"));
            // RFC 6749 section 2.3.1: encoded as a form before it is encoded as Basic.
            let value = &parts.headers[header::AUTHORIZATION];
            let pair = value.to_str().unwrap().strip_prefix("Basic ").unwrap();
            assert_eq!(BASE64_STANDARD.decode(pair).unwrap(), b"bill+ing%3A1:s3+cret%26%25");
            assert!(value.is_sensitive());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn aut_08_one_request_asks_for_all() {
    let (endpoint, server) = (Endpoint::new(), Server::default());
    endpoint.hold();
    let client = server.behind::<_, _, Empty<Bytes>, _>(&endpoint.layer());
    let mut waiting: Vec<_> = (0..100)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { status(&client, get(API)).await })
        })
        .collect();
    settle().await;
    assert_eq!(endpoint.count(), 1);
    // The one that began it goes away, and the others get their token all the same.
    waiting.remove(0).abort();
    endpoint.answers.add_permits(1);
    for request in waiting {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(endpoint.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn aut_08_a_token_is_replaced_before_it_expires_and_nobody_waits_for_that() {
    let (endpoint, server) = (Endpoint::new(), Server::default());
    let client = server.behind::<_, _, Empty<Bytes>, _>(&endpoint.layer());
    assert_eq!(status(&client, get(API)).await, 200);
    advance(Duration::from_secs(3600 * 74 / 100)).await;
    assert_eq!(status(&client, get(API)).await, 200);
    settle().await;
    assert_eq!(endpoint.count(), 1, "not too early");

    endpoint.hold();
    advance(Duration::from_secs(3600 * 14 / 100)).await;
    let before = Instant::now();
    assert_eq!(status(&client, get(API)).await, 200);
    assert_eq!(server.seen().pop().unwrap(), "Bearer token-1", "the older one still works");
    assert_eq!(before.elapsed(), Duration::ZERO);
    settle().await;
    assert_eq!(endpoint.count(), 2);
    endpoint.answers.add_permits(1);
    settle().await;
    assert_eq!(status(&client, get(API)).await, 200);
    assert_eq!(server.seen().pop().unwrap(), "Bearer token-2");
}

#[tokio::test(start_paused = true)]
async fn aut_08_without_a_token_the_answer_is_503_with_retry_after() {
    let (endpoint, server) = (Endpoint::new(), Server::default());
    endpoint.fail(401);
    let client = server.behind::<_, _, Empty<Bytes>, _>(&endpoint.layer());
    let response = client.clone().oneshot(get(API)).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert_eq!((rejection.reason(), rejection.layer()), (Reason::DependencyUnavailable, Some("bearer")));
    assert!(server.seen().is_empty(), "nothing is sent without");

    // Within the pause nobody asks.
    assert_eq!(status(&client, get(API)).await, 503);
    assert_eq!(endpoint.count(), 1);
    let response = client.clone().oneshot(grpc_call()).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "14");

    *endpoint.fails.lock().unwrap() = None;
    advance(Duration::from_secs(2)).await;
    assert_eq!(status(&client, get(API)).await, 200);
}

/// A call of gRPC, made for a request that is none.
fn grpc_call() -> Request<Empty<Bytes>> {
    let mut call =
        Request::post(API).header("content-type", "application/grpc").body(Empty::default()).unwrap();
    call.extensions_mut().insert(RequestContext::of(&mut Request::new(())));
    call
}

#[tokio::test(start_paused = true)]
async fn grpc_02_a_call_that_waited_in_vain_is_refused_in_its_own_protocol() {
    let (endpoint, server) = (Endpoint::new(), Server::default());
    endpoint.hold();
    let client = server.behind::<_, _, Empty<Bytes>, _>(&endpoint.layer());
    let refused = client.oneshot(grpc_call()).await.unwrap();
    assert_eq!(
        (refused.status(), &refused.headers()["grpc-status"]),
        (StatusCode::OK, &"14".parse().unwrap())
    );
}

#[tokio::test(start_paused = true)]
async fn aut_08_an_endpoint_that_says_nothing_holds_a_request_for_five_seconds() {
    let (endpoint, server) = (Endpoint::new(), Server::default());
    endpoint.hold();
    let client = server.behind::<_, _, Empty<Bytes>, _>(&endpoint.layer());
    let before = Instant::now();
    assert_eq!(status(&client, get(API)).await, 503);
    assert_eq!(before.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn aut_08_an_invalid_token_is_replaced_and_the_request_sent_once_more() {
    let (endpoint, server) = (Endpoint::new(), Server::default());
    server.invalid.lock().unwrap().push("token-1");
    let client = server.behind::<_, _, Empty<Bytes>, _>(&endpoint.layer());
    advance(Duration::from_secs(2)).await;
    let first = status(&client, get(API)).await;
    // The first token is a moment old, and no other is asked for so soon.
    assert_eq!((first, endpoint.count()), (401, 1));
    advance(Duration::from_secs(2)).await;
    assert_eq!(status(&client, get(API)).await, 200);
    assert_eq!(server.seen()[1..], ["Bearer token-1", "Bearer token-2"]);
    assert_eq!(endpoint.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn aut_08_a_server_that_calls_every_token_invalid_gets_one_in_a_window() {
    let endpoint = Endpoint::new();
    let server = Server { hostile: true, ..Server::default() };
    let client = server.behind::<_, _, Empty<Bytes>, _>(&endpoint.layer());
    assert_eq!(status(&client, get(API)).await, 401);
    for window in 1..=3 {
        advance(Duration::from_secs(30)).await;
        let sent = server.seen().len();
        for _ in 0..14 {
            assert_eq!(status(&client, get(API)).await, 401);
            advance(Duration::from_secs(2)).await;
        }
        assert_eq!(endpoint.count(), 1 + window);
        assert_eq!(server.seen().len() - sent, 15, "once more for the first, and never twice");
    }
}

#[tokio::test(start_paused = true)]
async fn aut_08_only_what_can_be_copied_is_sent_once_more() {
    let body = || Full::from("an order");
    let request = || Request::post(API).header("x-a", "b").extension(7_u8).body(body()).unwrap();
    for (clones, sent) in [(false, 1), (true, 2)] {
        let (endpoint, server) = (Endpoint::new(), Server::default());
        let client: Client<Full<Bytes>> = if clones {
            server.behind(&endpoint.layer().with_resend_of_clones())
        } else {
            server.behind(&endpoint.layer())
        };
        assert_eq!(status(&client, request()).await, 200);
        advance(Duration::from_secs(5)).await;
        server.invalid.lock().unwrap().push("token-1");
        let before = server.seen().len();
        assert_eq!(status(&client, request()).await, if clones { 200 } else { 401 });
        assert_eq!(server.seen().len() - before, sent);
        settle().await;
        assert_eq!(endpoint.count(), 2, "the next request has another token in any case");
        assert_eq!(status(&client, request()).await, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn aut_08_any_body_can_be_sent_where_nothing_is_sent_twice() {
    /// Neither `Default` nor `Clone`.
    struct Stream;
    let (endpoint, server) = (Endpoint::new(), Server::default());
    let client: Client<Stream> = server.behind(&endpoint.layer().without_resend());
    assert_eq!(status(&client, Request::post(API).body(Stream).unwrap()).await, 200);
    assert_eq!(server.seen(), ["Bearer token-1"]);
}

#[tokio::test(start_paused = true)]
async fn aut_08_what_is_sent_once_more_is_the_same_request() {
    let endpoint = Endpoint::new();
    let tried = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tried);
    let inner = tower::service_fn(move |request: Request<Full<Bytes>>| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 1;
        async move {
            assert_eq!((request.method(), request.uri().path()), (&Method::PUT, "/v1/orders"));
            assert_eq!(request.headers()["x-a"], "b");
            assert_eq!(request.headers().get_all(header::AUTHORIZATION).iter().count(), 1);
            assert_eq!(request.extensions().get::<u8>(), Some(&7));
            assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), "an order");
            let mut response = Response::new(String::new());
            if first {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                let challenge = "Bearer error=\"invalid_token\"".parse().unwrap();
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let client = endpoint.layer().with_resend_of_clones().layer(inner);
    for _ in 0..2 {
        let request =
            Request::put(API).header("x-a", "b").extension(7_u8).body(Full::from("an order")).unwrap();
        assert_eq!(client.clone().oneshot(request).await.unwrap().status(), StatusCode::OK);
        advance(Duration::from_secs(5)).await;
    }
    assert_eq!(tried.load(Ordering::SeqCst), 3);
}

#[test]
fn aut_08_no_secret_is_shown_and_what_can_never_work_is_refused() {
    let client = || {
        tower::service_fn(async |_: Request<Full<Bytes>>| Ok::<_, io::Error>(Response::new(String::new())))
    };
    let good = || ClientCredentials::new(TOKEN_URL, "billing", "s3cret");
    let tokens = good().build_with(client()).unwrap();
    let layer = BearerLayer::new(tokens.clone(), [ORIGIN]).unwrap();
    let odd = ClientCredentials::new("https://a:s3cret@id.example/?k=s3cret", "billing", "s3cret")
        .with_secret_in_body();
    let shown = format!("{:?}{tokens:#?}{layer:#?}{:?}{odd:#?}", good(), layer.layer(()));
    assert!(!shown.contains("s3cret") && shown.contains("billing"), "{shown}");

    for (credentials, field) in [
        (ClientCredentials::new("http://id.example/token", "a", "b"), "token_url"),
        (odd, "token_url"),
        (ClientCredentials::new(TOKEN_URL, "", "b"), "client_id"),
        (ClientCredentials::new(TOKEN_URL, "a", ""), "client_secret"),
        (ClientCredentials::new(TOKEN_URL, "a", "b\n"), "client_secret"),
        (good().with_scope("a  b"), "scope"),
        (good().with_scope("a\"b"), "scope"),
        (good().with_audience(""), "audience"),
        (good().with_resource("https://a.example").with_resource("b"), "resources[1]"),
    ] {
        let error = credentials.build_with(client()).unwrap_err();
        assert_eq!(error.field(), field);
        assert!(!error.to_string().contains("s3cret"));
    }
    assert_eq!(good().with_wait(Duration::ZERO).unwrap_err().field(), "wait");
    assert_eq!(good().with_timeout(Duration::from_secs(31)).unwrap_err().field(), "timeout");
    let none: [&str; 0] = [];
    assert_eq!(BearerLayer::new(tokens.clone(), none).unwrap_err().field(), "origins");
    assert_eq!(BearerLayer::new(tokens.clone(), vec![ORIGIN; 65]).unwrap_err().field(), "origins");
    assert_eq!(BearerLayer::new(tokens, [ORIGIN, "http://a"]).unwrap_err().field(), "origins[1]");
}
