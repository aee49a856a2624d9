//! `cargo xtask features`: every feature builds alone, and the umbrella's in pairs.

use anyhow::Result;

use crate::{sh::Sh, tool::CARGO_HACK, workspace};

const UMBRELLA: &str = "bartizan";

pub(crate) fn run() -> Result<()> {
    CARGO_HACK.install()?;
    let mut crates = workspace::crates()?;
    crates.retain(|name| name != UMBRELLA);
    // Clippy rather than check, for code that is dead without a feature. Only libraries are built, and the resolver
    // keeps the features of dev-dependencies out of them, so manifests need not be rewritten (`--no-dev-deps`).
    Sh::cargo("hack")
        .args(["clippy", "--lib", "--each-feature"])
        .args(workspace::packages(&crates))
        .args(["--quiet", "--", "-D", "warnings"])
        .run()?;
    // `full` is the sum of the others: pairs with it say nothing new.
    Sh::cargo("hack")
        .args(["clippy", "--lib", "--package", UMBRELLA, "--feature-powerset", "--depth", "2"])
        .args(["--exclude-features", "full,default", "--quiet", "--", "-D", "warnings"])
        .run()
}
