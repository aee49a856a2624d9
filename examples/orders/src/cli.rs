//! The command line.

use std::net::SocketAddr;

use clap::{Parser, Subcommand};

/// An orders API behind a whole bartizan stack.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// Where the API listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub(crate) listen: SocketAddr,

    /// Where operators find /metrics and /health/live. [default: 127.0.0.1:3001, or a free port when that is taken]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints the development keys as JSON.
    Keys,
}

impl Cli {
    /// Parses the arguments; help and version go to standard output and end well.
    ///
    /// # Errors
    ///
    /// One line that says what is wrong with the arguments.
    pub(crate) fn parse_or_line() -> Result<Self, String> {
        Self::try_parse().map_err(|error| {
            if !error.use_stderr() {
                error.exit();
            }
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            format!("{}; see --help", line.strip_prefix("error: ").unwrap_or(line))
        })
    }
}
