//! The supplier that quotes prices: a service of its own, which this example can start itself.

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use bartizan::{
    NormalizeLayer, ProblemLayer, Reason, Rejection, Stack,
    access_log::{AccessLogLayer, ConfigError},
    correlation_id::{CorrelationIdLayer, TraceContextLayer},
};

use crate::{faults::Faults, quotes::Quote};

/// What the supplier sells, and for how many cents.
const PRICES: [(&str, u64); 2] = [("sku-1", 1_299), ("sku-2", 2_499)];

/// The supplier: `GET /quotes/{sku}`, and `POST /faults` to make it misbehave. Its lines in `log` have
/// `"service.name":"supplier"`.
///
/// # Errors
///
/// When the log has a member of this name already.
pub fn supplier(log: AccessLogLayer) -> Result<Router, ConfigError> {
    let stack = Stack::server()
        .push(ProblemLayer::new())
        .push(CorrelationIdLayer::new())
        .push(TraceContextLayer::new())
        .push(log.with_member("service.name", "supplier")?)
        .push(NormalizeLayer::new());
    let faults = Faults::default();
    let operators = faults.routes();
    let quotes = Router::new().route("/quotes/{sku}", get(quote)).with_state(faults);
    Ok(quotes.merge(operators).layer(stack.build()))
}

async fn quote(State(faults): State<Faults>, Path(sku): Path<String>) -> axum::response::Result<Json<Quote>> {
    faults.suffer().await?;
    let known = PRICES.iter().find(|(known, _)| *known == sku);
    let (_, price_cents) = known.ok_or_else(|| Rejection::new(Reason::RouteNotFound))?;
    Ok(Json(Quote { sku, price_cents: *price_cents }))
}
