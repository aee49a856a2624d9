//! Allocations of every scenario, and what the scenarios are, as one JSON document.

use std::{env, process::Command};

use allocation_counter::measure;
use bartizan_benches::{BATCH, prepare, scenarios};
use serde_json::json;

fn main() {
    // `cargo bench` adds `--bench`; a number is ours.
    match env::args().nth(1).and_then(|arg| arg.parse().ok()) {
        Some(number) => println!("{}", allocations_of(number)),
        None => println!("{}", report()),
    }
}

fn report() -> serde_json::Value {
    let rows: Vec<_> = scenarios()
        .iter()
        .enumerate()
        .map(|(index, scenario)| {
            let [bare, layered] = [2 * index, 2 * index + 1].map(in_a_process_of_its_own);
            json!({
                "layer": scenario.layer,
                "subject": scenario.subject,
                "ours": scenario.ours,
                "budget": scenario.budget,
                "allocations": (layered - bare) / BATCH as f64,
            })
        })
        .collect();
    json!({ "batch": BATCH, "rows": rows })
}

fn in_a_process_of_its_own(number: usize) -> f64 {
    let program = env::current_exe().expect("a running program has a path");
    let output = Command::new(program).arg(number.to_string()).output().expect("this program starts");
    assert!(output.status.success(), "run {number}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("the program prints a count")
}

fn allocations_of(number: usize) -> u64 {
    let mut prepared = prepare(number);
    measure(|| prepared.run()).count_total
}
