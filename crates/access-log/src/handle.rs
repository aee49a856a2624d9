use std::{fmt, sync::Arc, time::Duration};

use crate::log::Log;

/// Waits for lines to be written, and tells how many were dropped.
///
/// Clones are handles of the same log.
#[derive(Clone)]
pub struct LogHandle {
    log: Arc<Log>,
}

/// Not all lines are surely written: the time was up before, or the writer could not be flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushError {
    pending: u64,
    lost: Option<u64>,
}

impl FlushError {
    pub(crate) fn new(pending: u64, lost: Option<u64>) -> Self {
        Self { pending, lost }
    }

    /// The lines that were not given to the writer yet.
    pub fn pending(&self) -> u64 {
        self.pending
    }

    /// The lines given to the writer since its last good flush, if the latest failed. They count as
    /// [dropped](LogHandle::dropped).
    pub fn lost(&self) -> Option<u64> {
        self.lost
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pending, self.lost) {
            (pending, None) => write!(f, "{pending} lines of the access log were not written in time"),
            (0, Some(lost)) => {
                write!(f, "the writer of the access log could not be flushed: {lost} lines may be lost")
            }
            (pending, Some(lost)) => write!(
                f,
                "{pending} lines of the access log were not written in time, and {lost} may be lost: the writer could not be flushed",
            ),
        }
    }
}

impl std::error::Error for FlushError {}

impl LogHandle {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self { log }
    }

    /// Waits until every line there is now has been given to the writer, and the writer has been flushed: once more if that
    /// failed the last time.
    ///
    /// Blocks the thread. Call it where nothing else runs, at the end of `main`, or through
    /// `tokio::task::spawn_blocking`.
    ///
    /// # Errors
    ///
    /// When that takes longer than `timeout`, in which case the lines stay where they are; or when the writer could not be
    /// flushed. Lines that it did not even take are no error: they are [dropped](Self::dropped).
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        self.log.flush(timeout)
    }

    /// The lines dropped so far, because the buffer was full or the writer failed.
    ///
    /// When the writer cannot be flushed, all lines that it took since it last could count: nobody knows which of them
    /// arrived. A `BufWriter` keeps them and may write them later all the same, so that this is the most that were lost.
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
