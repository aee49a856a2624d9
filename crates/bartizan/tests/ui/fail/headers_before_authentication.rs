use bartizan::rate_limit::{HeaderFields, PerClientAddr, Rate, RateLimitLayer};

fn main() {
    let limit = RateLimitLayer::new(Rate::per_second(50).unwrap()).by(PerClientAddr);
    let _ = limit.with_headers(HeaderFields::new());
}
