use bartizan::{Stack, retry::RetryLayer};

fn main() {
    let stack = Stack::client().recommended("supplier").unwrap();
    let _ = stack.push(RetryLayer::new());
}
