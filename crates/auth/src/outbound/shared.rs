//! Many requests that wait for one fetch.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    runtime::Handle,
    sync::{Notify, futures::OwnedNotified},
    time::{Sleep, sleep},
};

use crate::{ConfigError, error::Part};

/// Tells everybody who waits that a fetch has ended, well or not.
#[derive(Clone, Default)]
pub(crate) struct Flights(Arc<Notify>);

impl Flights {
    /// A wait for the end of the next fetch. Make it before the fetch can end: it counts from here, polled or not.
    /// `None` outside of a runtime, where there is nothing that could wait.
    pub(crate) fn wait(&self, limit: Duration) -> Option<FetchWait> {
        Handle::try_current().ok()?;
        Some(FetchWait { landed: Arc::clone(&self.0).notified_owned(), limit: sleep(limit) })
    }

    pub(crate) fn landed(&self) {
        self.0.notify_waiters();
    }
}

pin_project! {
    /// The wait of a request for keys or a token that are being fetched for all: until the fetch ends, well or not,
    /// or the request's time is over.
    #[must_use = "futures do nothing unless polled"]
    pub struct FetchWait {
        #[pin]
        landed: OwnedNotified,
        #[pin]
        limit: Sleep,
    }
}

impl fmt::Debug for FetchWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FetchWait(..)")
    }
}

impl Future for FetchWait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.landed.poll(cx).is_ready() { Poll::Ready(()) } else { this.limit.poll(cx) }
    }
}

/// A duration that somebody waits, within sane limits.
pub(crate) fn bounded(
    part: Part,
    field: &'static str,
    value: Duration,
    longest: Duration,
    problem: &'static str,
) -> Result<Duration, ConfigError> {
    if value < Duration::from_millis(1) || value > longest {
        return Err(ConfigError::new(part, field, problem));
    }
    Ok(value)
}
