//! `cargo xtask bench`: what each layer costs, beside its peers, and whether that got worse.

mod baseline;
mod measure;
mod row;
mod table;

use anyhow::{Result, bail};

use self::baseline::Baseline;
use crate::{
    requirement::{self, VALGRIND},
    tool::{GUNGRAUN_RUNNER, check_runner_version},
};

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Make what is measured now the committed baseline.
    #[arg(long)]
    pub(crate) bless: bool,
    /// Leave out the time, which takes longest and is never a gate.
    #[arg(long)]
    pub(crate) no_time: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    check_runner_version()?;
    requirement::provide(&[VALGRIND])?;
    GUNGRAUN_RUNNER.install()?;

    let rows = measure::rows(!args.no_time)?;
    println!("\n{}", table::markdown(&rows));

    if args.bless {
        // Blessing accepts a change, never a layer that is over its budget.
        baseline::write(&Baseline::of(&rows))?;
    }
    let faults = baseline::read()?.faults(&rows);
    if faults.is_empty() { Ok(()) } else { bail!("layers cost more than they may:\n{}", faults.join("\n")) }
}
