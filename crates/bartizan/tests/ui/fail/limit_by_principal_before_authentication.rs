use bartizan::{
    Stack,
    auth::{ApiKeyLayer, StaticKeys},
    rate_limit::{PerPrincipal, Rate, RateLimitLayer},
};

fn main() {
    let keys = ApiKeyLayer::new(StaticKeys::new([]).unwrap());
    let limit = RateLimitLayer::new(Rate::per_second(50).unwrap()).by(PerPrincipal);
    let _ = Stack::server().push(limit).push(keys);
}
