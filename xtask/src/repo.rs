//! What must hold for the files of the repository, whatever they are.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::sh::{Sh, root};

/// The one registry that dependencies come from, as Cargo.lock writes it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Fails when a tracked file names a path of somebody's machine, or Cargo.lock another source than crates.io.
pub(crate) fn check() -> Result<()> {
    let mut faults = Vec::new();
    for file in tracked_files()? {
        // Files that are not text hold no paths that anyone would read; a tracked file that was deleted holds nothing.
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        faults.extend(
            machine_paths(&text)
                .map(|(line, path)| format!("{file}:{line}: `{path}` is a path of one machine")),
        );
    }
    let lock = fs::read_to_string(root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    faults.extend(
        foreign_sources(&lock)
            .map(|(line, source)| format!("Cargo.lock:{line}: `{source}` is not crates.io")),
    );
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("the repository holds what it must not:\n{}", faults.join("\n"))
    }
}

/// All files that git knows or would add. Sources without git, as in an archive, have none that could be wrong.
fn tracked_files() -> Result<Vec<String>> {
    if !Path::exists(&root().join(".git")) {
        return Ok(Vec::new());
    }
    let list =
        Sh::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).output()?;
    Ok(list.split('\0').filter(|file| !file.is_empty()).map(str::to_owned).collect())
}

/// Absolute paths into somebody's home or checkout, each with its line.
fn machine_paths(text: &str) -> impl Iterator<Item = (usize, &str)> {
    // Put together here, so that this file passes its own check.
    const ROOTS: [&str; 6] = [
        concat!("/", "home/"),
        concat!("/", "Users/"),
        concat!("/", "root/"),
        concat!("/", "work/"),
        concat!("C:", "\\Users\\"),
        concat!("/", "workspace/"),
    ];
    text.lines().enumerate().flat_map(|(index, line)| {
        ROOTS.iter().flat_map(move |root| {
            line.match_indices(root).filter_map(move |(at, _)| {
                let starts_a_path =
                    line[..at].chars().next_back().is_none_or(|before| !is_path_character(before));
                let path = line[at..].split(|c| !is_path_character(c)).next()?;
                starts_a_path.then_some((index + 1, path))
            })
        })
    })
}

/// Characters of which paths and addresses are made. A root after one of these is the middle of a longer path.
fn is_path_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '/' | '\\' | '.' | '-' | '_' | '~' | '*' | '}')
}

/// Sources in Cargo.lock that are not crates.io, each with its line.
fn foreign_sources(lock: &str) -> impl Iterator<Item = (usize, &str)> {
    lock.lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, line.strip_prefix("source = \"")?.strip_suffix('"')?)))
        .filter(|(_, source)| *source != REGISTRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_paths_are_found_with_their_line() {
        let path = concat!("/", "home/ann/project");
        let text = format!("fine\nsee {path}, please\n\"{path}\"\n");
        assert_eq!(machine_paths(&text).collect::<Vec<_>>(), [(2, path), (3, path)]);
    }

    #[test]
    fn routes_and_addresses_are_no_machine_paths() {
        let text =
            concat!("https://example.com/", "home/page and ./", "work/ and src/", "work/x and homework/");
        assert_eq!(machine_paths(text).collect::<Vec<_>>(), []);
    }

    #[test]
    fn only_the_default_registry_is_a_source() {
        let lock = format!("name = \"a\"\nsource = \"{REGISTRY}\"\nsource = \"git+https://example.com/a\"\n");
        assert_eq!(foreign_sources(&lock).collect::<Vec<_>>(), [(3, "git+https://example.com/a")]);
    }
}
