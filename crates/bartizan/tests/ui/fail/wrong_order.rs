use bartizan::{NormalizeLayer, Stack, correlation_id::CorrelationIdLayer};

fn main() {
    let _ = Stack::server().push(NormalizeLayer::new()).push(CorrelationIdLayer::new());
}
