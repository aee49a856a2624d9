//! The table people read.

use std::fmt::Write as _;

use super::row::Row;

/// All rows as a Markdown table, ours set in bold.
pub(super) fn markdown(rows: &[Row]) -> String {
    let mut table = String::from(
        "| layer | whose | instructions | allocations | time, × bare | budget |\n|---|---|---:|---:|---:|---:|\n",
    );
    for row in rows {
        let subject = if row.ours { format!("**{}**", row.subject) } else { row.subject.clone() };
        let time = row.time_ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        let budget = row.budget.map_or_else(
            || "–".to_owned(),
            |budget| {
                let note = if budget.not_met_yet.is_some() { ", not met yet" } else { "" };
                format!("{} / {}{note}", budget.instructions, budget.allocations)
            },
        );
        writeln!(
            table,
            "| {} | {subject} | {:.0} | {} | {time} | {budget} |",
            row.layer,
            row.instructions,
            count(row.allocations),
        )
        .expect("a string takes everything");
    }
    table
}

/// A whole number where it is one: `2`, `0.03`.
fn count(allocations: f64) -> String {
    let text = format!("{allocations:.2}");
    text.strip_suffix(".00").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::{Budget, Ceiling};

    #[test]
    fn ours_and_theirs_stand_in_one_table() {
        let ours = Row {
            layer: "request id".into(),
            subject: "bartizan".into(),
            ours: true,
            budget: Some(Budget { instructions: 2000, allocations: 2, not_met_yet: None }),
            allocations: 2.0,
            instructions: 1670.4,
            time_ratio: Some(1.5),
        };
        let theirs = Row {
            subject: "peer".into(),
            ours: false,
            budget: Some(Budget {
                instructions: 900,
                allocations: 2,
                not_met_yet: Some(Ceiling { instructions: 1700, allocations: 2 }),
            }),
            allocations: 0.031,
            time_ratio: None,
            ..ours.clone()
        };
        let table = markdown(&[ours, theirs]);
        let lines: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| request id | **bartizan** | 1670 | 2 | 1.50 | 2000 / 2 |",
                "| request id | peer | 1670 | 0.03 | – | 900 / 2, not met yet |",
            ]
        );
    }
}
