//! The series of a layer's metrics.

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit,
};

/// Makes the handles of a layer's metrics in one recorder: what a [`PerRecorder`](crate::PerRecorder) resolves them with.
///
/// ```
/// use bartizan_core::{PerRecorder, Series};
/// use metrics::Counter;
///
/// let refusals: PerRecorder<Counter> = PerRecorder::default();
/// refusals.with(
///     |recorder| {
///         let series = Series::new(recorder, module_path!()).labelled("name", "orders");
///         series.describe_counter("refusals_total", "Requests that were refused.");
///         series.counter("refusals_total", &[("reason", "full")])
///     },
///     |refusals, _| refusals.increment(1),
/// );
/// ```
pub struct Series<'a> {
    recorder: &'a dyn Recorder,
    metadata: Metadata<'a>,
    labels: Vec<Label>,
}

impl<'a> Series<'a> {
    /// Series in `recorder` that are counted by `module`.
    pub fn new(recorder: &'a dyn Recorder, module: &'a str) -> Self {
        let metadata = Metadata::new(module, Level::INFO, Some(module));
        Self { recorder, metadata, labels: Vec::new() }
    }

    /// The series that have this label too, before those of their own.
    #[must_use]
    pub fn labelled(mut self, name: &'static str, value: impl Into<SharedString>) -> Self {
        self.labels.push(Label::new(name, value.into()));
        self
    }

    /// Says what a counter of occurrences means.
    pub fn describe_counter(&self, name: &'static str, text: &'static str) {
        self.recorder.describe_counter(KeyName::from_const_str(name), Some(Unit::Count), text.into());
    }

    /// Says what a gauge of things that are there means.
    pub fn describe_gauge(&self, name: &'static str, text: &'static str) {
        self.recorder.describe_gauge(KeyName::from_const_str(name), Some(Unit::Count), text.into());
    }

    /// Says what a histogram of times means.
    pub fn describe_histogram(&self, name: &'static str, text: &'static str) {
        self.recorder.describe_histogram(KeyName::from_const_str(name), Some(Unit::Seconds), text.into());
    }

    /// The counter with these labels.
    pub fn counter(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Counter {
        self.recorder.register_counter(&self.key(name, labels), &self.metadata)
    }

    /// The gauge with these labels.
    pub fn gauge(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Gauge {
        self.recorder.register_gauge(&self.key(name, labels), &self.metadata)
    }

    /// The histogram with these labels.
    pub fn histogram(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Histogram {
        self.recorder.register_histogram(&self.key(name, labels), &self.metadata)
    }

    fn key(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
        let own = labels.iter().map(|(name, value)| Label::from_static_parts(name, value));
        let labels: Vec<_> = self.labels.iter().cloned().chain(own).collect();
        Key::from_parts(KeyName::from_const_str(name), labels)
    }
}

impl std::fmt::Debug for Series<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Series").field("labels", &self.labels).finish_non_exhaustive()
    }
}
