//! Which Redis: one server, a master that sentinels know, or a cluster.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisError, RedisResult, ServerErrorKind, TlsMode, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};

use crate::ConfigError;

/// The most that waits for one connection: it bounds what a slow server can make us keep.
const IN_FLIGHT: usize = 1_024;

/// How long a connection may take; and each of its commands, where nothing shorter is set.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Where the limits are.
#[derive(Clone)]
pub(super) enum Target {
    Single(Client),
    Sentinel { sentinels: Vec<ConnectionInfo>, master: String, node: Box<ConnectionInfo> },
    Cluster { client: Box<ClusterClient>, nodes: Vec<ConnectionAddr> },
}

/// A connection that many requests use at once.
#[derive(Clone)]
pub(super) enum Connection {
    Single(ConnectionManager),
    Sentinel(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Target {
    pub(super) fn single(url: &str) -> Result<Self, ConfigError> {
        Client::open(url).map(Self::Single).map_err(|_| wrong_url())
    }

    pub(super) fn sentinel<U: AsRef<str>>(
        sentinels: impl IntoIterator<Item = U>,
        master: &str,
    ) -> Result<Self, ConfigError> {
        let node = info(master)?;
        let master = match node.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
            _ => return Err(wrong_url()),
        };
        Ok(Self::Sentinel { sentinels: infos(sentinels)?, master, node: Box::new(node) })
    }

    pub(super) fn cluster<U: AsRef<str>>(nodes: impl IntoIterator<Item = U>) -> Result<Self, ConfigError> {
        let infos = infos(nodes)?;
        let nodes = infos.iter().map(|info| info.addr().clone()).collect();
        ClusterClient::builder(infos)
            // A slot that has moved is followed once; what is away is noticed by the store itself.
            .retries(1)
            .max_retry_wait(10)
            .min_retry_wait(1)
            .connection_timeout(PATIENCE)
            .response_timeout(PATIENCE)
            .overall_response_timeout(Some(PATIENCE))
            .build()
            .map(|client| Self::Cluster { client: Box::new(client), nodes })
            .map_err(|_| wrong_url())
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Single(_) => "single",
            Self::Sentinel { .. } => "sentinel",
            Self::Cluster { .. } => "cluster",
        }
    }

    /// Where it is, without what may be a secret.
    pub(super) fn address(&self) -> String {
        let all = |addresses: &mut dyn Iterator<Item = &ConnectionAddr>| {
            addresses.map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Single(client) => client.get_connection_info().addr().to_string(),
            Self::Sentinel { sentinels, master, .. } => {
                format!(
                    "`{master}` of the sentinels {}",
                    all(&mut sentinels.iter().map(ConnectionInfo::addr))
                )
            }
            Self::Cluster { nodes, .. } => all(&mut nodes.iter()),
        }
    }

    /// Whether the keys of one script must be in one slot.
    pub(super) fn has_slots(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }

    /// The last of the keys that are tried before it counts as away: some are in slots of other nodes.
    pub(super) fn last_probe(&self) -> u32 {
        if self.has_slots() { 7 } else { 0 }
    }

    /// How long it may take until there is a connection that works: sentinels that are away come before one that is not.
    pub(super) fn patience(&self) -> Duration {
        let sentinels = match self {
            Self::Single(_) | Self::Cluster { .. } => 0,
            Self::Sentinel { sentinels, .. } => u32::try_from(sentinels.len()).unwrap_or(u32::MAX),
        };
        PATIENCE.saturating_mul(sentinels.saturating_add(2))
    }

    /// A connection to whatever is the master now.
    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        #[cfg(feature = "redis-tls")]
        provide_cryptography();
        match self {
            Self::Single(client) => {
                let config = ConnectionManagerConfig::new()
                    .set_number_of_retries(1)
                    .set_min_delay(Duration::from_millis(10))
                    .set_connection_timeout(Some(PATIENCE))
                    .set_response_timeout(Some(PATIENCE))
                    .set_pipeline_buffer_size(IN_FLIGHT);
                client.get_connection_manager_with_config(config).await.map(Connection::Single)
            }
            Self::Sentinel { sentinels, master, node } => {
                // Made anew, since it remembers connections, and those to sentinels may be gone too.
                let settings = SentinelNodeConnectionInfo::default()
                    .set_redis_connection_info(node.redis_settings().clone())
                    .set_tcp_settings(node.tcp_settings().clone());
                let settings = match node.addr() {
                    ConnectionAddr::TcpTls { insecure: true, .. } => settings.set_tls_mode(TlsMode::Insecure),
                    ConnectionAddr::TcpTls { .. } => settings.set_tls_mode(TlsMode::Secure),
                    _ => settings,
                };
                let mut client = SentinelClient::build(
                    sentinels.clone(),
                    master.clone(),
                    Some(settings),
                    SentinelServerType::Master,
                )?;
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(PATIENCE))
                    .set_response_timeout(Some(PATIENCE))
                    .set_pipeline_buffer_size(IN_FLIGHT);
                client.get_async_connection_with_config(&config).await.map(Connection::Sentinel)
            }
            Self::Cluster { client, .. } => client.get_async_connection().await.map(Connection::Cluster),
        }
    }
}

impl Connection {
    /// Whether it will not work again after this: a master found by sentinels may be another server now.
    pub(super) fn is_over(&self, error: &RedisError) -> bool {
        match self {
            Self::Single(_) | Self::Cluster(_) => false,
            Self::Sentinel(_) => {
                error.is_connection_dropped() || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
            }
        }
    }

    pub(super) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        let answer = match self {
            Self::Single(connection) => connection.send_packed_command(command).await,
            Self::Sentinel(connection) => connection.send_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        };
        // An error that the server sends is an answer, to these.
        answer?.extract_error()
    }
}

/// The client takes rustls' default provider, and panics where none is set and several could be.
#[cfg(feature = "redis-tls")]
fn provide_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been faster.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
}

fn infos<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> Result<Vec<ConnectionInfo>, ConfigError> {
    let infos = urls.into_iter().map(|url| info(url.as_ref())).collect::<Result<Vec<_>, _>>()?;
    if infos.is_empty() { Err(ConfigError::new("redis", "must have at least one URL")) } else { Ok(infos) }
}

fn info(url: &str) -> Result<ConnectionInfo, ConfigError> {
    url.into_connection_info().map_err(|_| wrong_url())
}

/// Without the URL, which may hold a password.
fn wrong_url() -> ConfigError {
    ConfigError::new("redis", "must be URLs such as `redis://host:6379/0`")
}
