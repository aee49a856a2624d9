//! What the eight layers leave of a router's requests in a second, over loopback: printed, not a gate, for it takes a
//! quiet machine with a core for the server and one for the clients.

use std::time::Duration;

use bartizan_benches::{Arm, Loopback};

/// Interleaved, so that both share the mood of the machine.
const ROUNDS: usize = 15;

const SPAN: Duration = Duration::from_secs(1);

fn main() {
    let (bare, layered) = (Loopback::new(Arm::Bare), Loopback::new(Arm::Layered));
    let rounds: Vec<_> =
        (0..ROUNDS).map(|_| (bare.requests_per_second(SPAN), layered.requests_per_second(SPAN))).collect();
    let median = |of: &dyn Fn(&(f64, f64)) -> f64| {
        let mut values: Vec<_> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[ROUNDS / 2]
    };
    println!(
        "axum router over loopback: {:.0} requests a second bare, {:.0} in eight layers, {:.0} % (medians of {ROUNDS})",
        median(&|(bare, _)| *bare),
        median(&|(_, layered)| *layered),
        100.0 * median(&|(bare, layered)| layered / bare),
    );
}
