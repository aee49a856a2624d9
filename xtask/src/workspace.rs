//! What cargo knows of the workspace.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::sh::{Sh, root};

/// The names of the crates that users depend on: all members under `crates/`.
pub(crate) fn crates() -> Result<Vec<String>> {
    let metadata = Sh::cargo("metadata").args(["--format-version", "1", "--no-deps"]).read()?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo's metadata")?;
    let folder = root().join("crates");
    let packages = metadata["packages"].as_array().context("cargo's metadata name no packages")?;
    let ours = packages.iter().filter(|package| {
        package["manifest_path"].as_str().is_some_and(|path| std::path::Path::new(path).starts_with(&folder))
    });
    Ok(ours.filter_map(|package| package["name"].as_str()).map(str::to_owned).collect())
}

/// The crates as arguments that select them.
pub(crate) fn packages(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().flat_map(|name| ["--package", name])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crates_are_those_of_the_folder_and_no_other_member() {
        let crates = crates().unwrap();
        assert!(crates.contains(&"bartizan-core".to_owned()), "{crates:?}");
        assert!(!crates.contains(&env!("CARGO_PKG_NAME").to_owned()), "{crates:?}");
    }
}
