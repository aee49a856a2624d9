//! The listeners: one for callers, one for operators.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{Router, routing::get};
use bartizan::{access_log::AccessLogLayer, metrics::DURATION_BUCKETS};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// How long requests in flight may take to finish once the service was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// How long standard output may take to accept the last log lines.
const FLUSH: Duration = Duration::from_secs(5);

/// Serves until Ctrl-C or SIGTERM, then drains.
///
/// # Errors
///
/// One line that says why the service cannot start.
pub(crate) fn run(listen: SocketAddr, admin: Option<SocketAddr>) -> Result<(), String> {
    tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(tracing::Level::WARN).init();
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(serve(listen, admin))
}

async fn serve(listen: SocketAddr, admin: Option<SocketAddr>) -> Result<(), String> {
    let api = bind(listen, "--listen").await?;
    let operators = bind_admin(admin).await?;
    let recorder = PrometheusBuilder::new()
        .set_buckets(&DURATION_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| format!("cannot install the metrics recorder: {error}"))?;
    let log = AccessLogLayer::json(io::stdout());
    let log_handle = log.handle();
    let orders::App { router, stack } =
        orders::app(log).map_err(|error| format!("cannot build the stack: {error}"))?;
    announce(local(&api)?, local(&operators)?, &stack);

    let (stop, stopped) = watch::channel(());
    let admin_server = tokio::spawn(axum::serve(operators, admin_app(recorder)).into_future());
    let server = axum::serve(api, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(closed(stopped.clone()));
    let server = tokio::spawn(server.into_future());

    interrupted().await?;
    eprintln!("stopping: waiting up to {} s for requests in flight", DRAIN.as_secs());
    drop(stop);
    if tokio::time::timeout(DRAIN, server).await.is_err() {
        eprintln!("stopping: some requests did not finish and are cut off");
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
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 3001));
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

fn admin_app(recorder: PrometheusHandle) -> Router {
    let metrics = move || {
        recorder.run_upkeep();
        std::future::ready(recorder.render())
    };
    Router::new().route("/metrics", get(metrics)).route("/health/live", get(async || "ok\n"))
}

/// Resolves once the sender is gone.
async fn closed(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

async fn interrupted() -> Result<(), String> {
    let failed = |error| format!("cannot listen for signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt.map_err(failed),
        _ = terminate.recv() => Ok(()),
    }
}

fn announce(api: SocketAddr, admin: SocketAddr, stack: &str) {
    let key = orders::WRITER_KEY;
    eprintln!(
        "orders listens on http://{api}, for operators on http://{admin}\n\n\
         the effective stack, outside to inside:\n{stack}\n\
         try:\n  \
         curl -i http://{api}/v1/orders\n  \
         curl -i http://{api}/v1/orders -H 'x-api-key: {key}'\n  \
         curl -i http://{api}/v1/orders -H 'x-api-key: {key}' -H 'content-type: application/json' \\\n    \
         -d '{{\"email\": \"ada@example.com\", \"quantity\": 2, \"productId\": \"sku-1\"}}'\n  \
         curl http://{admin}/metrics\n"
    );
}
