use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bartizan_core::{Clock, ServerLayer, phase};
use metrics::Recorder;
use tower_layer::Layer;

use crate::{
    Metrics,
    handles::Handles,
    known::KnownMethods,
    recorder::{Address, Target},
};

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
pub(crate) struct Shared {
    base: Arc<Base>,
    /// The handles of the first recorders that were in force: none at all, and the one that was installed.
    first: [OnceLock<Arc<Handles>>; 4],
    /// Those of the last one, when there were more.
    last: Mutex<Option<Arc<Handles>>>,
}

/// The part of it that does not depend on the recorder.
#[derive(Default)]
pub(crate) struct Base {
    pub(crate) clock: Clock,
    pub(crate) target: Target,
    pub(crate) known: KnownMethods,
}

impl MetricsLayer {
    /// Measures with the system's clock, for the recorder in force: the local one of the thread, else the global
    /// one, whenever it is installed.
    pub fn new() -> Self {
        Self::from_base(Base::default())
    }

    /// Sends the metrics of this layer to `recorder` alone, whichever is in force. Default: the one in force.
    pub fn with_recorder(self, recorder: impl Recorder + Send + Sync + 'static) -> Self {
        let base = &self.shared.base;
        let target = Target::Pinned(Arc::new(recorder));
        Self::from_base(Base { clock: base.clock.clone(), target, known: base.known.fork([]) })
    }

    /// Names gRPC methods (`pkg.Service/Method`) that exist, so that calls of them are told apart from the first
    /// on, refused ones too. Default: none; others are learned once they answered a call.
    pub fn with_grpc_methods<I>(self, methods: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let base = &self.shared.base;
        let methods = methods.into_iter().map(|name| Box::from(name.as_ref().trim_start_matches('/')));
        let known = base.known.fork(methods);
        Self::from_base(Base { clock: base.clock.clone(), target: base.target.clone(), known })
    }

    /// Reads time from `clock`. Default: the system's.
    pub fn with_clock(self, clock: Clock) -> Self {
        let base = &self.shared.base;
        Self::from_base(Base { clock, target: base.target.clone(), known: base.known.fork([]) })
    }

    fn from_base(base: Base) -> Self {
        let shared =
            Shared { base: Arc::new(base), first: [const { OnceLock::new() }; 4], last: Mutex::new(None) };
        Self { shared: Arc::new(shared) }
    }
}

impl Default for MetricsLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MetricsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = &self.shared.base;
        f.debug_struct("MetricsLayer")
            .field("clock", &base.clock)
            .field("recorder", &base.target)
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

impl Shared {
    /// The handles of the recorder in force.
    #[inline]
    pub(crate) fn handles(&self) -> Arc<Handles> {
        let recorder = self.base.target.address();
        for handles in &self.first {
            match handles.get() {
                Some(handles) if handles.are_of(recorder) => return Arc::clone(handles),
                Some(_) => {}
                None => break,
            }
        }
        self.base.target.with(|recorder| self.resolve(recorder))
    }

    #[cold]
    fn resolve(&self, recorder: &dyn Recorder) -> Arc<Handles> {
        let address = Address::of(recorder);
        let new = || Arc::new(Handles::new(Arc::clone(&self.base), recorder));
        for handles in &self.first {
            // Another thread may have been faster, with this recorder or another.
            let handles = handles.get_or_init(new);
            if handles.are_of(address) {
                return Arc::clone(handles);
            }
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(handles) if handles.are_of(address) => Arc::clone(handles),
            _ => Arc::clone(last.insert(new())),
        }
    }
}
