//! The commands of this project: people and CI run the same ones.
//!
//! `cargo xtask --help` lists them. Each lives in a module of its name; [`sh`] runs what they run and shows it first.

mod bench;
mod ci;
mod deny;
mod docs;
mod features;
mod fmt;
mod lint;
mod msrv;
mod repo;
mod requirement;
mod sh;
mod steps;
mod test;
mod tool;
mod totals;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The commands of this project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set up what the tests need and run every test of the workspace.
    Test,
    /// Everything that must hold before a change is merged; `.ci/run` calls this.
    Ci,
    /// Measure every layer beside its peers, and compare with the committed baseline.
    Bench(bench::Args),
    /// Format the code.
    Fmt(fmt::Args),
    /// Clippy with warnings as errors, and what clippy cannot see.
    Lint,
    /// Build the documentation with warnings as errors.
    Docs,
    /// Check each feature of each crate alone, and pairs of them in the umbrella.
    Features,
    /// Check licences, bans and sources of all dependencies.
    Deny(deny::Args),
    /// Check that the crates build with the oldest supported toolchain.
    Msrv,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Test => test::run(),
        Command::Ci => ci::run(),
        Command::Bench(args) => bench::run(&args),
        Command::Fmt(args) => fmt::run(&args),
        Command::Lint => lint::run(),
        Command::Docs => docs::run(),
        Command::Features => features::run(),
        Command::Deny(args) => deny::run(&args),
        Command::Msrv => msrv::run(),
    };
    if let Err(error) = &result {
        eprintln!("error: {error:#}");
    }
    // Last, whatever happened: who reads the output finds what the tests said in its last line.
    if let Some(totals) = totals::of_this_run() {
        println!("{totals}");
    }
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
