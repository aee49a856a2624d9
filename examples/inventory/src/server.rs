//! The listeners: one for callers, one for operators.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bartizan::{access_log::AccessLogLayer, metrics::DURATION_BUCKETS};
use inventory::{App, Limits};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::admin;

/// How long calls in flight may take to finish once the service was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// How long standard output may take to accept the last log lines.
const FLUSH: Duration = Duration::from_secs(5);

/// Serves until Ctrl-C or SIGTERM, then drains.
///
/// # Errors
///
/// One line that says why the service cannot start or go on.
pub(crate) async fn run(listen: SocketAddr, admin: Option<SocketAddr>) -> Result<(), String> {
    // Before anyone can know that the service is there, and so ask it to stop.
    let interrupted = interrupted()?;
    let calls = bind(listen, "--listen").await?;
    let operators = bind_admin(admin).await?;
    let recorder = PrometheusBuilder::new()
        .set_buckets(&DURATION_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| format!("cannot install the metrics recorder: {error}"))?;
    let log = AccessLogLayer::json(io::stdout());
    let log_handle = log.handle();
    let limits = Limits::usual().map_err(|error| format!("cannot build the limits: {error}"))?;
    let App { routes, shelf, stack } =
        inventory::app(log, limits).await.map_err(|error| format!("cannot build the stack: {error}"))?;
    announce(local(&calls)?, local(&operators)?, &stack);

    let (stop, stopped) = oneshot::channel::<()>();
    let admin_server =
        tokio::spawn(axum::serve(operators, admin::routes(recorder, shelf.clone())).into_future());
    let server = Server::builder().add_routes(routes).serve_with_incoming_shutdown(
        TcpListenerStream::new(calls),
        async move {
            // It comes by the end of its sender.
            let _ = stopped.await;
        },
    );
    let mut server = tokio::spawn(server);

    tokio::select! {
        () = interrupted => {}
        ended = &mut server => return Err(format!("the listener ended: {ended:?}")),
    }
    eprintln!("stopping: waiting up to {} s for calls in flight", DRAIN.as_secs());
    drop(stop);
    shelf.close();
    if tokio::time::timeout(DRAIN, server).await.is_err() {
        eprintln!("stopping: some calls did not finish and are cut off");
    }
    admin_server.abort();
    if let Err(error) = log_handle.flush(FLUSH) {
        eprintln!("stopping: {error}");
    }
    Ok(())
}

async fn bind(addr: SocketAddr, flag: &str) -> Result<TcpListener, String> {
    TcpListener::bind(addr).await.map_err(|error| format!("cannot listen on {addr} ({flag}): {error}"))
}

/// The operators' listener; when the usual port is taken and none was asked for, on a free one.
async fn bind_admin(asked: Option<SocketAddr>) -> Result<TcpListener, String> {
    if let Some(addr) = asked {
        return bind(addr, "--admin").await;
    }
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 9464));
    match TcpListener::bind(usual).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "--admin").await
        }
        bound => bound.map_err(|error| format!("cannot listen on {usual} (--admin): {error}")),
    }
}

fn local(listener: &TcpListener) -> Result<SocketAddr, String> {
    listener.local_addr().map_err(|error| format!("cannot tell the listening address: {error}"))
}

/// The future is done when the service is to stop. Signals are heard from the call on, not from the first poll.
fn interrupted() -> Result<impl Future<Output = ()>, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn announce(calls: SocketAddr, admin: SocketAddr, stack: &str) {
    eprintln!(
        "inventory listens on http://{calls}, for operators on http://{admin}\n\n\
         the effective stack, outside to inside:\n{stack}\n\
         its keys are published: anybody can call it\n\n\
         try:\n  \
         cargo run -p inventory -- call --to http://{calls} get sku-1\n  \
         cargo run -p inventory -- call --to http://{calls} reserve sku-1 2\n  \
         cargo run -p inventory -- call --to http://{calls} watch sku-1\n  \
         curl http://{admin}/health/ready\n  \
         curl http://{admin}/metrics\n"
    );
}
