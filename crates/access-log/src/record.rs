use std::{cell::Cell, fmt, sync::Arc, time::Duration};

use bartizan_core::{Ending, Observer, Outcome, RequestContext};
use http::{Method, Request, Version, uri::PathAndQuery};

use crate::{layer::Shared, line::Entry, severity::Severity};

thread_local! {
    /// Where lines are put together before they are handed over.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
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
    pub(crate) method: &'static str,
    pub(crate) version: Version,
    /// Boxed: it is rarely there, and a record moves with its future.
    pub(crate) path: Option<Box<PathAndQuery>>,
}

impl Record {
    // As part of its one caller it is made where it stays.
    #[inline(always)]
    pub(crate) fn begin<B>(shared: &Arc<Shared>, context: RequestContext, request: &Request<B>) -> Self {
        context.event().enable();
        context.route_of(request);
        let path = if shared.settings.path { request.uri().path_and_query() } else { None };
        Self {
            head: Head {
                method: method(request.method()),
                version: request.version(),
                path: path.cloned().map(Box::new),
            },
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
        let entry = Entry {
            settings,
            context: &self.context,
            head: &self.head,
            outcome,
            severity,
            at: settings.clock.since_1970(),
            took: Duration::from_nanos(finished.saturating_sub(self.started)),
        };
        // While the thread is going away a fresh buffer does as well.
        let mut buffer = SCRATCH.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        entry.write(&mut buffer);
        self.shared.log.push(&buffer, severity, settings);
        let _ = SCRATCH.try_with(|scratch| scratch.set(buffer));
    }
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

/// A standard method, or what stands for all others: a method is the caller's text.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::CONNECT => "CONNECT",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::PATCH => "PATCH",
        _ => "_OTHER",
    }
}
