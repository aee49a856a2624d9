//! Instructions of every run, counted by valgrind.

#![expect(missing_docs, reason = "what the macros of gungraun make has no documentation")]

use bartizan_benches::{Prepared, prepare, scenarios};
use gungraun::{Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};

#[library_benchmark]
#[benches::arm(iter = 0..2 * scenarios().len(), setup = prepare)]
fn run(mut prepared: Prepared) -> Prepared {
    prepared.run();
    prepared
}

library_benchmark_group!(name = layers, benchmarks = run);

main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = layers
);
