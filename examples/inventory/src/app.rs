//! The service behind its layers.

use std::{error::Error, time::Duration};

use bartizan::{
    NormalizeLayer, ProblemLayer, Stack,
    access_log::AccessLogLayer,
    auth::{ApiKeyLayer, AuthorizeLayer, Require, StaticKeys},
    client_addr::ClientAddrLayer,
    correlation_id::CorrelationIdLayer,
    deadline::{TimeoutLayer, Timeouts},
    metrics::MetricsLayer,
    rate_limit::{ConfigError, PerClientAddr, PerPrincipal, Rate, RateLimitLayer},
};
use tonic::service::Routes;

use crate::{
    Shelf, keys,
    proto::{DESCRIPTOR, inventory_server::InventoryServer},
};

const HEALTH: &str = "/grpc.health.v1.Health/Check";

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// How long an answer may take; a caller's `grpc-timeout` may make it shorter.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a product may be watched before the caller has to ask again.
pub const WATCH: Duration = Duration::from_secs(3_600);

/// How often who may call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one address, known or not.
    pub per_address: Rate,
    /// Of one key.
    pub per_caller: Rate,
}

impl Limits {
    /// Those of the program: 200 calls a second of an address, 50 of a key, twice that at once.
    ///
    /// # Errors
    ///
    /// Never: the rates are constants, so that a test would have found it.
    pub fn usual() -> Result<Self, ConfigError> {
        Ok(Self {
            per_address: Rate::per_second(200)?.burst(400)?,
            per_caller: Rate::per_second(50)?.burst(100)?,
        })
    }
}

/// The service, and its effective stack for people to read.
#[derive(Debug)]
pub struct App {
    /// The service: serve it with tonic's `Server::builder().add_routes(routes)`.
    pub routes: Routes,
    /// What it sells; to be closed when the service stops.
    pub shelf: Shelf,
    /// The effective order of its layers, outside to inside.
    pub stack: String,
}

/// The whole service: health and reflection for anyone, everything else with a key.
///
/// # Errors
///
/// When the stack cannot be built; its settings are constants, so that a test would have found it.
pub async fn app(log: AccessLogLayer, limits: Limits) -> Result<App, Box<dyn Error + Send + Sync>> {
    let rules = AuthorizeLayer::table()
        .public_grpc(HEALTH)
        .public_grpc(REFLECTION)
        .grpc("/inventory.v1.Inventory/GetStock", Require::scope("inventory:read"))
        .grpc("/inventory.v1.Inventory/WatchStock", Require::scope("inventory:read"))
        .grpc("/inventory.v1.Inventory/Reserve", Require::scope("inventory:write"))
        .build()?;
    let watch = Timeouts::new(WATCH)?.with_head(ANSWER)?;
    let keys = StaticKeys::new(keys::records()?)?;
    let stack = Stack::server()
        .push(ProblemLayer::new().with_domain("inventory.example.com")?)
        .push(CorrelationIdLayer::new())
        .push(MetricsLayer::new().with_active_requests(true))
        .push(log)
        .push(NormalizeLayer::new())
        .push(TimeoutLayer::new(ANSWER)?.with_route("inventory.v1.Inventory/WatchStock", watch)?)
        .push(ClientAddrLayer::peer())
        .push(RateLimitLayer::new(limits.per_address).by(PerClientAddr))
        .push(ApiKeyLayer::new(keys).with_realm("inventory")?.with_bypass(HEALTH)?.with_bypass(REFLECTION)?)
        .push(RateLimitLayer::new(limits.per_caller).by(PerPrincipal))
        .push(rules);
    let described = stack.describe().to_string();
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<InventoryServer<Shelf>>().await;
    let shelf = Shelf::default();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR)
        .build_v1()?;
    let routes =
        Routes::new(health_service).add_service(reflection).add_service(InventoryServer::new(shelf.clone()));
    // Around the fallback too: an unknown method is counted, logged and limited like any other.
    let routes = routes.into_axum_router().layer(stack.build()).into();
    Ok(App { routes, shelf, stack: described })
}
