//! What counters and events of fetches have in common: they are rare enough to look everything up each time.

/// Where one source of keys or tokens is counted: the name is configuration, not a caller's word.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    name: String,
    #[cfg(feature = "metrics")]
    recorder: Option<std::sync::Arc<dyn metrics::Recorder + Send + Sync>>,
}

impl Tally {
    /// The same recorder, for a source of this name.
    pub(crate) fn named(mut self, name: String) -> Self {
        self.name = name;
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Counts in `recorder`, whatever recorder is in force.
    #[cfg(feature = "metrics")]
    pub(crate) fn pin(&mut self, recorder: impl metrics::Recorder + Send + Sync + 'static) {
        self.recorder = Some(std::sync::Arc::new(recorder));
    }
}

#[cfg(feature = "metrics")]
pub(crate) mod metric {
    use metrics::{Key, Label, Level, Metadata, Recorder, Unit};

    use super::Tally;

    const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

    /// A metric, and the label that has the name of the source.
    #[derive(Clone, Copy)]
    pub(crate) struct Metric {
        pub(crate) name: &'static str,
        pub(crate) help: &'static str,
        pub(crate) source: &'static str,
    }

    impl Tally {
        pub(crate) fn increment(&self, metric: Metric, label: &'static str, value: &'static str) {
            self.with_recorder(|recorder| {
                recorder.describe_counter(metric.name.into(), Some(Unit::Count), metric.help.into());
                let source = Label::new(metric.source, self.name.clone());
                let key = Key::from_parts(metric.name, vec![source, Label::from_static_parts(label, value)]);
                recorder.register_counter(&key, &METADATA).increment(1);
            });
        }

        pub(crate) fn set_seconds(&self, metric: Metric, value: f64) {
            self.with_recorder(|recorder| {
                recorder.describe_gauge(metric.name.into(), Some(Unit::Seconds), metric.help.into());
                let key = Key::from_parts(metric.name, vec![Label::new(metric.source, self.name.clone())]);
                recorder.register_gauge(&key, &METADATA).set(value);
            });
        }

        fn with_recorder(&self, run: impl FnOnce(&dyn Recorder)) {
            match &self.recorder {
                Some(recorder) => run(&**recorder),
                None => metrics::with_recorder(run),
            }
        }
    }
}

/// An error with all its causes, in a line.
#[cfg(feature = "tracing")]
pub(crate) fn text_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
