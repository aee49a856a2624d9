//! Time of every run, sampled by criterion.

use std::{
    env,
    process::Command,
    time::{Duration, Instant},
};

use bartizan_benches::{Arm, BATCH, Prepared, scenarios};
use criterion::{Criterion, Throughput};

fn main() {
    // `cargo bench` adds `--bench`; a number is ours.
    match env::args().nth(1).and_then(|arg| arg.parse::<usize>().ok()) {
        Some(index) => both_arms(index),
        None => (0..scenarios().len()).for_each(in_a_process_of_its_own),
    }
}

fn in_a_process_of_its_own(index: usize) {
    let program = env::current_exe().expect("a running program has a path");
    let status = Command::new(program).arg(index.to_string()).status().expect("this program starts");
    assert!(status.success(), "scenario {index} failed: {status}");
}

/// The arms one after the other, in one process and so in the same mood of the machine.
fn both_arms(index: usize) {
    let mut criterion = Criterion::default().without_plots();
    let mut group = criterion.benchmark_group(format!("scenario-{index}"));
    group.throughput(Throughput::Elements(BATCH as u64));
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(50);
    for (name, arm) in [("bare", Arm::Bare), ("layered", Arm::Layered)] {
        let mut prepared = scenarios()[index].prepare(arm);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| time_of(&mut prepared, rounds));
        });
    }
    group.finish();
}

/// The time of this many batches.
#[expect(clippy::disallowed_methods, reason = "this measures time")]
fn time_of(prepared: &mut Prepared, rounds: u64) -> Duration {
    let start = Instant::now();
    (0..rounds).for_each(|_| prepared.run());
    start.elapsed()
}
