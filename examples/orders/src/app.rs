//! The service behind its layers.

use std::{error::Error, time::Duration};

use axum::{
    Router,
    routing::{get, post},
};
use bartizan::{
    NormalizeLayer, ProblemLayer, Stack,
    access_log::AccessLogLayer,
    auth::{ApiKeyLayer, AuthLayer, JwtLayer, RequireLayer, StaticKeys},
    client_addr::ClientAddrLayer,
    correlation_id::{CorrelationIdLayer, TraceContextLayer},
    deadline::{RequestBodyTimeoutLayer, TimeoutLayer},
    metrics::MetricsLayer,
    rate_limit::{HeaderFields, PerClientAddr, PerPrincipal, Rate, RateLimitLayer, RedisStore},
    validate::{OpenApiLayer, OpenApiReport},
};

use crate::{
    document, keys,
    orders::{self, Orders},
    quotes::{self, Supplier},
    tokens::Tokens,
};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// How long each piece of a body may be waited for, and when its speed begins to count.
const BODY: Duration = Duration::from_secs(5);

/// The service, and its effective stack for people to read.
#[derive(Debug)]
pub struct App {
    /// The service: serve it with `into_make_service_with_connect_info::<SocketAddr>()`.
    pub router: Router,
    /// The effective order of its layers, outside to inside.
    pub stack: String,
    /// What is documented, and what of it is not judged.
    pub documented: OpenApiReport,
}

/// The whole service: `/health` and `/openapi.yaml` for anyone, everything else with a key or a token. Prices come from `supplier`.
/// Instances with the same `redis` share their limits; without one they are in memory.
///
/// # Errors
///
/// When the stack cannot be built; its settings are constants, so that a test would have found it.
pub fn app(
    log: AccessLogLayer,
    supplier: Supplier,
    redis: Option<&RedisStore>,
    tokens: Tokens,
) -> Result<App, Box<dyn Error>> {
    app_with(log, supplier, redis, tokens, Router::new())
}

/// The same with more routes that need a key or a token, for tests.
///
/// # Errors
///
/// As [`app`].
pub fn app_with(
    log: AccessLogLayer,
    supplier: Supplier,
    redis: Option<&RedisStore>,
    tokens: Tokens,
    more: Router<Orders>,
) -> Result<App, Box<dyn Error>> {
    // Before authentication nobody is told what is left: a stranger could read what another caller has used.
    let per_address = RateLimitLayer::new(Rate::per_second(200)?.burst(400)?).by(PerClientAddr);
    let per_caller = RateLimitLayer::new(Rate::per_second(50)?.burst(100)?)
        .by(PerPrincipal)
        .with_headers(HeaderFields::new());
    let everyone = Stack::server()
        .push(ProblemLayer::new())
        .push(CorrelationIdLayer::new())
        .push(TraceContextLayer::new())
        .push(MetricsLayer::new().with_active_requests(true))
        .push(log)
        .push(NormalizeLayer::new())
        .push(TimeoutLayer::new(ANSWER)?)
        // Before the time for the whole answer is over: a slow caller is no failure of the service.
        .push(RequestBodyTimeoutLayer::new().with_idle(BODY)?.with_min_rate(240, BODY)?)
        .push(ClientAddrLayer::peer())
        .push(per_address.in_redis(redis)?);
    let keys = ApiKeyLayer::new(StaticKeys::new(keys::records()?)?).with_realm("orders")?;
    let tokens = JwtLayer::new(tokens.keys, tokens.policy).with_realm("orders")?;
    let callers = everyone.inside().push(AuthLayer::new(keys, tokens)).push(per_caller.in_redis(redis)?);
    // Judges every route by the document: who may not call it learns nothing of what is wrong with the request.
    let api = document::api()?;
    let documented = api.report();
    let described = OpenApiLayer::new(api);
    let readers = callers.inside().push(RequireLayer::scope("orders:read")).push(described.clone());
    let writers = callers.inside().push(RequireLayer::scope("orders:write")).push(described.clone());
    let admins = callers.inside().push(RequireLayer::role("admin")).push(described);
    let stack = format!(
        "every request\n{}\neverything but /health and /openapi.yaml\n{}\nreading, for example\n{}\ncalls to the supplier\n{}",
        everyone.describe(),
        callers.describe(),
        readers.describe(),
        supplier.stack()
    );

    let read = readers.build();
    let write = writers.build();
    let administer = admins.build();
    let quotes =
        Router::new().route("/v1/quotes/{sku}", get(quotes::quote).layer(read.clone())).with_state(supplier);
    let api = Router::new()
        .route("/v1/orders", get(orders::list).layer(read.clone()).merge(post(orders::create).layer(write)))
        .route("/v1/orders/{id}", get(orders::read).layer(read))
        .route("/v1/admin/stats", get(orders::stats).layer(administer))
        .merge(quotes)
        .merge(more)
        // Within the layers below: an unknown route tells nothing to a caller whom nobody knows.
        .fallback(orders::unknown)
        .layer(callers.build())
        .with_state(Orders::default());
    let router = Router::new()
        .route("/health", get(async || "ok\n"))
        .route("/openapi.yaml", get(document::read))
        .merge(api)
        .layer(everyone.build());
    Ok(App { router, stack, documented })
}
