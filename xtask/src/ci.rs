//! `cargo xtask ci`: everything that must hold before a change is merged, by rising cost.

use anyhow::Result;

use crate::{bench, deny, docs, features, fmt, lint, steps::Steps, test};

pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    steps.step("fmt", || fmt::run(&fmt::Args { check: true }));
    steps.step("lint", lint::run);
    steps.step("docs", docs::run);
    steps.step("test", test::run);
    steps.step("features", features::run);
    steps.step("deny", || deny::run(&deny::Args { advisories: false }));
    // Time is never a gate, and on a shared machine not worth its minutes.
    steps.step("bench", || bench::run(&bench::Args { bless: false, no_time: true }));
    steps.finish()
}
