//! `cargo xtask deny`: what may enter the dependency tree. The rules are in `deny.toml`.

use anyhow::Result;

use crate::{sh::Sh, tool::CARGO_DENY};

/// What to check.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Check for known vulnerabilities too, which needs their database to be reachable. `BARTIZAN_ADVISORIES=1` in the
    /// environment asks for the same.
    #[arg(long)]
    pub(crate) advisories: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    CARGO_DENY.install()?;
    let advisories = args.advisories || std::env::var("BARTIZAN_ADVISORIES").is_ok_and(|value| value == "1");
    Sh::cargo("deny")
        .args(["--locked", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"])
        .args(advisories.then_some("advisories"))
        .run()
}
