//! The names of the members, for those who have a convention to keep.

use std::time::Duration;

use bartizan_core::Ending;

use crate::{
    json::{JsonLine, key},
    severity::Severity,
};

/// How the members of a line are named.
///
/// | | [`Otel`](Self::Otel) | [`Ecs`](Self::Ecs) |
/// |---|---|---|
/// | when it ended, RFC 3339, UTC | `timestamp` | `@timestamp` |
/// | how much it matters | `severity_text`: `INFO`, `WARN`, `ERROR` | `log.level`: `info`, `warn`, `error` |
/// | for a person | `body` | `message` |
/// | how long it took | `duration_ms`, with microseconds | `event.duration`, in nanoseconds |
/// | how it ended | `outcome` | `outcome`, and `event.outcome`: `success`, `failure`, `unknown` |
/// | ids | `request_id`, `correlation_id` | `http.request.id`, `correlation_id` |
/// | trace | `trace_id`, `span_id`, `trace_flags` | `trace.id`, `span.id` |
/// | request | `http.request.method`, `http.route`, `network.protocol.version` | `http.request.method`, `http.route`, `http.version` |
/// | response | `http.response.status_code`, `http.response.body.size` | `http.response.status_code`, `http.response.body.bytes` |
/// | gRPC | `rpc.system.name`, `rpc.method`, `rpc.status_code` | the same |
/// | caller | `client.address`, `user.id` or `user.hash` | `client.ip`, `user.id` or `user.hash` |
/// | its credential | `principal.kind`, `principal.issuer`, `principal.credential_id` | the same |
/// | refusal | `rejection.code`, `rejection.layer`, `rejection.cause` | the same |
/// | path, if asked for | `url.path` | the same |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldSet {
    /// OpenTelemetry's log data model and semantic conventions. The default.
    #[default]
    Otel,
    /// The Elastic Common Schema.
    Ecs,
}

/// The names in which the sets differ, ready to be written.
pub(crate) trait Names {
    const TIMESTAMP: &'static str;
    /// What stands between the text of the timestamp and that of the message, by how much the line matters.
    const INFO: &'static str;
    const WARN: &'static str;
    const ERROR: &'static str;
    /// A member of its own that the convention asks for.
    const EXTRA: Option<&'static str>;
    const REQUEST_ID: &'static str;
    const TRACE_ID: &'static str;
    const SPAN_ID: &'static str;
    const TRACE_FLAGS: Option<&'static str>;
    const VERSION: &'static str;
    const BYTES: &'static str;
    const CLIENT: &'static str;

    fn duration(line: &mut JsonLine<'_>, took: Duration);
    fn outcome(line: &mut JsonLine<'_>, severity: Severity, ending: Ending);
}

pub(crate) struct Otel;

impl Names for Otel {
    const TIMESTAMP: &'static str = "{\"timestamp\":\"";
    const INFO: &'static str = "\",\"severity_text\":\"INFO\",\"body\":\"";
    const WARN: &'static str = "\",\"severity_text\":\"WARN\",\"body\":\"";
    const ERROR: &'static str = "\",\"severity_text\":\"ERROR\",\"body\":\"";
    const EXTRA: Option<&'static str> = None;
    const REQUEST_ID: &'static str = key!("request_id": text);
    const TRACE_ID: &'static str = key!("trace_id": text);
    const SPAN_ID: &'static str = key!("span_id": text);
    const TRACE_FLAGS: Option<&'static str> = Some(key!("trace_flags": text));
    const VERSION: &'static str = key!("network.protocol.version": text);
    const BYTES: &'static str = key!("http.response.body.size");
    const CLIENT: &'static str = key!("client.address": text);

    #[inline]
    fn duration(line: &mut JsonLine<'_>, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        line.member(key!("duration_ms"), |value| value.thousandths(micros));
    }

    #[inline]
    fn outcome(_: &mut JsonLine<'_>, _: Severity, _: Ending) {}
}

pub(crate) struct Ecs;

impl Names for Ecs {
    const TIMESTAMP: &'static str = "{\"@timestamp\":\"";
    const INFO: &'static str = "\",\"log.level\":\"info\",\"message\":\"";
    const WARN: &'static str = "\",\"log.level\":\"warn\",\"message\":\"";
    const ERROR: &'static str = "\",\"log.level\":\"error\",\"message\":\"";
    const EXTRA: Option<&'static str> = Some(key!("ecs.version": "8.17.0"));
    const REQUEST_ID: &'static str = key!("http.request.id": text);
    const TRACE_ID: &'static str = key!("trace.id": text);
    const SPAN_ID: &'static str = key!("span.id": text);
    const TRACE_FLAGS: Option<&'static str> = None;
    const VERSION: &'static str = key!("http.version": text);
    const BYTES: &'static str = key!("http.response.body.bytes");
    const CLIENT: &'static str = key!("client.ip": text);

    fn duration(line: &mut JsonLine<'_>, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        line.member(key!("event.duration"), |value| value.unsigned(nanos));
    }

    fn outcome(line: &mut JsonLine<'_>, severity: Severity, ending: Ending) {
        line.constant(match (severity, ending) {
            (Severity::Info, _) => key!("event.outcome": "success"),
            // What the client left proves nothing.
            (_, Ending::ClientAborted) => key!("event.outcome": "unknown"),
            _ => key!("event.outcome": "failure"),
        });
    }
}

/// Put before the name of a fact that a member of the line itself may have.
pub(crate) const FACT_PREFIX: &str = "fact.";

/// The names that members of the line itself, in any set, may have.
const TAKEN: [&str; 41] = [
    "timestamp",
    "@timestamp",
    "severity_text",
    "log.level",
    "body",
    "message",
    "ecs.version",
    "duration_ms",
    "event.duration",
    "outcome",
    "event.outcome",
    "request_id",
    "http.request.id",
    "correlation_id",
    "trace_id",
    "trace.id",
    "span_id",
    "span.id",
    "trace_flags",
    "http.request.method",
    "http.route",
    "network.protocol.version",
    "http.version",
    "http.response.status_code",
    "http.response.body.size",
    "http.response.body.bytes",
    "rpc.system.name",
    "rpc.method",
    "rpc.status_code",
    "client.address",
    "client.ip",
    "user.id",
    "user.hash",
    "principal.kind",
    "principal.issuer",
    "principal.credential_id",
    "rejection.code",
    "rejection.layer",
    "rejection.cause",
    "url.path",
    "truncated",
];

/// A bit for each length of a name among those that begin with this byte: most facts are known by it to be none of them.
const LENGTHS: [u32; 256] = {
    let mut lengths = [0; 256];
    let mut index = 0;
    while index < TAKEN.len() {
        let name = TAKEN[index].as_bytes();
        lengths[name[0] as usize] |= 1 << name.len();
        index += 1;
    }
    lengths
};

/// Whether a member of the line itself, in any set, may have this name.
#[inline]
pub(crate) fn is_taken(name: &str) -> bool {
    let Some(first) = name.bytes().next() else { return false };
    let may_be = LENGTHS[usize::from(first)].unbounded_shr(name.len() as u32) & 1 == 1;
    (may_be && TAKEN.contains(&name)) || name.starts_with(FACT_PREFIX)
}
