//! Which series a request belongs to: everything of its labels but the route.

use bartizan_core::{Ending, GrpcCode, MethodName};
use http::StatusCode;
use metrics::Label;

use crate::telemetry::label;

/// A series of `http_server_request_duration_seconds`, apart from its route.
#[derive(Clone, Copy)]
pub(crate) struct HttpSeries {
    pub(crate) method: MethodName,
    /// Absent when no response head was there.
    pub(crate) status: Option<StatusCode>,
    pub(crate) ending: Ending,
}

impl HttpSeries {
    /// The series as a number: ending, method and status side by side.
    pub(crate) fn variant(self) -> u32 {
        let status = self.status.map_or(0, |status| u32::from(status.as_u16()));
        number_of(self.ending) << 16 | u32::from(self.method.number()) << 12 | status
    }

    pub(crate) fn labels(self, route: &str) -> Vec<Label> {
        let mut labels = vec![
            Label::from_static_parts(label::METHOD, self.method.as_str()),
            Label::new(label::ROUTE, route.to_owned()),
        ];
        if let Some(status) = self.status {
            labels.push(Label::new(label::STATUS, status.as_str().to_owned()));
        }
        if let Some(ending) = failed(self.ending) {
            labels.push(Label::from_static_parts(label::ERROR, ending));
        } else if let Some(status) = self.status.filter(StatusCode::is_server_error) {
            labels.push(Label::new(label::ERROR, status.as_str().to_owned()));
        }
        labels
    }
}

/// A series of `rpc_server_call_duration_seconds`, apart from its method.
#[derive(Clone, Copy)]
pub(crate) struct RpcSeries {
    /// Absent when the call ended without one.
    pub(crate) status: Option<GrpcCode>,
    pub(crate) ending: Ending,
}

impl RpcSeries {
    /// The series as a number: ending and status side by side.
    pub(crate) fn variant(self) -> u32 {
        number_of(self.ending) << 16 | self.status.map_or(0, |status| 1 + status as u32)
    }

    pub(crate) fn labels(self, method: &str) -> Vec<Label> {
        let mut labels = vec![Label::new(label::RPC_METHOD, method.to_owned())];
        if let Some(status) = self.status {
            labels.push(Label::from_static_parts(label::RPC_STATUS, status.as_str()));
        }
        if let Some(ending) = failed(self.ending) {
            labels.push(Label::from_static_parts(label::ERROR, ending));
        } else if let Some(status) = self.status.filter(|status| status.is_server_error()) {
            labels.push(Label::from_static_parts(label::ERROR, status.as_str()));
        }
        labels
    }
}

/// The name of an ending other than the good one.
fn failed(ending: Ending) -> Option<&'static str> {
    (ending != Ending::Completed).then(|| ending.as_str())
}

/// An ending as a number of four bits.
pub(crate) fn number_of(ending: Ending) -> u32 {
    match ending {
        Ending::Completed => 0,
        Ending::ClientAborted => 1,
        Ending::Timeout => 2,
        Ending::BodyError => 3,
        Ending::ServiceError => 4,
        Ending::Panic => 5,
        // One that core adds before this crate knows it: all such share a number, and the name of the first.
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use http::Method;

    use super::*;

    const ENDINGS: [Ending; 6] = [
        Ending::Completed,
        Ending::ClientAborted,
        Ending::Timeout,
        Ending::BodyError,
        Ending::ServiceError,
        Ending::Panic,
    ];

    #[test]
    fn every_series_has_a_number_of_its_own() {
        let methods =
            ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PURGE"]
                .map(|name| MethodName::of(&Method::from_bytes(name.as_bytes()).unwrap()));
        let mut numbers = HashSet::new();
        let mut series = 0;
        for method in methods {
            for ending in ENDINGS {
                for status in [None, Some(100), Some(200), Some(404), Some(999)] {
                    let status = status.map(|status| StatusCode::from_u16(status).unwrap());
                    numbers.insert(HttpSeries { method, status, ending }.variant());
                    series += 1;
                }
            }
        }
        assert_eq!(numbers.len(), series);
        let rpc = ENDINGS.into_iter().flat_map(|ending| {
            [None, Some(GrpcCode::Ok), Some(GrpcCode::Unauthenticated)]
                .map(|status| RpcSeries { status, ending }.variant())
        });
        assert_eq!(rpc.collect::<HashSet<_>>().len(), 3 * ENDINGS.len());
    }
}
