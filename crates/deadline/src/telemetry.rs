//! Every metric and event of the crate.

/// What took too long, as the label `stage` and in the wide event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// There was no time left when it came.
    Arrival,
    /// The head of the response.
    Head,
    /// The response as a whole, after its head.
    Body,
    /// A frame of the response.
    Idle,
    /// The body of the request.
    RequestBody,
}

impl Stage {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Arrival => "arrival",
            Self::Head => "head",
            Self::Body => "body",
            Self::Idle => "idle",
            Self::RequestBody => "request_body",
        }
    }
}

#[cfg(feature = "metrics")]
pub(crate) use self::enabled::Telemetry;

#[cfg(not(feature = "metrics"))]
pub(crate) use self::disabled::Telemetry;

/// Callers choose what they send, as often as they like: nothing louder.
fn tell_ignored(header: &str) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "bartizan::deadline", header, "a malformed deadline is ignored");
    #[cfg(not(feature = "tracing"))]
    let _ = header;
}

#[cfg(feature = "metrics")]
mod enabled {
    use bartizan_core::{PerRecorder, RecorderChoice, Series};
    use metrics::{Counter, Recorder};

    use super::Stage;

    const EXCEEDED: &str = "bartizan_deadline_exceeded_total";
    const IGNORED: &str = "bartizan_deadline_ignored_total";

    /// The metrics of one layer.
    #[derive(Debug)]
    pub(crate) struct Telemetry {
        layer: &'static str,
        handles: PerRecorder<Handles>,
    }

    struct Handles {
        arrival: Counter,
        head: Counter,
        body: Counter,
        idle: Counter,
        request_body: Counter,
    }

    impl Telemetry {
        pub(crate) fn new(layer: &'static str, recorder: &RecorderChoice) -> Self {
            Self { layer, handles: PerRecorder::of(recorder) }
        }

        pub(crate) fn exceeded(&self, stage: Stage) {
            self.handles.with(
                |recorder| Handles::resolve(recorder, self.layer),
                |handles, _| {
                    match stage {
                        Stage::Arrival => &handles.arrival,
                        Stage::Head => &handles.head,
                        Stage::Body => &handles.body,
                        Stage::Idle => &handles.idle,
                        Stage::RequestBody => &handles.request_body,
                    }
                    .increment(1);
                },
            );
        }

        /// `header` is a name of the configuration.
        #[cold]
        pub(crate) fn ignored(&self, header: &str) {
            super::tell_ignored(header);
            self.handles.with(
                |recorder| Handles::resolve(recorder, self.layer),
                |_, recorder| {
                    let series = Series::new(recorder, module_path!()).labelled("header", header.to_owned());
                    series.counter(IGNORED, &[]).increment(1);
                },
            );
        }
    }

    impl Handles {
        #[cold]
        fn resolve(recorder: &dyn Recorder, layer: &'static str) -> Self {
            let series = Series::new(recorder, module_path!()).labelled("layer", layer);
            series.describe_counter(EXCEEDED, "Requests and calls that took too long.");
            series.describe_counter(IGNORED, "Deadlines of callers that were malformed, and ignored.");
            let stage = |stage: Stage| series.counter(EXCEEDED, &[("stage", stage.as_str())]);
            Self {
                arrival: stage(Stage::Arrival),
                head: stage(Stage::Head),
                body: stage(Stage::Body),
                idle: stage(Stage::Idle),
                request_body: stage(Stage::RequestBody),
            }
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod disabled {
    use bartizan_core::RecorderChoice;

    use super::Stage;

    #[derive(Debug)]
    pub(crate) struct Telemetry;

    impl Telemetry {
        pub(crate) fn new(_layer: &'static str, _recorder: &RecorderChoice) -> Self {
            Self
        }

        pub(crate) fn exceeded(&self, _stage: Stage) {}

        pub(crate) fn ignored(&self, header: &str) {
            super::tell_ignored(header);
        }
    }
}
