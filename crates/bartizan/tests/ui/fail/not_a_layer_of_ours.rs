use std::time::Duration;

use bartizan::Stack;
use tower::timeout::TimeoutLayer;

fn main() {
    let _ = Stack::server().push(TimeoutLayer::new(Duration::from_secs(1)));
}
