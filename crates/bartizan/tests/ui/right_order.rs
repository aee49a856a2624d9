use bartizan::{
    NormalizeLayer, ProblemLayer, Stack,
    access_log::AccessLogLayer,
    auth::{ApiKeyLayer, RequireLayer, StaticKeys},
    client_addr::ClientAddrLayer,
    correlation_id::CorrelationIdLayer,
    metrics::MetricsLayer,
    phase,
    rate_limit::{PerClientAddr, PerPrincipal, Rate, RateLimitLayer},
};
use tower_layer::Identity;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stack = Stack::server()
        .push(ProblemLayer::new())
        .push(CorrelationIdLayer::new())
        .push(MetricsLayer::new())
        .push(AccessLogLayer::json(std::io::sink()))
        .push(NormalizeLayer::new())
        .push_foreign_at::<phase::Cors, _>("cors", Identity::new())
        .push(ClientAddrLayer::peer())
        .push(RateLimitLayer::new(Rate::per_second(200)?).by(PerClientAddr))
        .push(ApiKeyLayer::new(StaticKeys::new([])?))
        .push(Some(RateLimitLayer::new(Rate::per_second(50)?).by(PerPrincipal)))
        .push_foreign("anything", Identity::new());
    let _ = stack.inside().push(RequireLayer::scope("orders:read")).build();
    let _ = stack.build();
    Ok(())
}
