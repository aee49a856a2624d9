//! The command line.

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand};
use tonic::transport::Uri;

/// A tonic service behind a whole bartizan stack, and a client for it.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// Where the service listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    pub(crate) listen: SocketAddr,

    /// Where operators find /metrics and /health/live. [default: 127.0.0.1:9464, or a free port when that is taken]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints the development keys as JSON.
    Keys,
    /// Calls a running service.
    Call(CallArgs),
}

#[derive(Args)]
pub(crate) struct CallArgs {
    /// Where the service is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:50051", value_parser = origin)]
    pub(crate) to: Uri,

    /// The key to show; an empty one shows none. [default: the development key that reads and writes]
    #[arg(long, value_name = "KEY", default_value = inventory::WRITER_KEY, hide_default_value = true)]
    pub(crate) key: String,

    #[command(subcommand)]
    pub(crate) method: Method,
}

impl std::fmt::Debug for CallArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { to, key: _, method } = self;
        f.debug_struct("CallArgs").field("to", to).field("method", method).finish_non_exhaustive()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Method {
    /// How many there are.
    Get {
        /// The product: sku-1, sku-2 or sku-3.
        sku: String,
    },
    /// Takes some.
    Reserve {
        /// The product: sku-1, sku-2 or sku-3.
        sku: String,
        /// How many.
        quantity: u32,
    },
    /// How many there are, now and after each change, until Ctrl-C.
    Watch {
        /// The product: sku-1, sku-2 or sku-3.
        sku: String,
    },
}

fn origin(url: &str) -> Result<Uri, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "is no URL")?;
    let is_origin = uri.scheme_str() == Some("http") && uri.authority().is_some() && uri.path() == "/";
    if is_origin { Ok(uri) } else { Err("must be http://host:port") }
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
