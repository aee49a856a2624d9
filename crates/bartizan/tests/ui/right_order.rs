use bartizan::{NormalizeLayer, ProblemLayer, Stack};

fn main() {
    let _ = Stack::server().push(ProblemLayer::new()).push(Some(NormalizeLayer::new())).push(NormalizeLayer::new());
}
