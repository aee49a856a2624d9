//! `cargo xtask features`: every feature builds alone, and the umbrella's in pairs; what lacks one says so; the dependencies
//! that the README says to copy are enough.

use anyhow::Result;

use crate::{sh::Sh, tool::CARGO_HACK, workspace};

const UMBRELLA: &str = "bartizan";

/// The features of the umbrella that its own code depends on, or that it hands to several crates at once. Each other one
/// is handed to one layer's crate, which is checked with each of its features.
const IN_PAIRS: &str = "axum,metrics,recommended,reqwest,scope,tonic,tonic-tls,tracing,validate";

pub(crate) fn run() -> Result<()> {
    CARGO_HACK.install()?;
    let crates = workspace::crates()?;
    // Clippy rather than check, for code that is dead without a feature. Only libraries are built, and the resolver
    // keeps the features of dev-dependencies out of them, so manifests need not be rewritten (`--no-dev-deps`).
    Sh::cargo("hack")
        .args(["clippy", "--lib", "--each-feature", "--keep-going"])
        .args(workspace::packages(&crates))
        .args(["--quiet", "--", "-D", "warnings"])
        .run()?;
    Sh::cargo("hack")
        .args(["clippy", "--lib", "--package", UMBRELLA, "--feature-powerset", "--depth", "2"])
        .args(["--include-features", IN_PAIRS, "--quiet", "--", "-D", "warnings"])
        .run()?;
    // What is said at run time where a library is missing, which no build of all features shows.
    Sh::cargo("test")
        .args(["--package", "bartizan-auth", "--no-default-features", "--features", "dpop,https-client"])
        .args(["--lib", "--quiet", "none::"])
        .run()?;
    Sh::cargo("test")
        .args(["--package", "bartizan-tests", "--test", "umbrella", "--quiet", "--", "--ignored"])
        .run()
}
