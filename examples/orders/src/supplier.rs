//! The supplier that quotes prices: a service of its own, which this example can start itself.

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    routing::get,
};
use bartizan::{
    NormalizeLayer, ProblemLayer, Reason, Rejection, RequestContext, Stack,
    access_log::AccessLogLayer,
    correlation_id::{CorrelationIdLayer, TraceContextLayer},
};
use tower::util::MapRequestLayer;

use crate::{faults::Faults, quotes::Quote};

/// What the supplier sells, and for how many cents.
const PRICES: [(&str, u64); 2] = [("sku-1", 1_299), ("sku-2", 2_499)];

/// The supplier: `GET /quotes/{sku}`, and `POST /faults` to make it misbehave. Its lines in `log` have
/// `"service.name":"supplier"`.
pub fn supplier(log: AccessLogLayer) -> Router {
    let stack = Stack::server()
        .push(ProblemLayer::new())
        .push(CorrelationIdLayer::new())
        .push(TraceContextLayer::new())
        .push(log)
        .push_foreign("service_name", MapRequestLayer::new(sign))
        .push(NormalizeLayer::new());
    let faults = Faults::default();
    let operators = faults.routes();
    let quotes = Router::new().route("/quotes/{sku}", get(quote)).with_state(faults);
    quotes.merge(operators).layer(stack.build())
}

fn sign(request: Request) -> Request {
    if let Some(context) = RequestContext::get(request.extensions()) {
        context.event().record("service.name", "supplier");
    }
    request
}

async fn quote(State(faults): State<Faults>, Path(sku): Path<String>) -> axum::response::Result<Json<Quote>> {
    faults.suffer().await?;
    let known = PRICES.iter().find(|(known, _)| *known == sku);
    let (_, price_cents) = known.ok_or_else(|| Rejection::new(Reason::RouteNotFound))?;
    Ok(Json(Quote { sku, price_cents: *price_cents }))
}
