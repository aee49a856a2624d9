//! `cargo xtask test`: the one command that runs every test.

use anyhow::Result;

use crate::{
    requirement::{self, REDIS, Requirement},
    sh::Sh,
    totals,
};

/// Programs of the system that tests start.
const NEEDED: &[Requirement] = &[REDIS];

pub(crate) fn run() -> Result<()> {
    totals::begin();
    eprintln!("every test of the workspace: units, integration, examples and documentation");
    requirement::provide(NEEDED)?;
    // All features at once, the same as clippy and the documentation use, so that dependencies are built once.
    // A failure does not stop the other test programs: the totals are those of all of them.
    Sh::cargo("test").args(["--workspace", "--all-features", "--no-fail-fast"]).each_line(totals::add_line)
}
