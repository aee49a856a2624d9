#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod call;
mod handles;
mod known;
mod layer;
mod series;
mod service;
mod table;
mod telemetry;

pub use self::{
    call::Call,
    layer::MetricsLayer,
    service::{Metrics, ResponseBody, ResponseFuture},
    telemetry::{
        DURATION_BUCKETS, HTTP_SERVER_ACTIVE_REQUESTS, HTTP_SERVER_REQUEST_DURATION, REJECTIONS,
        RPC_SERVER_CALL_DURATION,
    },
};
