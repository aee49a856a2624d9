//! `cargo xtask features`: every feature builds alone, and the umbrella's in pairs.

use anyhow::Result;

use crate::{sh::Sh, tool::CARGO_HACK, workspace};

const UMBRELLA: &str = "bartizan";

/// Features of the umbrella that it hands to one layer's crate: that crate is checked with each of them, and no code of
/// the umbrella's own depends on them in pairs. `full` is the sum of the others, and a pair with it says nothing new.
const NOT_IN_PAIRS: &str = "full,default,auth-dpop,auth-https-client,auth-mtls,decompress,json-schema,openapi,outbound-limit,\
    rate-limit-redis,rate-limit-redis-tls,rust-crypto,tower-http";

pub(crate) fn run() -> Result<()> {
    CARGO_HACK.install()?;
    let crates = workspace::crates()?;
    // Clippy rather than check, for code that is dead without a feature. Only libraries are built, and the resolver
    // keeps the features of dev-dependencies out of them, so manifests need not be rewritten (`--no-dev-deps`).
    Sh::cargo("hack")
        .args(["clippy", "--lib", "--each-feature"])
        .args(workspace::packages(&crates))
        .args(["--quiet", "--", "-D", "warnings"])
        .run()?;
    Sh::cargo("hack")
        .args(["clippy", "--lib", "--package", UMBRELLA, "--feature-powerset", "--depth", "2"])
        .args(["--exclude-features", NOT_IN_PAIRS, "--quiet", "--", "-D", "warnings"])
        .run()
}
