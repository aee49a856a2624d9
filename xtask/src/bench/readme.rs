//! The table in the README.

use std::fs;

use anyhow::{Context, Result};

use crate::sh::root;

const BEGIN: &str = "<!-- costs: written by `cargo xtask bench --bless` -->\n";
const END: &str = "<!-- end of costs -->";

/// Puts the table between its marks in the README.
pub(super) fn write(table: &str) -> Result<()> {
    let file = root().join("README.md");
    let text = fs::read_to_string(&file).context("cannot read README.md")?;
    let text = with_table(&text, table).context("README.md has lost the marks of its cost table")?;
    fs::write(&file, text).context("cannot write README.md")
}

fn with_table(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_replaces_the_one_before_and_nothing_else() {
        let text = format!("a\n{BEGIN}old\n{END}\nb\n");
        let once = with_table(&text, "| new |\n").unwrap();
        assert_eq!(once, format!("a\n{BEGIN}\n| new |\n\n{END}\nb\n"));
        assert_eq!(with_table(&once, "| new |\n").unwrap(), once);
        assert_eq!(with_table("no marks", "| new |\n"), None);
    }
}
