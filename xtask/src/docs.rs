//! `cargo xtask docs`: what docs.rs will show, with warnings as errors.

use anyhow::Result;

use crate::{sh::Sh, workspace};

pub(crate) fn run() -> Result<()> {
    Sh::cargo("doc")
        .args(["--no-deps", "--all-features"])
        .args(workspace::packages(&workspace::crates()?))
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
}
