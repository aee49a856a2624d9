use std::{fmt, sync::Arc};

use bartizan_core::{Clock, PerRecorder, Place, ServerLayer, phase};
use metrics::Recorder;
use tower_layer::Layer;

use crate::{Metrics, handles::Handles, known::KnownMethods};

/// Measures every request: see the [crate documentation](crate).
///
/// # Clone
///
/// Clones, and the services that [`layer`](Layer::layer) makes, share their handles. A `with_…` method gives a
/// layer with handles of its own.
#[derive(Clone)]
#[must_use]
pub struct MetricsLayer {
    shared: Arc<Shared>,
}

/// What all services of a layer share.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) known: KnownMethods,
    /// Whether requests that run are counted.
    pub(crate) counts_active: bool,
    pub(crate) handles: PerRecorder<Handles>,
}

impl MetricsLayer {
    /// Measures with the system's clock, for the recorder in force: the local one of the thread, else the global
    /// one, whenever it is installed.
    pub fn new() -> Self {
        Self::sharing(Shared::default())
    }

    /// Sends the metrics of this layer to `recorder` alone, whichever is in force. Default: the one in force.
    pub fn with_recorder(self, recorder: impl Recorder + Send + Sync + 'static) -> Self {
        Self::sharing(Shared { handles: PerRecorder::pinned(recorder), ..self.shared.fork([]) })
    }

    /// Names gRPC methods (`pkg.Service/Method`) that exist, so that calls of them are told apart from the first
    /// on, refused ones too. Default: none; others are learned once they answered a call.
    pub fn with_grpc_methods<I>(self, methods: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let methods = methods.into_iter().map(|name| Box::from(name.as_ref().trim_start_matches('/')));
        Self::sharing(self.shared.fork(methods))
    }

    /// Whether the requests and calls that are running are counted too, in the gauge `http_server_active_requests`. Default:
    /// no, for two threads that count in one gauge wait for each other, and a bulkhead tells the same.
    pub fn with_active_requests(self, counted: bool) -> Self {
        Self::sharing(Shared { counts_active: counted, ..self.shared.fork([]) })
    }

    /// Reads time from `clock`. Default: the system's.
    pub fn with_clock(self, clock: Clock) -> Self {
        Self::sharing(Shared { clock, ..self.shared.fork([]) })
    }

    fn sharing(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }
}

impl Shared {
    /// The same settings with more methods, and handles of its own.
    fn fork(&self, methods: impl IntoIterator<Item = Box<str>>) -> Self {
        Self {
            clock: self.clock.clone(),
            known: self.known.fork(methods),
            counts_active: self.counts_active,
            handles: self.handles.fork(),
        }
    }

    /// Where the handles of the recorder in force are.
    #[inline]
    pub(crate) fn place(&self) -> Option<Place> {
        self.handles.place(|recorder| Handles::new(recorder, self.counts_active))
    }

    /// A request begins. Says where it is counted.
    #[inline(never)]
    pub(crate) fn enter(&self) -> Option<Place> {
        let place = self.place()?;
        self.handles.at(place)?.active.increment(1.0);
        Some(place)
    }

    /// A request ends.
    #[inline(never)]
    pub(crate) fn leave(&self, place: Place) {
        if let Some(handles) = self.handles.at(place) {
            handles.active.decrement(1.0);
        }
    }
}

impl Default for MetricsLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MetricsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsLayer")
            .field("clock", &self.shared.clock)
            .field("handles", &self.shared.handles)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Metrics<S>;

    fn layer(&self, inner: S) -> Metrics<S> {
        Metrics::new(inner, Arc::clone(&self.shared))
    }
}

impl ServerLayer for MetricsLayer {
    type Phase = phase::Metrics;
    type Needs = ();
    type Provides = ();

    fn name(&self) -> &'static str {
        "metrics"
    }
}
