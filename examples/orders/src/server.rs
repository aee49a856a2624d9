//! The listeners: one for callers, one for operators.

use std::{
    io::{self, IsTerminal},
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bartizan::{access_log::AccessLogLayer, metrics::DURATION_BUCKETS, rate_limit::RedisStore};
use metrics_exporter_prometheus::PrometheusBuilder;
use orders::{DevelopmentToken, Supplier, Tokens};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::admin;

/// How long requests in flight may take to finish once the service was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// How long standard output may take to accept the last log lines.
const FLUSH: Duration = Duration::from_secs(5);

/// Serves until Ctrl-C or SIGTERM, then drains.
///
/// # Errors
///
/// One line that says why the service cannot start.
pub(crate) fn run(
    listen: SocketAddr,
    admin: Option<SocketAddr>,
    supplier: Option<Supplier>,
    redis: Option<RedisStore>,
    tokens: Tokens,
) -> Result<(), String> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(tracing::Level::WARN)
        .init();
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(serve(listen, admin, supplier, redis, tokens))
}

async fn serve(
    listen: SocketAddr,
    admin: Option<SocketAddr>,
    supplier: Option<Supplier>,
    redis: Option<RedisStore>,
    tokens: Tokens,
) -> Result<(), String> {
    // Before anyone can know that the service is there, and so ask it to stop.
    let interrupted = interrupted()?;
    let api = bind(listen, "--listen").await?;
    let operators = bind_admin(admin).await?;
    let recorder = PrometheusBuilder::new()
        .set_buckets(&DURATION_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| format!("cannot install the metrics recorder: {error}"))?;
    let log = AccessLogLayer::json(io::stdout());
    let log_handle = log.handle();
    let (supplier, own_supplier) = match supplier {
        Some(supplier) => (supplier, None),
        None => {
            let (supplier, addr) = start_supplier(log.clone()).await?;
            (supplier, Some(addr))
        }
    };
    let orders::App { router, stack, documented } =
        orders::app(log, supplier.clone(), redis.as_ref(), tokens.clone())
            .map_err(|error| format!("cannot build the stack: {error}"))?;
    let listeners = Listeners { api: local(&api)?, admin: local(&operators)?, supplier: own_supplier };
    let about = format!("{stack}\nthe document\n{documented}");
    announce(&listeners, &about, whose(&tokens), &sample_token(&tokens)?);
    // Without it, the first request would wait for the first keys.
    tokens.ready().await;

    let (stop, stopped) = watch::channel(());
    let admin_server =
        tokio::spawn(axum::serve(operators, admin::routes(recorder, tokens, supplier)).into_future());
    let server = axum::serve(api, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(closed(stopped.clone()));
    let server = tokio::spawn(server.into_future());

    interrupted.await;
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

/// A supplier in this process: another service in all but that, with its lines in the same log.
async fn start_supplier(log: AccessLogLayer) -> Result<(Supplier, SocketAddr), String> {
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "the supplier").await?;
    let addr = local(&listener)?;
    let supplier = Supplier::new(&format!("http://{addr}")).map_err(|error| error.to_string())?;
    let service = orders::supplier(log).map_err(|error| error.to_string())?;
    // It ends with the process, after the requests that may still need it.
    tokio::spawn(axum::serve(listener, service).into_future());
    Ok((supplier, addr))
}

fn local(listener: &TcpListener) -> Result<SocketAddr, String> {
    listener.local_addr().map_err(|error| format!("cannot tell the listening address: {error}"))
}

/// Resolves once the sender is gone.
async fn closed(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
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

/// Which tokens are accepted, in words.
fn whose(tokens: &Tokens) -> &'static str {
    if tokens.are_for_development() {
        "tokens: signed with the development key, which is published: anybody can sign them"
    } else {
        "tokens: of an issuer elsewhere; $TOKEN stands for one"
    }
}

/// A token for the lines to try; of another issuer than the example's own there is none.
fn sample_token(tokens: &Tokens) -> Result<String, String> {
    if !tokens.are_for_development() {
        return Ok("$TOKEN".to_owned());
    }
    let token = DevelopmentToken {
        subject: "alice".to_owned(),
        scope: "orders:read orders:write".to_owned(),
        roles: vec!["admin".to_owned()],
        audience: orders::AUDIENCE.to_owned(),
        ttl: 3600,
    };
    orders::development_token(&token).map_err(|error| format!("the development key: {error}"))
}

/// Who listens where.
struct Listeners {
    api: SocketAddr,
    admin: SocketAddr,
    /// The supplier, if it is one of our own.
    supplier: Option<SocketAddr>,
}

impl Listeners {
    /// A line to try that makes the supplier misbehave.
    fn faults(&self) -> String {
        let line = |supplier| {
            format!(
                "  curl http://{supplier}/faults -H 'content-type: application/json' \\\n    \
                 -d '{{\"errorRate\": 0.5, \"latencyMs\": 200, \"down\": false}}'\n"
            )
        };
        self.supplier.map(line).unwrap_or_default()
    }
}

fn announce(listeners: &Listeners, stack: &str, issuer: &str, token: &str) {
    let (key, faults) = (orders::WRITER_KEY, listeners.faults());
    let Listeners { api, admin, .. } = listeners;
    eprintln!(
        "orders listens on http://{api}, for operators on http://{admin}\n\n\
         the effective stack, outside to inside:\n{stack}\n\
         {issuer}\n\n\
         try:\n  \
         curl http://{api}/openapi.yaml\n  \
         curl -i http://{api}/v1/orders\n  \
         curl -i http://{api}/v1/orders -H 'x-api-key: {key}'\n  \
         curl -i http://{api}/v1/orders -H 'x-api-key: {key}' -H 'content-type: application/json' \\\n    \
         -d '{{\"email\": \"ada@example.com\", \"quantity\": 2, \"productId\": \"sku-1\"}}'\n  \
         curl -i http://{api}/v1/quotes/sku-1 -H 'x-api-key: {key}'\n  \
         curl -i http://{api}/v1/admin/stats -H \"authorization: Bearer {token}\"\n\
         {faults}  \
         curl http://{admin}/health/ready\n  \
         curl http://{admin}/metrics\n"
    );
}
