//! Cargo tools, pinned and installed into the target folder, so that nothing of the user's is touched.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};

use crate::sh::{Sh, root, target};

/// A program that `cargo install` provides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

/// Licences, bans, sources, advisories.
pub(crate) const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
/// Combinations of features.
pub(crate) const CARGO_HACK: Tool = Tool { name: "cargo-hack", version: "0.6.46" };
/// Runs benchmarks under valgrind. Its version is that of the library: see [`check_runner_version`].
pub(crate) const GUNGRAUN_RUNNER: Tool = Tool { name: "gungraun-runner", version: "0.20.0" };

/// The folder the tools are in.
pub(crate) fn bin_folder() -> PathBuf {
    tools_folder().join("bin")
}

fn tools_folder() -> PathBuf {
    target().join("tools")
}

impl Tool {
    /// Installs the pinned version unless it is there.
    pub(crate) fn install(self) -> Result<()> {
        if self.is_installed() {
            return Ok(());
        }
        eprintln!("installing {} {} into the target folder", self.name, self.version);
        Sh::cargo("install")
            .args(["--locked", "--quiet", "--root"])
            .arg(tools_folder())
            .args([self.name, "--version", self.version])
            // Tools run for seconds: time spent on optimizing them is lost.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .run()
            .with_context(|| format!("{} {} could not be installed", self.name, self.version))
    }

    /// Whether cargo's record of what it installed names this version, and the program is there.
    fn is_installed(self) -> bool {
        let record = fs::read_to_string(tools_folder().join(".crates.toml")).unwrap_or_default();
        record.contains(&format!("\"{} {} (", self.name, self.version))
            && bin_folder().join(self.name).with_extension(std::env::consts::EXE_EXTENSION).is_file()
    }
}

/// The runner and the library talk over an interface of their own: both must be of one version.
pub(crate) fn check_runner_version() -> Result<()> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let locked = locked_version(&lock, "gungraun").context("Cargo.lock does not name gungraun")?;
    if locked != GUNGRAUN_RUNNER.version {
        bail!(
            "Cargo.lock has gungraun {locked} and xtask/src/tool.rs pins gungraun-runner {}: make them equal",
            GUNGRAUN_RUNNER.version
        );
    }
    Ok(())
}

fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locked_version_is_that_of_the_package_of_exactly_this_name() {
        let lock = "[[package]]\nname = \"gungraun-macros\"\nversion = \"0.10.0\"\n\n[[package]]\nname = \"gungraun\"\nversion = \"0.20.0\"\n";
        assert_eq!(locked_version(lock, "gungraun"), Some("0.20.0"));
        assert_eq!(locked_version(lock, "other"), None);
    }
}
