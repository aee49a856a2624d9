//! What requests have in common that layers limit, bound or break together.
//!
//! The same values for every layer that works by key: a limit and a bulkhead by [`PerTenant`] speak of the same tenants,
//! though only bulkheads and breakers, which outgoing calls have too, ask for that of the request that is
//! [served](crate::served). Where in a stack a layer by such a key stands, and what becomes of requests without one, each
//! layer says with its own trait for keys.

/// All requests together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Global;

/// All requests of one authenticated [caller](crate::Principal), whatever credential it uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerPrincipal;

/// All requests for one [route](crate::MatchedRoute) or gRPC method, whoever makes them.
///
/// axum's router tells its routes to layers under `Router::layer` alone, with the feature `axum` of `bartizan-core`. All
/// requests whose route is not known are of one.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerRoute;

/// All requests of the callers of one [tenant](crate::Principal::tenant).
#[derive(Clone, Copy, Debug, Default)]
pub struct PerTenant;
