//! What a second thread adds where threads share a layer. Fails when that is too little.

use std::{fmt, process::ExitCode, thread::available_parallelism};

use bartizan_benches::{Arm, Together, requests_per_second};

/// Interleaved, so that one thread and two, with the layer and without, share the mood of the machine.
const ROUNDS: usize = 15;

const BATCHES: usize = 200;

/// What two threads are to do of what one does.
const TARGET: f64 = 1.8;

/// With less, cores fight over something on that path: a shared counter would leave a half.
const GATE: f64 = 1.4;

fn main() -> ExitCode {
    if available_parallelism().map_or(1, usize::from) < 2 {
        println!("scaling: not measured, for there is one core");
        return ExitCode::SUCCESS;
    }
    println!("two threads do so many times what one does (median of {ROUNDS}, least to most):");
    let reached = [Together::OneToken, Together::ManyAddresses].map(report);
    if reached.iter().all(|reached| *reached >= GATE) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What two threads would do on a machine with two free cores.
fn report(together: Together) -> f64 {
    let gains = || [Arm::Bare, Arm::Layered].map(|arm| gain(together, arm));
    let rounds: Vec<[f64; 2]> = (0..ROUNDS).map(|_| gains()).collect();
    // The bare service shares nothing: what it does not gain is not the machine's to give.
    let bare = Gains::of(rounds.iter().map(|[bare, _]| *bare));
    let layered = Gains::of(rounds.iter().map(|[_, layered]| *layered));
    let shares = Gains::of(rounds.iter().map(|[bare, layered]| layered / bare));
    let reached = layered.median.max(2.0 * shares.median);
    println!("{}: {layered}; the bare service {bare}, of which that is {shares}", together.name());
    println!("  on two free cores {reached:.2}; target {TARGET:.2}, gate {GATE:.2}");
    if bare.median < GATE {
        // Threads that take turns on one core do not fight over what they share.
        println!("  which says little: there were no two free cores");
    }
    reached
}

/// What two threads do of what one does.
fn gain(together: Together, arm: Arm) -> f64 {
    let one = requests_per_second(together, arm, 1, BATCHES);
    requests_per_second(together, arm, 2, BATCHES) / one
}

struct Gains {
    least: f64,
    median: f64,
    most: f64,
}

impl Gains {
    fn of(gains: impl Iterator<Item = f64>) -> Self {
        let mut gains: Vec<f64> = gains.collect();
        gains.sort_by(f64::total_cmp);
        Self { least: gains[0], median: gains[gains.len() / 2], most: gains[gains.len() - 1] }
    }
}

impl fmt::Display for Gains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.least, self.most)
    }
}
