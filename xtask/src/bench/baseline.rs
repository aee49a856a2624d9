//! What our layers cost when the baseline was last blessed, and the rules for costing more.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::row::{Ceiling, Row};
use crate::sh::root;

/// Counts vary a little with addresses and hash seeds: worse means both of these.
const TOLERATED_SHARE: f64 = 0.03;
const TOLERATED_INSTRUCTIONS: f64 = 40.0;
/// One allocation in twenty requests is one too many; fewer are a buffer that grows.
const TOLERATED_ALLOCATIONS: f64 = 0.05;

/// The cost of each of our layers, by the name of its row.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Baseline(BTreeMap<String, Cost>);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Cost {
    instructions: f64,
    allocations: f64,
}

fn file() -> PathBuf {
    root().join("benches/baseline.json")
}

/// The committed baseline.
pub(super) fn read() -> Result<Baseline> {
    let text =
        fs::read_to_string(file()).context("cannot read benches/baseline.json (`--bless` writes it)")?;
    serde_json::from_str(&text).context("benches/baseline.json")
}

/// Replaces the committed baseline.
pub(super) fn write(baseline: &Baseline) -> Result<()> {
    let text = serde_json::to_string_pretty(baseline)? + "\n";
    fs::write(file(), text).context("cannot write benches/baseline.json")?;
    eprintln!("benches/baseline.json is what was measured now");
    Ok(())
}

impl Baseline {
    /// The baseline that what was measured makes.
    pub(super) fn of(rows: &[Row]) -> Self {
        let ours = rows.iter().filter(|row| row.ours);
        Self(ours.map(|row| (row.layer.clone(), Cost::of(row))).collect())
    }

    /// Why what was measured must not be merged, one line each.
    pub(super) fn faults(&self, rows: &[Row]) -> Vec<String> {
        let ours: Vec<_> = rows.iter().filter(|row| row.ours).collect();
        let mut faults: Vec<_> = ours.iter().flat_map(|row| self.faults_of(row)).collect();
        let is_stale = |layer: &&String| !ours.iter().any(|row| row.layer == **layer);
        faults.extend(self.0.keys().filter(is_stale).map(|layer| {
            format!("{layer}: in the baseline, but nothing measures it any more; `--bless` removes it")
        }));
        faults
    }

    fn faults_of(&self, row: &Row) -> Vec<String> {
        let Cost { instructions, allocations } = Cost::of(row);
        let mut faults = Vec::new();
        if let Some(budget) = row.budget {
            let met = Ceiling { instructions: budget.instructions, allocations: budget.allocations };
            let is_within = |ceiling: Ceiling| {
                let enough = f64::from(ceiling.allocations) + TOLERATED_ALLOCATIONS;
                (instructions <= f64::from(ceiling.instructions), allocations <= enough)
            };
            let ceiling = budget.not_met_yet.unwrap_or(met);
            let (few_instructions, few_allocations) = is_within(ceiling);
            if !few_instructions {
                let most = ceiling.instructions;
                faults.push(format!("{instructions} instructions, and its budget is {most}"));
            }
            if !few_allocations {
                let most = ceiling.allocations;
                faults.push(format!("{allocations} allocations, and its budget is {most}"));
            }
            if budget.not_met_yet.is_some() && is_within(met) == (true, true) {
                faults.push(format!(
                    "{instructions} instructions and {allocations} allocations meet its budget: take `not_met_yet` out"
                ));
            }
        }
        match self.0.get(&row.layer) {
            Some(before) => {
                let more = instructions - before.instructions;
                if more > TOLERATED_INSTRUCTIONS && more > TOLERATED_SHARE * before.instructions {
                    faults.push(format!(
                        "{instructions} instructions, and the baseline has {}",
                        before.instructions
                    ));
                }
                if allocations > before.allocations + TOLERATED_ALLOCATIONS {
                    faults.push(format!(
                        "{allocations} allocations, and the baseline has {}",
                        before.allocations
                    ));
                }
            }
            None => faults.push("not in the baseline; `--bless` adds it".to_owned()),
        }
        faults.into_iter().map(|fault| format!("{}: {fault}", row.layer)).collect()
    }
}

impl Cost {
    /// What was measured, in the precision that means something.
    fn of(row: &Row) -> Self {
        Self {
            instructions: row.instructions.round(),
            allocations: (row.allocations * 100.0).round() / 100.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::Budget;

    fn row(instructions: f64, allocations: f64) -> Row {
        Row {
            layer: "layer".into(),
            subject: "bartizan".into(),
            ours: true,
            budget: Some(Budget { instructions: 2000, allocations: 2, not_met_yet: None }),
            allocations,
            instructions,
            time_ratio: None,
        }
    }

    fn faults(before: (f64, f64), now: (f64, f64)) -> Vec<String> {
        Baseline::of(&[row(before.0, before.1)]).faults(&[row(now.0, now.1)])
    }

    #[test]
    fn the_same_cost_and_a_lower_one_pass() {
        assert!(faults((1000.0, 2.0), (1000.0, 2.0)).is_empty());
        assert!(faults((1000.0, 2.0), (500.0, 0.0)).is_empty());
    }

    #[test]
    fn a_budget_not_met_yet_is_a_ceiling_until_it_is_met() {
        let ceiling = Ceiling { instructions: 2500, allocations: 3 };
        let not_met = |instructions, allocations| Row {
            budget: Some(Budget { instructions: 2000, allocations: 2, not_met_yet: Some(ceiling) }),
            ..row(instructions, allocations)
        };
        let faults = |instructions, allocations| {
            Baseline::of(&[not_met(instructions, allocations)]).faults(&[not_met(instructions, allocations)])
        };
        assert!(faults(2400.0, 2.0).is_empty());
        assert!(faults(1900.0, 3.0).is_empty());
        assert_eq!(faults(2501.0, 2.0), ["layer: 2501 instructions, and its budget is 2500"]);
        assert_eq!(faults(2400.0, 4.0), ["layer: 4 allocations, and its budget is 3"]);
        assert_eq!(
            faults(2000.0, 2.0),
            ["layer: 2000 instructions and 2 allocations meet its budget: take `not_met_yet` out"]
        );
    }

    #[test]
    fn a_little_more_passes_and_a_lot_more_fails() {
        assert!(faults((1000.0, 2.0), (1039.0, 2.0)).is_empty(), "more than 3 %, but not 40 instructions");
        assert!(faults((1900.0, 2.0), (1950.0, 2.0)).is_empty(), "more than 40 instructions, but not 3 %");
        assert_eq!(
            faults((1000.0, 2.0), (1041.0, 2.0)),
            ["layer: 1041 instructions, and the baseline has 1000"]
        );
    }

    #[test]
    fn any_allocation_more_fails() {
        assert_eq!(faults((1000.0, 1.0), (1000.0, 2.0)), ["layer: 2 allocations, and the baseline has 1"]);
        assert!(faults((1000.0, 1.0), (1000.0, 1.02)).is_empty(), "a buffer that grows now and then");
    }

    #[test]
    fn over_budget_fails_whatever_the_baseline_says() {
        assert_eq!(
            faults((2001.0, 2.0), (2001.0, 2.0)),
            ["layer: 2001 instructions, and its budget is 2000"]
        );
        assert_eq!(faults((1000.0, 3.0), (1000.0, 3.0)), ["layer: 3 allocations, and its budget is 2"]);
    }

    #[test]
    fn a_row_is_in_both_or_in_neither() {
        assert_eq!(
            Baseline::default().faults(&[row(1.0, 0.0)]),
            ["layer: not in the baseline; `--bless` adds it"]
        );
        let stale = Baseline::of(&[row(1.0, 0.0)]).faults(&[]);
        assert_eq!(stale, ["layer: in the baseline, but nothing measures it any more; `--bless` removes it"]);
    }

    #[test]
    fn peers_are_not_held_to_anything() {
        let peer = Row { ours: false, ..row(1e9, 1e9) };
        assert!(Baseline::default().faults(&[peer]).is_empty());
    }
}
