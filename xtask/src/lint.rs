//! `cargo xtask lint`: clippy, and what clippy cannot see.

use anyhow::Result;

use crate::{repo, sh::Sh};

pub(crate) fn run() -> Result<()> {
    repo::check()?;
    Sh::cargo("clippy").args(["--workspace", "--all-features", "--all-targets", "--", "-D", "warnings"]).run()
}
