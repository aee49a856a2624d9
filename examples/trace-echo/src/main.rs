//! The service that the W3C Trace Context conformance suite asks for: `cargo run -p trace-echo`.

use std::{io, net::SocketAddr, process::ExitCode, time::Duration};

use bartizan::access_log::AccessLogLayer;
use clap::Parser;

/// The service that the W3C Trace Context conformance suite asks for.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Where the service listens. It calls any URL that it is told: keep it on a loopback address.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { listen } = Cli::parse();
    match serve(listen).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trace-echo: cannot listen on {listen}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until Ctrl-C.
async fn serve(listen: SocketAddr) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    eprintln!("trace-echo listens on http://{}/test", listener.local_addr()?);
    let log = AccessLogLayer::json(io::stdout());
    let handle = log.handle();
    let server = axum::serve(listener, trace_echo::app(log));
    tokio::select! {
        served = server.into_future() => served?,
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    if let Err(error) = handle.flush(Duration::from_secs(5)) {
        eprintln!("trace-echo: {error}");
    }
    Ok(())
}
