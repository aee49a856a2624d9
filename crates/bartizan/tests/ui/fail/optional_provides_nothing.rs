use bartizan::{
    Stack,
    auth::{ApiKeyLayer, RequireLayer, StaticKeys},
};

fn main() {
    let keys = ApiKeyLayer::new(StaticKeys::new([]).unwrap());
    let _ = Stack::server().push(Some(keys.clone())).push(RequireLayer::scope("orders:read"));
    let _ = Stack::server().push(keys.optional()).push(RequireLayer::scope("orders:read"));
}
