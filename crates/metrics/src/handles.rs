//! The handles of one recorder, each resolved once.

use std::hash::BuildHasher;

use bartizan_core::Rejection;
use metrics::{Counter, Gauge, Histogram, Key, Label, Recorder};
use rustc_hash::FxBuildHasher;

use crate::{
    series::{HttpSeries, RpcSeries},
    table::Table,
    telemetry::{self, METADATA, OTHER, label},
};

/// The most series per histogram that may name a route; what comes later is counted as `_OTHER`, whose own series
/// are bounded by the methods and status codes there are.
const MAX_SERIES: usize = 4096;

/// The most pairs of layer and code; what comes later is not told apart.
const MAX_REJECTIONS: usize = 1024;

pub(crate) struct Handles {
    pub(crate) active: Gauge,
    pub(crate) http: Histograms,
    pub(crate) rpc: Histograms,
    rejections: Table<(&'static str, &'static str), Counter>,
}

impl Handles {
    /// `counts_active` says whether the recorder is to know the gauge of what is running.
    pub(crate) fn new(recorder: &dyn Recorder, counts_active: bool) -> Self {
        telemetry::describe(recorder);
        Self {
            active: if counts_active { telemetry::register_active(recorder) } else { Gauge::noop() },
            http: Histograms::default(),
            rpc: Histograms::default(),
            rejections: Table::new(),
        }
    }

    /// Records the first of a series.
    pub(crate) fn record_new_http(
        &self,
        recorder: &dyn Recorder,
        route: &str,
        series: HttpSeries,
        seconds: f64,
    ) {
        self.http.record_new(route, series.variant(), seconds, |route| {
            let key = Key::from_parts(telemetry::HTTP_SERVER_REQUEST_DURATION, series.labels(route));
            recorder.register_histogram(&key, &METADATA)
        });
    }

    /// The same for a call.
    pub(crate) fn record_new_rpc(
        &self,
        recorder: &dyn Recorder,
        method: &str,
        series: RpcSeries,
        seconds: f64,
    ) {
        self.rpc.record_new(method, series.variant(), seconds, |method| {
            let key = Key::from_parts(telemetry::RPC_SERVER_CALL_DURATION, series.labels(method));
            recorder.register_histogram(&key, &METADATA)
        });
    }

    #[cold]
    pub(crate) fn count_rejection(&self, recorder: &dyn Recorder, rejection: &Rejection) {
        let pair = (rejection.layer().unwrap_or(OTHER), rejection.reason().code());
        let hash = FxBuildHasher.hash_one(pair);
        if let Some(counter) = self.rejections.find(hash, |known| *known == pair) {
            return counter.increment(1);
        }
        let (layer, code) = if self.rejections.len() < MAX_REJECTIONS { pair } else { (OTHER, OTHER) };
        let labels =
            vec![Label::from_static_parts(label::LAYER, layer), Label::from_static_parts(label::CODE, code)];
        let counter = recorder.register_counter(&Key::from_parts(telemetry::REJECTIONS, labels), &METADATA);
        counter.increment(1);
        self.rejections.insert(FxBuildHasher.hash_one((layer, code)), (layer, code), counter);
    }
}

/// The histograms of one metric, by the one label with an open set of values and a number for all others.
#[derive(Default)]
pub(crate) struct Histograms(Table<(Box<str>, u32), Histogram>);

impl Histograms {
    /// The histogram of a series that was recorded before.
    #[inline]
    pub(crate) fn find(&self, name: &str, variant: u32) -> Option<&Histogram> {
        let is = |(known_name, known): &(Box<str>, u32)| *known == variant && **known_name == *name;
        self.0.find(FxBuildHasher.hash_one((name, variant)), is)
    }

    /// Records in the series of `name` and `variant`, which `register` makes when it is the first.
    #[inline]
    pub(crate) fn record(
        &self,
        name: &str,
        variant: u32,
        seconds: f64,
        register: impl FnOnce(&str) -> Histogram,
    ) {
        match self.find(name, variant) {
            Some(histogram) => histogram.record(seconds),
            None => self.record_new(name, variant, seconds, register),
        }
    }

    /// Records the first of a series, or one of a name for which there is no room.
    #[cold]
    fn record_new(&self, name: &str, variant: u32, seconds: f64, register: impl FnOnce(&str) -> Histogram) {
        let has_room = || self.0.has_room(FxBuildHasher.hash_one((name, variant)));
        let name = if self.0.len() < MAX_SERIES && has_room() { name } else { OTHER };
        if let Some(histogram) = self.find(name, variant) {
            return histogram.record(seconds);
        }
        let histogram = register(name);
        histogram.record(seconds);
        self.0.insert(FxBuildHasher.hash_one((name, variant)), (name.into(), variant), histogram);
    }
}
