#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod checks;
mod client;
mod contract;
mod drive;
mod echo;
mod error;
mod handle;
mod inner;
mod layer;
#[cfg(feature = "tracing")]
mod log;
mod prepare;
mod probe;
#[cfg(feature = "redis-server")]
mod redis;
mod rule;
mod server;
mod suite;

pub use self::{
    body::{BodySender, TestBody},
    client::RawClient,
    contract::{Contract, Held, contract},
    error::TestError,
    handle::Handle,
    inner::{Call, Inner, InnerFuture, Reply, Script},
    layer::{AxumLayer, ContractLayer, TestService, TonicLayer},
    probe::{Probe, Spinning},
    server::serve_router,
};

#[cfg(feature = "tracing")]
pub use self::log::{TestLog, listen};
#[cfg(feature = "redis-server")]
pub use self::redis::{RedisCluster, RedisSentinel, RedisServer};
