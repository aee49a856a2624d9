//! Runs the benchmarks and reads what they found.
//!
//! The programs are `benches/benches/*.rs`. Scenario `n` of their list runs twice: without its layer as `2 n`, with it
//! as `2 n + 1`. What a layer costs is the difference.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::row::Row;
use crate::sh::{Sh, target};

/// What the first program tells: the scenarios, and how many requests are counted together.
#[derive(serde::Deserialize)]
struct Report {
    batch: u32,
    rows: Vec<Row>,
}

pub(super) fn rows(with_time: bool) -> Result<Vec<Row>> {
    let report = bench("allocations").output()?;
    let Report { batch, mut rows } = serde_json::from_str(&report).context("the report of allocations")?;

    let instructions = instructions()?;
    let times = if with_time { times(rows.len())? } else { BTreeMap::new() };
    for (index, row) in rows.iter_mut().enumerate() {
        let count = |arm| {
            let total =
                instructions.get(&arm).with_context(|| format!("no instructions of `{}`", row.layer))?;
            anyhow::Ok(total / f64::from(batch))
        };
        row.instructions = count(2 * index + 1)? - count(2 * index)?;
        row.time_ratio = times.get(&index).copied();
    }
    Ok(rows)
}

/// What a second thread adds, which the program prints and judges itself.
pub(super) fn scaling() -> Result<()> {
    bench("scaling").run()
}

fn bench(name: &str) -> Sh {
    // A run that fails says why in one line; the way it came there is of no use.
    let program = Sh::cargo("bench").env("RUST_BACKTRACE", "0");
    program.args(["--quiet", "--package", "bartizan-benches", "--bench", name])
}

/// The instructions of each run.
fn instructions() -> Result<BTreeMap<usize, f64>> {
    let output = bench("instructions").args(["--", "--output-format=json", "--parallel=auto"]).output()?;
    output.lines().filter(|line| line.starts_with('{')).map(instructions_of_line).collect()
}

fn instructions_of_line(line: &str) -> Result<(usize, f64)> {
    let summary: Value = serde_json::from_str(line).context("the report of instructions")?;
    // `iter` numbers its benchmarks: arm_0, arm_1, …
    let id = summary["id"].as_str().and_then(|id| id.rsplit('_').next()?.parse().ok());
    let profiles = summary["profiles"].as_array();
    let callgrind = profiles.and_then(|all| all.iter().find(|profile| profile["tool"] == "Callgrind"));
    // A count stands beside that of the last run, `old`, if there was one.
    let count =
        callgrind.and_then(|profile| profile["data"]["total"]["metrics"]["Ir"]["values"]["new"].as_f64());
    match (id, count) {
        (Some(id), Some(count)) => Ok((id, count)),
        _ => bail!("gungraun reports in a format that this program does not know: {line}"),
    }
}

/// The time of each scenario with its layer, as a multiple of the time without.
fn times(scenarios: usize) -> Result<BTreeMap<usize, f64>> {
    // What criterion prints for people is not the table.
    bench("time").output()?;
    (0..scenarios)
        .map(|index| {
            let mean = |arm: &str| {
                let file = target().join(format!("criterion/scenario-{index}/{arm}/new/estimates.json"));
                let text =
                    fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
                let estimates: Value = serde_json::from_str(&text)?;
                estimates["median"]["point_estimate"].as_f64().context("criterion reports no median")
            };
            Ok((index, mean("layered")? / mean("bare")?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_count_is_read_from_a_report() {
        let line = r#"{"id":"arm_13","profiles":[{"tool":"Callgrind","data":{"total":{"metrics":
            {"Ir":{"change":{"factor":"1"},"values":{"new":81746,"old":80000}}}}}}]}"#;
        assert_eq!(instructions_of_line(line).unwrap(), (13, 81_746.0));
    }

    #[test]
    fn a_report_without_a_count_is_an_error() {
        assert!(instructions_of_line(r#"{"id":"arm_0","profiles":[]}"#).is_err());
        assert!(instructions_of_line("{").is_err());
    }
}
