//! A run in steps: each is announced and timed, a failed one does not hide the others.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The steps done so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: &'static str,
    took: Duration,
    ok: bool,
}

impl Steps {
    /// Does a step. A failure is told at once and remembered for [`Self::finish`].
    pub(crate) fn step(&mut self, name: &'static str, run: impl FnOnce() -> Result<()>) {
        eprintln!("\n== {name}");
        let start = now();
        let result = run();
        let took = start.elapsed();
        match &result {
            Ok(()) => eprintln!("== {name}: ok after {:.1} s", took.as_secs_f64()),
            Err(error) => eprintln!("error: {error:#}\n== {name}: FAILED after {:.1} s", took.as_secs_f64()),
        }
        self.done.push(Step { name, took, ok: result.is_ok() });
    }

    /// Prints what each step took, and fails if any did.
    pub(crate) fn finish(self) -> Result<()> {
        eprintln!();
        for Step { name, took, ok } in &self.done {
            eprintln!("{:>8.1} s  {}  {name}", took.as_secs_f64(), if *ok { "ok    " } else { "FAILED" });
        }
        let total: Duration = self.done.iter().map(|step| step.took).sum();
        eprintln!("{:>8.1} s  in total", total.as_secs_f64());
        let failed: Vec<_> = self.done.iter().filter(|step| !step.ok).map(|step| step.name).collect();
        if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
    }
}

#[expect(clippy::disallowed_methods, reason = "a command line tool times its own steps")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_fails_the_run_and_the_others_still_run() {
        let mut steps = Steps::default();
        let mut last_ran = false;
        steps.step("first", || Ok(()));
        steps.step("second", || bail!("broken"));
        steps.step("third", || {
            last_ran = true;
            Ok(())
        });
        assert!(last_ran);
        assert_eq!(steps.finish().unwrap_err().to_string(), "failed: second");
    }

    #[test]
    fn a_run_without_failure_succeeds() {
        let mut steps = Steps::default();
        steps.step("only", || Ok(()));
        steps.finish().unwrap();
    }
}
