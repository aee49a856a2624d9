use std::{cell::Cell, fmt, sync::Arc, time::Duration};

use bartizan_core::{Ending, MethodName, Observer, Outcome, RequestContext};
use http::{Request, Uri, Version, uri::PathAndQuery};

use crate::{
    layer::{Settings, Shared},
    line::{Entry, Scratch},
    severity::Severity,
};

thread_local! {
    /// Where lines are put together before they are handed over; taken while one is.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// One request whose line is still to be written.
///
/// Follows the request from the call to the end of the response body; named only because
/// [`ResponseFuture`](crate::ResponseFuture) and [`ResponseBody`](crate::ResponseBody) hold one.
pub struct Record {
    shared: Arc<Shared>,
    context: RequestContext,
    head: Head,
    /// By the clock's nanoseconds.
    started: u64,
    settled: bool,
}

/// What the line takes from the request head.
pub(crate) struct Head {
    pub(crate) method: MethodName,
    pub(crate) version: Version,
    /// Boxed: it is rarely there, and a record moves with its future.
    pub(crate) path: Option<Box<PathAndQuery>>,
    /// Whether there is no line if all goes well.
    pub(crate) exempt: bool,
}

impl Record {
    // As part of its one caller it is made where it stays.
    #[inline(always)]
    pub(crate) fn begin<B>(shared: &Arc<Shared>, context: RequestContext, request: &Request<B>) -> Self {
        context.event().enable();
        context.route_of(request);
        let (path, exempt) = if shared.settings.reads_path() {
            read_path(&shared.settings, request.uri())
        } else {
            (None, false)
        };
        Self {
            head: Head { method: MethodName::of(request.method()), version: request.version(), path, exempt },
            started: context.arrived(&shared.settings.clock),
            shared: Arc::clone(shared),
            context,
            settled: false,
        }
    }

    fn settle(&mut self, outcome: &Outcome) {
        self.settled = true;
        let settings = &self.shared.settings;
        let finished = self.context.finished(&settings.clock);
        let severity = Severity::of(outcome);
        if self.head.exempt && severity == Severity::Info {
            return;
        }
        let entry = Entry {
            settings,
            context: &self.context,
            head: &self.head,
            outcome,
            severity,
            at: settings.clock.since_1970(),
            took: Duration::from_nanos(finished.saturating_sub(self.started)),
        };
        // While the thread is going away a fresh one does as well.
        let mut scratch = SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_default();
        scratch.buffer.clear();
        entry.write(&mut scratch);
        self.shared.log.push(&scratch.buffer, severity, settings);
        let _ = SCRATCH.try_with(|place| place.set(Some(scratch)));
    }
}

/// What settings ask of the path, which most do not.
#[inline(never)]
fn read_path(settings: &Settings, uri: &Uri) -> (Option<Box<PathAndQuery>>, bool) {
    let path = if settings.path { uri.path_and_query().cloned().map(Box::new) } else { None };
    (path, settings.exempt.contains(uri.path()))
}

impl Observer for Record {
    fn on_end(mut self, outcome: Outcome) {
        self.settle(&outcome);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.settled {
            // Never observed: the inner service panicked before it gave a future.
            self.settle(&Outcome::without_response(Ending::Panic));
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("context", &self.context).finish_non_exhaustive()
    }
}
