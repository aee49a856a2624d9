use bartizan::{NormalizeLayer, Stack, auth::RequireLayer};

fn main() {
    let _ = Stack::server().push(NormalizeLayer::new()).push(RequireLayer::scope("orders:read"));
}
