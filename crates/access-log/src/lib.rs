#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod digits;
mod fields;
mod handle;
mod hash;
mod json;
mod layer;
mod line;
mod log;
mod members;
mod memo;
mod padded;
mod record;
mod redact;
mod service;
mod severity;
mod telemetry;
mod timestamp;
mod writer;

pub use self::{
    fields::FieldSet,
    handle::{FlushError, LogGuard, LogHandle},
    layer::{AccessLogLayer, ConfigError},
    record::Record,
    service::{AccessLog, ResponseBody, ResponseFuture},
    telemetry::DROPPED,
};
