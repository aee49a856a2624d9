//! What the test runner said, summed up over all test programs.

use std::{fmt, ops::AddAssign, sync::Mutex};

/// The sum of all `test result:` lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
}

static OF_THIS_RUN: Mutex<Option<Totals>> = Mutex::new(None);

/// The totals of the tests that this run started, if it started any.
pub(crate) fn of_this_run() -> Option<Totals> {
    *OF_THIS_RUN.lock().expect("no code panics while it holds the totals")
}

/// Says that tests are about to run, so that there are totals even if nothing compiles.
pub(crate) fn begin() {
    *OF_THIS_RUN.lock().expect("no code panics while it holds the totals") = Some(Totals::default());
}

/// Takes a line of the runner's output into account.
pub(crate) fn add_line(line: &str) {
    if let Some(result) = Totals::parse(line) {
        *OF_THIS_RUN.lock().expect("no code panics while it holds the totals").get_or_insert_default() +=
            result;
    }
}

impl Totals {
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`
    fn parse(line: &str) -> Option<Self> {
        let counts = without_colours(line);
        let (_, counts) = counts.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |name| counts.split("; ").find_map(|part| part.strip_suffix(name)?.trim().parse().ok());
        Some(Self { passed: count("passed")?, failed: count("failed")?, ignored: count("ignored")? })
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.ignored)
    }
}

/// The text without escape sequences that set colours: `ESC [ … m`.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    plain.extend(parts.filter_map(|part| Some(part.split_once('m')?.1)));
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_summed() {
        let mut totals = Totals::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 5 filtered out; finished in 1.20s",
            "test tests::the_test_result: ok",
        ] {
            if let Some(result) = Totals::parse(line) {
                totals += result;
            }
        }
        assert_eq!(totals.to_string(), "13 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn colours_do_not_hide_a_result() {
        let line = "test result: \u{1b}[32mok\u{1b}(B\u{1b}[m. 1 passed; 0 failed; 0 ignored; 0 measured";
        assert_eq!(Totals::parse(line), Some(Totals { passed: 1, failed: 0, ignored: 0 }));
    }

    #[test]
    fn other_lines_are_no_result() {
        assert_eq!(Totals::parse("test result: ok. nothing passed"), None);
        assert_eq!(Totals::parse(""), None);
    }
}
