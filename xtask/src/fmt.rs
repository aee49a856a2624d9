//! `cargo xtask fmt`.

use anyhow::Result;

use crate::sh::Sh;

/// How to format.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail if something would change.
    #[arg(long)]
    pub(crate) check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    Sh::cargo("fmt").arg("--all").args(args.check.then_some("--check")).run()
}
