//! The series of one upstream, each resolved once.

use bartizan_core::{Ending, GrpcCode, MethodName, Reason};
use http::StatusCode;
use metrics::{Key, Label, Recorder};

use super::call::End;
use crate::{
    handles::Histograms,
    series::number_of,
    telemetry::{self, METADATA, label},
};

#[derive(Default)]
pub(super) struct Handles {
    http: Histograms,
    rpc: Histograms,
}

impl Handles {
    pub(super) fn new(recorder: &dyn Recorder) -> Self {
        telemetry::describe_client(recorder);
        Self::default()
    }

    #[inline]
    pub(super) fn record_http(&self, recorder: &dyn Recorder, name: &str, series: HttpSeries, seconds: f64) {
        // The name is the layer's one, and so tells no series from another.
        self.http.record("", series.variant(), seconds, |_| {
            let key = Key::from_parts(telemetry::HTTP_CLIENT_REQUEST_DURATION, series.labels(name));
            recorder.register_histogram(&key, &METADATA)
        });
    }

    #[inline]
    pub(super) fn record_rpc(
        &self,
        recorder: &dyn Recorder,
        name: &str,
        method: &str,
        series: RpcSeries,
        seconds: f64,
    ) {
        self.rpc.record(method, series.variant(), seconds, |method| {
            let key = Key::from_parts(telemetry::RPC_CLIENT_CALL_DURATION, series.labels(name, method));
            recorder.register_histogram(&key, &METADATA)
        });
    }
}

/// A series of `http_client_request_duration_seconds`, apart from the upstream's name.
#[derive(Clone, Copy)]
pub(super) struct HttpSeries {
    pub(super) method: MethodName,
    pub(super) end: End,
}

impl HttpSeries {
    /// The series as a number: reason, ending, method and status side by side.
    fn variant(self) -> u32 {
        let status = self.end.status.map_or(0, |status| u32::from(status.as_u16()));
        self.end.number() << 16 | u32::from(self.method.number()) << 12 | status
    }

    fn labels(self, name: &str) -> Vec<Label> {
        let mut labels = vec![
            Label::new(label::NAME, name.to_owned()),
            Label::from_static_parts(label::METHOD, self.method.as_str()),
        ];
        if let Some(status) = self.end.status {
            labels.push(Label::new(label::STATUS, status.as_str().to_owned()));
        }
        if let Some(error) = self.end.error() {
            labels.push(Label::from_static_parts(label::ERROR, error));
        } else if let Some(status) = self.end.status.filter(is_error) {
            labels.push(Label::new(label::ERROR, status.as_str().to_owned()));
        }
        labels
    }
}

/// To a client, 4xx is an error too (OpenTelemetry, HTTP spans and metrics).
fn is_error(status: &StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// A series of `rpc_client_call_duration_seconds`, apart from name and method.
#[derive(Clone, Copy)]
pub(super) struct RpcSeries {
    pub(super) end: End,
}

impl RpcSeries {
    /// The series as a number: reason, ending and status side by side.
    fn variant(self) -> u32 {
        self.end.number() << 16 | self.end.grpc.map_or(0, |status| 1 + status as u32)
    }

    fn labels(self, name: &str, method: &str) -> Vec<Label> {
        let mut labels =
            vec![Label::new(label::NAME, name.to_owned()), Label::new(label::RPC_METHOD, method.to_owned())];
        if let Some(status) = self.end.grpc {
            labels.push(Label::from_static_parts(label::RPC_STATUS, status.as_str()));
        }
        if let Some(error) = self.end.error() {
            labels.push(Label::from_static_parts(label::ERROR, error));
        } else if let Some(status) = self.end.grpc.filter(|status| *status != GrpcCode::Ok) {
            labels.push(Label::from_static_parts(label::ERROR, status.as_str()));
        }
        labels
    }
}

impl End {
    /// Ending and reason as a number.
    fn number(self) -> u32 {
        self.refused.map_or(0, number_of_reason) << 4 | number_of(self.ending)
    }

    /// Why there is no answer of the upstream's, or not all of it. A caller that gave up is no error.
    fn error(self) -> Option<&'static str> {
        match (self.refused.map(Reason::code), self.ending) {
            (Some(code), _) => Some(code),
            (None, Ending::Completed | Ending::ClientAborted) => None,
            (None, ending) => Some(ending.as_str()),
        }
    }
}

/// A reason as a number of eleven bits above 0. Refusals are rare: a search is fine.
fn number_of_reason(reason: Reason) -> u32 {
    let number = match Reason::ALL.iter().position(|known| *known == reason) {
        Some(index) => 1 + index,
        None => Reason::ALL.len() + usize::from(reason.status().as_u16()),
    };
    // Statuses end at 999.
    u32::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_number_of_its_own() {
        let statuses = (100..1000).map(|status| Reason::Status(StatusCode::from_u16(status).unwrap()));
        let reasons: Vec<_> = Reason::ALL.into_iter().chain(statuses).collect();
        let numbers: HashSet<_> = reasons.iter().map(|reason| number_of_reason(*reason)).collect();
        assert_eq!(numbers.len(), reasons.len());
        assert!(numbers.iter().all(|number| (1..2048).contains(number)));
    }
}
