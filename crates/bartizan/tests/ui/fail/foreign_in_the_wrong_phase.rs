use bartizan::{NormalizeLayer, Stack, phase};
use tower_layer::Identity;

fn main() {
    let _ = Stack::server()
        .push(NormalizeLayer::new())
        .push_foreign_at::<phase::Cache, _>("cache", Identity::new())
        .push_foreign_at::<phase::Cors, _>("cors", Identity::new());
}
