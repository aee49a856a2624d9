//! `cargo xtask msrv`: the crates build with the oldest toolchain they promise.

use anyhow::{Context, Result};

use crate::{
    sh::{Sh, root, target},
    workspace,
};

pub(crate) fn run() -> Result<()> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).context("cannot read Cargo.toml")?;
    let version = rust_version(&manifest).context("Cargo.toml has no rust-version")?;
    Sh::new("rustup")
        .args(["toolchain", "install", "--profile", "minimal", "--no-self-update", version])
        .run()?;
    // The crates without what only tests, benches and commands need. A folder of its own, so that the work of the
    // pinned toolchain survives.
    Sh::new("rustup")
        .args(["run", version, "cargo", "check", "--locked", "--lib", "--all-features"])
        .args(workspace::packages(&workspace::crates()?))
        .arg("--target-dir")
        .arg(target().join("msrv"))
        .run()
}

fn rust_version(manifest: &str) -> Option<&str> {
    let line = manifest.lines().find(|line| line.starts_with("rust-version"))?;
    line.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_manifest() {
        assert_eq!(rust_version("[workspace.package]\nrust-version = \"1.90\"\n"), Some("1.90"));
        assert_eq!(rust_version("[workspace.package]\n"), None);
    }
}
