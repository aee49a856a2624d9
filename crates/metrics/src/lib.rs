#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod call;
mod client;
mod handles;
mod known;
mod layer;
mod series;
mod service;
mod table;
mod telemetry;

pub use self::{
    call::Call,
    client::{
        ClientMetrics, ClientMetricsLayer, ClientResponseBody, ClientResponseFuture, ConfigError,
        OutgoingCall,
    },
    layer::MetricsLayer,
    service::{Metrics, ResponseBody, ResponseFuture},
    telemetry::{
        DURATION_BUCKETS, HTTP_CLIENT_REQUEST_DURATION, HTTP_SERVER_ACTIVE_REQUESTS,
        HTTP_SERVER_REQUEST_DURATION, REJECTIONS, RPC_CLIENT_CALL_DURATION, RPC_SERVER_CALL_DURATION,
    },
};
