use bartizan::{ProblemLayer, Stack};

fn main() {
    let _ = Stack::client().push(ProblemLayer::new());
}
