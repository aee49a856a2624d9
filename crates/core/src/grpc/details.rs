//! The messages of `google/rpc/status.proto` and `error_details.proto` that refusals carry.
//!
//! Written by hand: the wire format is frozen, and no generated code is worth a build step for six messages.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

impl Any {
    pub(super) fn pack(name: &str, message: &impl Message) -> Self {
        Self { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: message.encode_to_vec() }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ErrorInfo {
    #[prost(string, tag = "1")]
    pub(super) reason: String,
    #[prost(string, tag = "2")]
    pub(super) domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    pub(super) metadata: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RequestInfo {
    #[prost(string, tag = "1")]
    pub(super) request_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct ProtoDuration {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

impl From<std::time::Duration> for ProtoDuration {
    fn from(duration: std::time::Duration) -> Self {
        /// The range that `duration.proto` allows: about 10 000 years.
        const MAX_SECONDS: i64 = 315_576_000_000;
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(MAX_SECONDS).min(MAX_SECONDS);
        Self { seconds, nanos: duration.subsec_nanos().cast_signed() }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldViolation {
    #[prost(string, tag = "1")]
    pub(super) field: String,
    #[prost(string, tag = "2")]
    pub(super) description: String,
    #[prost(string, tag = "3")]
    pub(super) reason: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct QuotaFailure {
    #[prost(message, repeated, tag = "1")]
    pub(super) violations: Vec<QuotaViolation>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct QuotaViolation {
    #[prost(string, tag = "1")]
    pub(super) subject: String,
    #[prost(string, tag = "2")]
    pub(super) description: String,
}
