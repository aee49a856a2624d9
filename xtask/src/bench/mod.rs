//! `cargo xtask bench`: what each layer costs, beside its peers, and whether that got worse.

mod baseline;
mod measure;
mod readme;
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
    /// Make what is measured now the committed baseline, and the table of the README.
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
    let table = table::markdown(&rows);
    println!("\n{table}");
    measure::scaling()?;

    if args.bless {
        // Blessing accepts a change, never a layer that is over its budget.
        baseline::write(&Baseline::of(&rows))?;
        readme::write(&table)?;
    }
    let faults = baseline::read()?.faults(&rows);
    if faults.is_empty() { Ok(()) } else { bail!("layers cost more than they may:\n{}", faults.join("\n")) }
}
