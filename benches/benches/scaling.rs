//! What a second thread adds on the path of a token seen before: printed, not a gate, for it takes a quiet machine.

use bartizan_benches::{Arm, requests_per_second};

/// Interleaved, so that one thread and two share the mood of the machine.
const ROUNDS: usize = 15;

const BATCHES: usize = 200;

fn main() {
    // The bare service shares nothing: what it does not reach is the machine's.
    for (name, arm) in [("bare service", Arm::Bare), ("JWT, token seen before", Arm::Layered)] {
        report(name, arm);
    }
}

fn report(name: &str, arm: Arm) {
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let one = requests_per_second(arm, 1, BATCHES);
            requests_per_second(arm, 2, BATCHES) / one
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "{name}: two threads do {:.2} times what one does (median of {ROUNDS}, {:.2} to {:.2})",
        ratios[ROUNDS / 2],
        ratios[0],
        ratios[ROUNDS - 1],
    );
}
