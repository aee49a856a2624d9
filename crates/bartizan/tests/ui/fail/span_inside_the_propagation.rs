use bartizan::{
    Stack,
    correlation_id::{ClientSpanLayer, PropagateLayer},
};

fn main() {
    // What is sent would not be the id of the span.
    let _ = Stack::client().push(PropagateLayer::new()).push(ClientSpanLayer::new(tracing::Level::INFO));
}
