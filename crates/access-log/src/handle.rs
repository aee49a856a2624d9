use std::{fmt, sync::Arc, time::Duration};

use crate::log::Log;

/// Waits for lines to be written, and tells how many were dropped.
///
/// Clones are handles of the same log.
#[derive(Clone)]
pub struct LogHandle {
    log: Arc<Log>,
}

/// The time was up before all lines were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushError {
    pending: u64,
}

impl FlushError {
    /// The lines that were not written yet.
    pub fn pending(&self) -> u64 {
        self.pending
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lines of the access log were not written in time", self.pending)
    }
}

impl std::error::Error for FlushError {}

impl LogHandle {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self { log }
    }

    /// Waits until every line there is now has been given to the writer, and the writer has been flushed.
    ///
    /// Blocks the thread. Call it where nothing else runs, at the end of `main`, or through
    /// `tokio::task::spawn_blocking`.
    ///
    /// # Errors
    ///
    /// When that takes longer than `timeout`. The lines stay where they are.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        match self.log.flush(timeout) {
            0 => Ok(()),
            pending => Err(FlushError { pending }),
        }
    }

    /// The lines dropped so far, because the buffer was full or the writer failed.
    pub fn dropped(&self) -> u64 {
        self.log.dropped()
    }
}

impl fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogHandle").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

/// Flushes the log when it is dropped.
///
/// A line is written at the end of its request, so let the server finish first: declare the guard before the
/// server, or drop it by hand.
#[derive(Debug)]
#[must_use = "dropped at once, it flushes an empty log"]
pub struct LogGuard {
    handle: LogHandle,
    timeout: Duration,
}

impl LogGuard {
    pub(crate) fn new(handle: LogHandle, timeout: Duration) -> Self {
        Self { handle, timeout }
    }

    /// Waits at most this long. Default: 5 s.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        // Nobody is left to be told; what is lost shows as a missing line, as after a crash.
        let _ = self.handle.flush(self.timeout);
    }
}
