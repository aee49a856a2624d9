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
pub(crate) use self::enabled::{Target, Telemetry};

#[cfg(not(feature = "metrics"))]
pub(crate) use self::disabled::{Target, Telemetry};

/// Callers choose what they send, as often as they like: nothing louder.
fn tell_ignored(header: &str) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "bartizan::deadline", header, "a malformed deadline is ignored");
    #[cfg(not(feature = "tracing"))]
    let _ = header;
}

#[cfg(feature = "metrics")]
mod enabled {
    use std::fmt;

    use bartizan_core::PerRecorder;
    use metrics::{Counter, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit};

    use super::Stage;

    const EXCEEDED: &str = "bartizan_deadline_exceeded_total";
    const IGNORED: &str = "bartizan_deadline_ignored_total";

    const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

    /// The recorder that a layer counts in: the one in force, unless it was given its own.
    #[derive(Debug, Default)]
    pub(crate) struct Target(PerRecorder<()>);

    impl Target {
        pub(crate) fn pinned(recorder: impl Recorder + Send + Sync + 'static) -> Self {
            Self(PerRecorder::pinned(recorder))
        }
    }

    impl Clone for Target {
        fn clone(&self) -> Self {
            Self(self.0.fork())
        }
    }

    /// The metrics of one layer.
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
        pub(crate) fn new(layer: &'static str, target: &Target) -> Self {
            Self { layer, handles: target.0.fork() }
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
                    let labels = vec![Label::new("header", SharedString::from(header.to_owned()))];
                    recorder.register_counter(&Key::from_parts(IGNORED, labels), &METADATA).increment(1);
                },
            );
        }
    }

    impl Handles {
        #[cold]
        fn resolve(recorder: &dyn Recorder, layer: &'static str) -> Self {
            let describe = |name: &'static str, text: &'static str| {
                recorder.describe_counter(KeyName::from_const_str(name), Some(Unit::Count), text.into());
            };
            describe(EXCEEDED, "Requests and calls that took too long.");
            describe(IGNORED, "Deadlines of callers that were malformed, and ignored.");
            let stage = |stage: Stage| {
                let labels = vec![
                    Label::from_static_parts("layer", layer),
                    Label::from_static_parts("stage", stage.as_str()),
                ];
                recorder.register_counter(&Key::from_parts(EXCEEDED, labels), &METADATA)
            };
            Self {
                arrival: stage(Stage::Arrival),
                head: stage(Stage::Head),
                body: stage(Stage::Body),
                idle: stage(Stage::Idle),
                request_body: stage(Stage::RequestBody),
            }
        }
    }

    impl fmt::Debug for Telemetry {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Telemetry").field("layer", &self.layer).finish_non_exhaustive()
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod disabled {
    use super::Stage;

    #[derive(Clone, Debug, Default)]
    pub(crate) struct Target;

    #[derive(Debug)]
    pub(crate) struct Telemetry;

    impl Telemetry {
        pub(crate) fn new(_layer: &'static str, _target: &Target) -> Self {
            Self
        }

        pub(crate) fn exceeded(&self, _stage: Stage) {}

        pub(crate) fn ignored(&self, header: &str) {
            super::tell_ignored(header);
        }
    }
}
