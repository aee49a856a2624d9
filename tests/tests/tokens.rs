//! Keys, tokens and rights on a tonic server, seen by a real tonic client.

use std::{
    error::Error,
    io,
    time::{Duration, UNIX_EPOCH},
};

use axum::{Router, routing::get};
use bartizan::{
    Clock, ManualClock, NormalizeLayer, ProblemLayer, Stack,
    auth::{
        Algorithm, AnyKeys, ApiKey, ApiKeyLayer, AuthLayer, AuthorizeLayer, JwtLayer, KeySet, RemoteKeys,
        Require, StaticKeys, TokenPolicy, VerifyingKey,
    },
    client_addr::ClientAddrLayer,
    correlation_id::CorrelationIdLayer,
    rate_limit::{PerClientAddr, Rate, RateLimitLayer},
};
use bartizan_tests::{
    TenOfEverything,
    inventory::{
        ReserveRequest, WatchRequest, inventory_client::InventoryClient, inventory_server::InventoryServer,
    },
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_stream::{StreamExt, wrappers::TcpListenerStream};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Server},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt;

const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "https://inventory.example";
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

const HEALTH: &str = "/grpc.health.v1.Health/Check";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// A token with these claims changed.
fn token(changes: &Value) -> String {
    let now = Clock::system().wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "exp": now + 300, "scope": "inventory:read inventory:write",
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

fn good_keys() -> AnyKeys {
    AnyKeys::new(KeySet::from(VerifyingKey::from_secret(Algorithm::Hs256, SECRET).unwrap()))
}

/// Keys of an issuer that is away.
fn no_keys() -> AnyKeys {
    let client =
        tower::service_fn(async |_| Err::<http::Response<String>, _>(io::Error::other("the issuer is away")));
    AnyKeys::new(RemoteKeys::jwks("https://id.example/keys", Algorithm::Rs256).build_with(client).unwrap())
}

/// A running inventory that takes keys and tokens, with health checks and reflection for everybody.
struct Inventory {
    channel: Channel,
    key: ApiKey,
}

impl Inventory {
    async fn start(keys: AnyKeys) -> Result<Self, Box<dyn Error>> {
        let key = ApiKey::generate("test")?;
        let api_keys = StaticKeys::new([key.record("keeper").with_scopes(["inventory:write"])])?;
        let tokens = JwtLayer::new(keys, TokenPolicy::new(ISSUER, [AUDIENCE])?);
        let rules = AuthorizeLayer::table()
            .public_grpc(HEALTH)
            .public_grpc(REFLECTION)
            .grpc("/inventory.v1.Inventory/Reserve", Require::scope("inventory:write"))
            .grpc("/inventory.v1.Inventory/Watch", Require::role("watcher"))
            .build()?;
        let stack = Stack::server()
            .push(ProblemLayer::new().with_domain("inventory.example.com")?)
            .push(CorrelationIdLayer::new())
            .push(NormalizeLayer::new())
            .push(
                AuthLayer::new(ApiKeyLayer::new(api_keys), tokens)
                    .with_bypass(HEALTH)?
                    .with_bypass(REFLECTION)?,
            )
            .push(rules);
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<InventoryServer<TenOfEverything>>().await;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let server = Server::builder()
            .layer(stack.build())
            .add_service(health_service)
            .add_service(tonic_reflection::server::Builder::configure().build_v1()?)
            .add_service(InventoryServer::new(TenOfEverything))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        let channel = Channel::from_shared(format!("http://{addr}"))?.connect().await?;
        Ok(Self { channel, key })
    }

    fn client(&self) -> InventoryClient<Channel> {
        InventoryClient::new(self.channel.clone())
    }

    async fn reserve(&self, metadata: &[(&'static str, &str)]) -> Result<u32, Status> {
        let request = with(metadata, ReserveRequest { sku: "a".into(), quantity: 1 });
        self.client().reserve(request).await.map(|reply| reply.into_inner().left)
    }

    async fn reserve_with(&self, token: &str) -> Result<u32, Status> {
        self.reserve(&[("authorization", &format!("Bearer {token}"))]).await
    }
}

fn with<T>(metadata: &[(&'static str, &str)], message: T) -> Request<T> {
    let mut request = Request::new(message);
    for (name, value) in metadata {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    request
}

/// Checks what every refusal carries.
#[track_caller]
fn assert_refused(status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    let details = status.get_error_details();
    let info = details.error_info().expect("ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "inventory.example.com"));
    let id = status.metadata().get("x-request-id").expect("the id is in the metadata of errors");
    assert_eq!(details.request_info().expect("RequestInfo").request_id, id.to_str().unwrap());
}

fn challenges(status: &Status) -> Vec<String> {
    let lines = status.metadata().get_all("www-authenticate").iter();
    lines.map(|line| line.to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn grpc_02_a_token_or_a_key_is_metadata_and_without_one_a_call_is_unauthenticated() {
    let inventory = Inventory::start(good_keys()).await.unwrap();
    assert_eq!(inventory.reserve_with(&token(&json!({}))).await.unwrap(), 9);
    assert_eq!(inventory.reserve(&[("x-api-key", inventory.key.expose())]).await.unwrap(), 9);

    let missing = inventory.reserve(&[]).await.unwrap_err();
    assert_refused(&missing, Code::Unauthenticated, "UNAUTHENTICATED");
    assert_eq!(challenges(&missing), [r#"Bearer realm="api""#, r#"ApiKey realm="api""#]);
    for bad in [
        token(&json!({ "exp": 1 })),
        token(&json!({ "aud": "https://billing.example" })),
        token(&json!({ "iss": "https://other.example" })),
        format!("{}x", token(&json!({}))),
    ] {
        let status = inventory.reserve_with(&bad).await.unwrap_err();
        assert_refused(&status, Code::Unauthenticated, "UNAUTHENTICATED");
        let challenges = challenges(&status);
        assert!(
            challenges.len() == 2 && challenges[0].contains(r#"error="invalid_token""#),
            "{challenges:?}"
        );
        assert!(!format!("{status:?}").contains(&bad));
    }
}

#[tokio::test]
async fn aut_02_a_key_and_a_token_in_one_call_are_refused() {
    let inventory = Inventory::start(good_keys()).await.unwrap();
    let bearer = format!("Bearer {}", token(&json!({})));
    let both = [("authorization", bearer.as_str()), ("x-api-key", inventory.key.expose())];
    let status = inventory.reserve(&both).await.unwrap_err();
    assert_refused(&status, Code::Unauthenticated, "MALFORMED_CREDENTIALS");
    assert_eq!(challenges(&status).len(), 2);
}

#[tokio::test]
async fn azn_01_and_grpc_06_without_the_right_or_a_rule_a_call_is_permission_denied() {
    let inventory = Inventory::start(good_keys()).await.unwrap();
    let reader = token(&json!({ "scope": "inventory:read" }));
    let status = inventory.reserve_with(&reader).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, "PERMISSION_DENIED");
    assert!(status.message().contains("inventory:write"), "{status:?}");
    assert_eq!(challenges(&status), [r#"Bearer error="insufficient_scope", scope="inventory:write""#]);

    let watch = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let request = with(&[("authorization", &bearer)], WatchRequest { sku: "a".into(), updates: 2 });
        let levels = inventory.client().watch(request).await?.into_inner();
        Ok::<_, Status>(levels.map(|level| level.unwrap().quantity).collect::<Vec<_>>().await)
    };
    let status = watch(&token(&json!({}))).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, "PERMISSION_DENIED");
    assert!(status.message().contains("watcher") && challenges(&status).is_empty(), "{status:?}");
    assert_eq!(watch(&token(&json!({ "roles": ["watcher"] }))).await.unwrap(), [1, 0]);

    // The server has it, and no rule speaks of it.
    let bearer = format!("Bearer {}", token(&json!({ "roles": ["watcher"] })));
    let request = with(&[("authorization", &bearer)], tokio_stream::empty());
    let status = inventory.client().recount(request).await.unwrap_err();
    assert_refused(&status, Code::PermissionDenied, "PERMISSION_DENIED");
}

#[tokio::test]
async fn jwk_04_before_the_first_keys_a_token_is_unavailable_and_a_key_works() {
    let inventory = Inventory::start(no_keys()).await.unwrap();
    let status = inventory.reserve_with(&rs256_like()).await.unwrap_err();
    assert_refused(&status, Code::Unavailable, "DEPENDENCY_UNAVAILABLE");
    assert!(challenges(&status).is_empty(), "the token may be good");
    let delay = status.get_error_details().retry_info().expect("RetryInfo").retry_delay.expect("a delay");
    assert!(delay > Duration::ZERO && delay <= Duration::from_secs(60), "{delay:?}");
    assert_eq!(inventory.reserve(&[("x-api-key", inventory.key.expose())]).await.unwrap(), 9);
}

/// A token as the issuer signs them, as far as one can tell without its keys.
fn rs256_like() -> String {
    // {"alg":"RS256"}
    let header = "eyJhbGciOiJSUzI1NiJ9";
    let good = token(&json!({}));
    let claims = good.split('.').nth(1).unwrap();
    format!("{header}.{claims}.{}", "A".repeat(342))
}

#[tokio::test]
async fn azn_02_health_and_reflection_are_open_by_their_paths_and_nothing_else_is() {
    let inventory = Inventory::start(no_keys()).await.unwrap();
    // Whatever is in the metadata: nobody looks at it.
    for metadata in [vec![], vec![("authorization", "Bearer nonsense"), ("x-api-key", "nonsense")]] {
        let service = || HealthCheckRequest { service: "inventory.v1.Inventory".into() };
        let mut health = HealthClient::new(inventory.channel.clone());
        let reply = health.check(with(&metadata, service())).await.unwrap().into_inner();
        assert_eq!(reply.status(), ServingStatus::Serving);

        let ask = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut reflection = ServerReflectionClient::new(inventory.channel.clone());
        let answers =
            reflection.server_reflection_info(with(&metadata, tokio_stream::once(ask))).await.unwrap();
        let answer = answers.into_inner().next().await.unwrap().unwrap().message_response;
        assert!(
            matches!(answer, Some(MessageResponse::ListServicesResponse(list)) if !list.service.is_empty())
        );

        // The other method of the same service has not been opened.
        let status = health.watch(with(&metadata, service())).await.unwrap_err();
        assert_ne!(status.code(), Code::Ok);
        let reason = status.get_error_details().error_info().expect("ErrorInfo").reason.clone();
        let expected = if metadata.is_empty() { "UNAUTHENTICATED" } else { "MALFORMED_CREDENTIALS" };
        assert_eq!(reason, expected);
    }
}

/// A service that gives each address so many requests, and no more.
async fn limited(burst: u32) -> Result<(String, ApiKey), Box<dyn Error>> {
    let key = ApiKey::generate("test")?;
    let limit = RateLimitLayer::new(Rate::per_second(1)?.burst(burst)?)
        .by(PerClientAddr)
        .with_clock(Clock::from(ManualClock::new()));
    let keys = ApiKeyLayer::new(StaticKeys::new([key.record("keeper")])?);
    let tokens = JwtLayer::new(good_keys(), TokenPolicy::new(ISSUER, [AUDIENCE])?);
    let stack = Stack::server()
        .push(ProblemLayer::new())
        .push(CorrelationIdLayer::new())
        .push(NormalizeLayer::new())
        .push(ClientAddrLayer::peer())
        .push(limit)
        .push(AuthLayer::new(keys, tokens));
    let app = Router::new().route("/", get(async || "ok").post(async || "ok")).layer(stack.build());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((url, key))
}

/// How many of these requests get past the limit.
async fn passed(url: &str, headers: &[(&str, &str)]) -> usize {
    let client = reqwest::Client::new();
    for count in 0..100 {
        let request =
            headers.iter().fold(client.post(url), |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        let code = answer.headers().get("grpc-status").map_or("", |code| code.to_str().unwrap());
        match (answer.status().as_u16(), code) {
            (429, _) | (_, "8") => return count,
            (200 | 400 | 401, _) => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("there is no limit");
}

#[tokio::test]
async fn key_05_guesses_are_dear_and_everything_else_costs_one() {
    const BURST: u32 = 40;
    let (good, bad) = (format!("Bearer {}", token(&json!({}))), format!("Bearer {}x", token(&json!({}))));
    let grpc = ("content-type", "application/grpc");
    for (name, headers) in [
        ("a token that is not well signed", vec![("authorization", bad.as_str())]),
        ("the same in a gRPC call", vec![("authorization", bad.as_str()), grpc]),
        ("a key that is none", vec![("x-api-key", "guess")]),
        ("the same in a gRPC call", vec![("x-api-key", "guess"), grpc]),
    ] {
        let (url, key) = limited(BURST).await.unwrap();
        // 11 each: the fourth takes what is left.
        assert_eq!(passed(&url, &headers).await, 4, "{name}");
        assert_eq!(
            passed(&url, &[("x-api-key", key.expose())]).await,
            0,
            "it is the address that has no more"
        );
    }
    for (name, headers) in [
        ("a good token", vec![("authorization", good.as_str())]),
        ("no credential", vec![]),
        ("no credential in a gRPC call", vec![grpc]),
        ("two credentials", vec![("authorization", good.as_str()), ("x-api-key", "guess")]),
    ] {
        let (url, _) = limited(BURST).await.unwrap();
        assert_eq!(passed(&url, &headers).await, BURST as usize, "{name}");
    }
    let (url, key) = limited(BURST).await.unwrap();
    assert_eq!(passed(&url, &[("x-api-key", key.expose())]).await, BURST as usize, "a good key");
}
